//! The command line of `jobsyncd`.

mod cli;

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A delivery makes some hundred small allocations, and the allocator of the C library takes a
/// tenth of the daemon's time for them (BENCHMARKS.md).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    env_logger::Builder::from_env(
        env_logger::Env::default().default_filter_or("info,actix_server=warn"),
    )
    .format_target(false)
    .init();
    cli::main()
}
