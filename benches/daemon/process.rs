//! The daemon as a process of its own: how soon it is ready, and how much memory it keeps.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Effort;
use crate::client::{Connection, ask_once, get, on_own_thread};
use crate::figures::{Figure, Goal, in_ms, median};
use crate::stand::Database;

/// How long a start may take before it counts as failed.
const START_WITHIN: Duration = Duration::from_secs(30);
/// How long a daemon is left alone before it counts as idle.
const SETTLED_AFTER: Duration = Duration::from_secs(1);

/// Measures the start on a large database, and the memory of a daemon that has nothing to do.
pub(crate) fn measure(effort: Effort) -> Vec<Figure> {
    let database = Database::with_jobs(100_000);
    let starts: Vec<_> =
        (0..effort.rounds()).map(|_| in_ms(Process::start(&database).ready_after)).collect();
    let memory = (0..effort.choose(3, 1)).map(|_| memory_mb(&Database::new()));
    let (fresh, used): (Vec<_>, Vec<_>) = memory.unzip();
    vec![
        Figure {
            what: "start on 100,000 jobs until /health/ready answers".to_owned(),
            median: median(&starts),
            unit: "ms",
            goal: Goal::AtMost(100.0),
            details: String::new(),
        },
        Figure {
            what: "memory of an idle daemon (VmRSS)".to_owned(),
            median: median(&fresh),
            unit: "MB",
            goal: Goal::AtMost(20.0),
            details: String::new(),
        },
        Figure {
            what: "the same after 100 requests".to_owned(),
            median: median(&used),
            unit: "MB",
            goal: Goal::AtMost(20.0),
            details: "lists of jobs, on one connection".to_owned(),
        },
    ]
}

/// The memory of a daemon after its start, and after it has answered a hundred requests.
fn memory_mb(database: &Database) -> (f64, f64) {
    let process = Process::start(database);
    std::thread::sleep(SETTLED_AFTER);
    let fresh = process.resident_mb();
    let address = process.address;
    on_own_thread(move || async move {
        let mut connection = Connection::open(address).await?;
        for _ in 0..100 {
            assert_eq!(connection.ask(&get("/api/cloud/jobs")).await?.status, 200);
        }
        Ok(())
    });
    std::thread::sleep(SETTLED_AFTER);
    (fresh, process.resident_mb())
}

/// A running `jobsyncd serve`. It is killed when this is dropped.
struct Process {
    child: Child,
    address: SocketAddr,
    ready_after: Duration,
}

impl Process {
    fn start(database: &Database) -> Self {
        let address = free_address();
        let mut command = Command::new(env!("CARGO_BIN_EXE_jobsyncd"));
        command
            .arg("serve")
            .env_clear()
            .env("JOBSYNCD__SERVER__BIND", address.to_string())
            .env("JOBSYNCD__DATABASE__URL", database.url())
            .current_dir(database.folder())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let began = Instant::now();
        let child = command.spawn().expect("the daemon's program can be run");
        let mut process = Self { child, address, ready_after: Duration::ZERO };
        process.wait_until_ready(began);
        process
    }

    fn wait_until_ready(&mut self, began: Instant) {
        // Nobody listens yet at first, and then a connection is refused.
        while std::net::TcpStream::connect(self.address).is_err() {
            let ended = self.child.try_wait().expect("a child can be asked");
            assert_eq!(ended, None, "the daemon goes on");
            assert!(began.elapsed() < START_WITHIN, "the daemon listens soon");
            std::thread::sleep(Duration::from_millis(1));
        }
        ask_once(self.address, get("/health/ready"));
        self.ready_after = began.elapsed();
    }

    fn resident_mb(&self) -> f64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("the process's status");
        let kilobytes = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
        kilobytes.map(|kilobytes: f64| kilobytes / 1024.0).expect("a process has memory")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already fails both, and is gone as it should be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address that nobody listens on: the daemon's log, which would tell what port 0 became, need
/// not be read then.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("a bound socket has an address")
}
