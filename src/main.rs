//! The command line of `jobsyncd`.

mod cli;

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;

/// A delivery makes some hundred small allocations, and the allocator of the C library takes a
/// tenth of the daemon's time for them (BENCHMARKS.md).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// How the program ends where trying again would end the same: a bad configuration, a damaged
/// database. It is `EX_CONFIG` of sysexits, and the systemd unit does not restart after it.
const LASTING: u8 = 78;

fn main() -> ExitCode {
    env_logger::Builder::from_env(
        env_logger::Env::default().default_filter_or("info,actix_server=warn"),
    )
    .format_target(false)
    .init();
    match cli::run(cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error}");
            if cli::is_lasting(&error) { ExitCode::from(LASTING) } else { ExitCode::FAILURE }
        }
    }
}
