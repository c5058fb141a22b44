//! `jobsyncd verify`: whether the log of events and the stored jobs tell the same story.

use jobsyncd::config::{Config, DatabaseUrl, Flags, Sources};
use jobsyncd::db::audit::{Audited, audit};
use jobsyncd::db::connection::{Connection, Role};
use jobsyncd::domain::timestamp::now;

use super::{Failure, print};

pub(super) fn run(flags: Flags) -> Result<(), Failure> {
    let config = Config::load(&Sources::from_process(flags))?;
    let url = &config.database.url;
    // SQLite says only that it cannot open the file.
    if let DatabaseUrl::Sqlite(path) = url
        && !path.exists()
    {
        return Err(format!("there is no database at {}", path.display()).into());
    }
    let mut connection = Connection::open(url, Role::Reader)?;
    connection.require_known_schema()?;
    let Audited { events, jobs, findings } = audit(&mut connection, now(), |finding| {
        print(finding);
    })?;
    if findings > 0 {
        return Err(
            format!("{findings} differences between {jobs} jobs and {events} events").into()
        );
    }
    print(format_args!("{jobs} jobs are as {events} events tell of them"));
    Ok(())
}
