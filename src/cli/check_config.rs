//! `jobsyncd check-config`: what is in force, and where it comes from.

use jobsyncd::config::{Config, Flags, Sources};

use super::{Failure, print};

pub(super) fn run(flags: Flags) -> Result<(), Failure> {
    let config = Config::load(&Sources::from_process(flags))?;
    print(config.describe().trim_end());
    for warning in &config.warnings {
        log::warn!("{warning}");
    }
    Ok(())
}
