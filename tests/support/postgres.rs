//! A PostgreSQL server for the tests: one in each test process, one new database for each test.
//!
//! It listens on a Unix socket in its temporary directory and nowhere else, so that any number of
//! test processes have theirs at the same time, and none can meet a server that is in real use.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::leash::{Leash, Stop, run, temporary_directory};

const USER: &str = "jobsyncd";
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Makes a cluster with `$1` and serves it with `$2`, all within the directory that it runs in. One
/// command, so that both are on the leash.
///
/// Trust is enough: the socket lies in a directory that only its owner (and root) may enter. No
/// locale: the same on every machine. Nothing is synced: it does not have to survive a power cut.
/// As many connections because every test opens a pool of its own. The trap lets `initdb` end when we
/// are stopped: cut short, it would leave shared memory behind.
const MAKE_AND_SERVE: &str = r#"
trap 'exit 1' QUIT
"$1" --pgdata data --username jobsyncd --auth trust --encoding UTF8 --no-locale --no-sync || exit
trap - QUIT
exec "$2" -D data -k "$PWD" -c listen_addresses= -c max_connections=200 \
    -c fsync=off -c full_page_writes=off
"#;

/// A running server.
#[derive(Debug)]
pub struct PostgresCluster {
    leash: Leash,
    programs: PathBuf,
    databases: AtomicU32,
}

impl PostgresCluster {
    /// The server of this test process. The first caller starts it, which takes about a second.
    pub fn shared() -> &'static Self {
        static CLUSTER: OnceLock<PostgresCluster> = OnceLock::new();
        CLUSTER.get_or_init(Self::start)
    }

    /// Makes an empty database and answers its URL.
    pub fn new_database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        let socket = self.leash.directory();
        run(Command::new(self.programs.join("createdb"))
            .args(["--username", USER, "--host"])
            .arg(socket)
            .arg(&name));
        format!("postgres:///{name}?host={}&user={USER}", socket.display())
    }

    fn start() -> Self {
        let programs = find_programs();
        let directory = temporary_directory("postgres");
        let mut server = command_of_ordinary_user(directory.path());
        server.args(["sh", "-c", MAKE_AND_SERVE, "sh"]).arg(programs.join("initdb"));
        server.arg(programs.join("postgres"));
        let leash = Leash::start(directory, Stop::Quit, &server);
        let cluster = Self { leash, programs, databases: AtomicU32::new(0) };
        cluster.wait_until_ready();
        cluster
    }

    fn wait_until_ready(&self) {
        let deadline = Instant::now() + READY_WITHIN;
        // The server writes this word into the last line of its lock file when it accepts connections.
        let lock_file = self.leash.directory().join("data/postmaster.pid");
        while !fs::read_to_string(&lock_file).is_ok_and(|text| text.trim_end().ends_with("ready")) {
            assert!(Instant::now() < deadline, "PostgreSQL is not ready: {}", self.leash.log());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The beginning of a command that runs in `directory`, and not as root: PostgreSQL refuses that.
fn command_of_ordinary_user(directory: &Path) -> Command {
    // We have just made it, so its owner is who we are.
    let is_root = fs::metadata(directory).expect("it was just made").uid() == 0;
    let mut command = Command::new(if is_root { "setpriv" } else { "env" });
    if is_root {
        // The user that Debian's package makes. Unlike `runuser`, `setpriv` becomes what it starts,
        // so that a signal for it arrives.
        run(Command::new("chown").arg("postgres:").arg(directory));
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    }
    // Also because that user may not even look into the folder that we are in.
    command.current_dir(directory);
    command
}

/// The folder of the newest version that Debian has installed, else the empty path: look in PATH.
/// Debian's folder comes first because what it has in PATH are wrappers, and not of all programs.
fn find_programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|version| installed(*version).join("initdb").exists())
        .max();
    newest.map(installed).unwrap_or_default()
}

fn installed(version: u32) -> PathBuf {
    PathBuf::from(format!("/usr/lib/postgresql/{version}/bin"))
}
