//! Storage that fails: a full disk, a file system that may not be written, a damaged file. What cannot
//! be stored is never acknowledged, and the daemon goes on by itself when the cause has gone away.
//!
//! The file systems are real ones, in a mount namespace of the daemon's own, for which no privilege is
//! needed where the kernel lets users have namespaces.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::Command;

use awc::Client;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::daemon::SOON;
use crate::support::process::{Home, Process};
use crate::support::webhook::{ROUTE, SECRET, Signer};

/// Mounts a file system of `$1` at `$2`, then runs `$3` there, and becomes the rest.
const IN_NAMESPACE: &str = r#"
options=$1 folder=$2 prepare=$3; shift 3
mount -t tmpfs -o "$options" tmpfs "$folder" && cd "$folder" && sh -c "$prepare" && exec "$@"
"#;

/// `serve` with its database in a small file system that nobody else sees.
fn serve_on(home: &Home, options: &str, prepare: &str) -> Command {
    let folder = home.path("disk");
    fs::create_dir_all(&folder).expect("a folder");
    let database = format!("sqlite://{}/jobs.db", folder.display());
    let daemon = home.serve_with(&database);
    let mut command = home.program("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", IN_NAMESPACE, "sh"]);
    command.args([options, &folder.display().to_string(), prepare]);
    command.arg(daemon.get_program()).args(daemon.get_args());
    command.env("JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_SECRET", SECRET);
    command
}

/// The daemon's own view of its folder.
fn disk(home: &Home, process: &Process) -> PathBuf {
    let folder = home.path("disk");
    let folder = folder.strip_prefix("/").expect("an absolute path");
    PathBuf::from(format!("/proc/{}/root", process.child.id())).join(folder)
}

/// Writes until nothing more can be written.
fn fill(path: PathBuf) {
    let mut file = File::create(path).expect("the daemon's folder can be seen from outside");
    while file.write_all(&[0; 4096]).is_ok() {}
    while file.write_all(&[0]).is_ok() {}
}

struct Sender {
    client: Client,
    url: String,
}

impl Sender {
    fn new(url: String) -> Self {
        Self { client: Client::builder().timeout(SOON).finish(), url }
    }

    /// Delivers a webhook, and answers its status, whether it may be sent again, and the body.
    async fn deliver(&self, job: &str) -> (u16, bool, Value) {
        let body = json!({"id": job, "status": "processing"}).to_string().into_bytes();
        let mut request = self.client.post(format!("{}{ROUTE}", self.url));
        for header in Signer::default().headers(&format!("msg-{job}"), &body) {
            request = request.insert_header(header);
        }
        let mut answer = request.send_body(body).await.expect("an answer");
        let may_retry = answer.headers().contains_key("retry-after");
        (answer.status().as_u16(), may_retry, answer.json().await.expect("JSON"))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let mut answer =
            self.client.get(format!("{}{path}", self.url)).send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    /// How the database is, and what is said of it.
    async fn database(&self) -> (String, String) {
        let (_, health) = self.get("/health").await;
        let component = &health["components"][0];
        assert_eq!(component["name"], "database");
        let text = |key: &str| component[key].as_str().unwrap_or_default().to_owned();
        (text("status"), text("message"))
    }
}

#[actix_web::test]
async fn a_full_disk_acknowledges_nothing_and_goes_on_when_there_is_room() {
    let home = Home::new();
    let mut process = Process::start(serve_on(&home, "size=4m", "true"));
    let daemon = Sender::new(process.url());
    assert_eq!(daemon.deliver("before").await.0, 200);
    let filler = disk(&home, &process).join("filler");
    fill(filler.clone());

    // The space that the database has left over from earlier is used up first.
    let mut stored = vec!["before".to_owned()];
    let refused = loop {
        let job = format!("job-{}", stored.len());
        match daemon.deliver(&job).await {
            (200, ..) => stored.push(job),
            refused => break (job, refused),
        }
        assert!(stored.len() < 10_000, "the disk is full");
    };
    let (job, (status, may_retry, body)) = refused;
    assert_eq!((status, may_retry), (503, true), "{body}");
    assert_eq!(body["error"], "store_unavailable");
    assert!(body["detail"].as_str().is_some_and(|detail| detail.contains("full")), "{body}");
    for again in 0..20 {
        assert_eq!(daemon.deliver(&format!("more-{again}")).await.0, 503);
    }
    let (status, list) = daemon.get("/api/cloud/jobs?limit=1").await;
    assert_eq!((status, &list["total"]), (200, &json!(stored.len())));
    let (status, message) = daemon.database().await;
    assert_eq!(status, "degraded");
    assert!(message.contains("full"), "{message}");

    fs::remove_file(filler).expect("room");

    let (status, _, body) = daemon.deliver(&job).await;
    assert_eq!((status, &body["status"]), (200, &json!("received")), "{body}");
    assert_eq!(daemon.database().await.0, "healthy");
    let said = process.stop();
    assert_eq!(said.matches("nothing can be stored").count(), 1, "{said}");
    assert_eq!(said.matches("can be written again").count(), 1, "{said}");
    assert!(said.matches("the database failed").count() <= 2, "{said}");
}

#[rstest]
#[case::for_the_files_beside_it("size=16k")]
#[case::for_the_tables("size=100k")]
fn a_disk_that_is_full_from_the_start_is_named_and_tried_again_later(#[case] size: &str) {
    let home = Home::new();
    let mut command = serve_on(&home, size, "true");
    let output = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "systemd tries again: {said}");
    let last = said.lines().last().expect("a line");
    assert!(last.contains("disk/jobs.db") && last.contains("disk is full"), "{said}");
}

#[test]
fn a_read_only_file_system_is_named_at_the_start() {
    let home = Home::new();
    let mut command = serve_on(&home, "size=4m", "mount -o remount,ro .");
    let output = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let last = said.lines().last().expect("a line");
    assert!(last.contains("disk/jobs.db") && last.contains("Read-only"), "{said}");
}

#[actix_web::test]
async fn a_file_that_is_damaged_while_the_daemon_runs_is_never_written_and_can_be_put_back() {
    let home = Home::new();
    let file = home.path("jobs.db");
    let serve = || {
        let mut command = home.serve();
        command.env("JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_SECRET", SECRET);
        let mut process = Process::start(command);
        let daemon = Sender::new(process.url());
        (process, daemon)
    };
    let (process, daemon) = serve();
    for n in 0..200 {
        assert_eq!(daemon.deliver(&format!("job-{n}")).await.0, 200);
    }
    process.stop();
    let sound = fs::read(&file).expect("the database");
    let beside = fs::metadata(home.path("jobs.db-wal")).map_or(0, |file| file.len());
    assert_eq!(beside, 0, "a daemon that has stopped leaves all of it in one file");
    let (process, daemon) = serve();
    let open = File::options().write(true).open(&file).expect("the database");
    open.write_all_at(&vec![0xa5; sound.len() - 4096], 4096).expect("damage");

    let (status, may_retry, body) = daemon.deliver("after").await;

    assert_eq!((status, may_retry), (503, true), "{body}");
    assert_eq!(daemon.database().await.0, "unhealthy");
    assert_eq!(daemon.get("/health/live").await.0, 200);

    open.write_all_at(&sound, 0).expect("the file as it was");
    let (status, _, body) = daemon.deliver("after").await;
    assert_eq!((status, &body["status"]), (200, &json!("received")), "{body}");
    assert_eq!(daemon.get("/api/cloud/jobs").await.1["total"], 201);
    process.stop();
}
