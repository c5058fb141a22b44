//! The command line client: the real binary against a real daemon, which tracks a simulated account.

#[path = "support/mod.rs"]
mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};

use jobsyncd::simulator::{JobSpec, JobUpdate, Simulator, Status};
use rstest::rstest;
use serde_json::{Value, json};
use support::daemon::simulator;
use support::process::{Home, Process};

/// An account, a daemon that tracks it, and where both live.
struct World {
    home: Home,
    simulator: Simulator,
    daemon: Option<Process>,
    url: String,
}

impl World {
    fn new() -> Self {
        Self::with(&[])
    }

    /// A daemon with this in its environment.
    fn with(environment: &[(&str, &str)]) -> Self {
        let home = Home::new();
        // It runs on a thread of its own, and needs no system once it has been started.
        let simulator = actix_rt::System::new().block_on(simulator());
        let mut world = Self { home, simulator, daemon: None, url: String::new() };
        world.start(environment);
        world
    }

    /// Starts the daemon: the first time on a free port, then on the same.
    fn start(&mut self, environment: &[(&str, &str)]) {
        let bind = self.url.strip_prefix("http://").unwrap_or("127.0.0.1:0");
        let database = format!("sqlite://{}", self.home.path("jobs.db").display());
        let arguments = ["serve", "--bind", bind, "--database-url", &database];
        let mut command = self.home.command(&arguments);
        command
            .env("JOBSYNCD__PROVIDERS__REPLICATE__BASE_URL", self.simulator.base_url())
            .env("REPLICATE_API_TOKEN", self.simulator.token())
            .envs(environment.iter().copied());
        let mut daemon = Process::start(command);
        self.url = daemon.url();
        self.daemon = Some(daemon);
    }

    fn stop(&mut self) {
        self.daemon.take().expect("a running daemon").stop();
    }

    /// The client, which is told the server by the environment.
    fn client(&self, arguments: &[&str]) -> Command {
        let mut command = self.home.command(arguments);
        command.env("JOBSYNCD_SERVER", &self.url);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.client(arguments).output().expect("the binary runs")
    }

    /// A job that the daemon knows, in this state.
    fn job(&self, status: Status) -> String {
        let id = self.simulator.create_job(JobSpec::manual()).expect("a job");
        self.simulator.set_status(&id, status).expect("a change");
        self.sync();
        id
    }

    fn sync(&self) {
        let (status, answer) = http("POST", &format!("{}/api/cloud/jobs/sync", self.url));
        assert_eq!(status, 200, "{answer}");
    }

    /// Lets the account change and the daemon hear of it.
    fn change(&self, id: &str, update: JobUpdate) {
        self.simulator.update_job(id, update).expect("a change");
        let (status, answer) = http("GET", &format!("{}/api/cloud/jobs?sync_active=1", self.url));
        assert_eq!(status, 200, "{answer}");
    }

    /// A client that goes on for a while.
    fn spawn(&self, arguments: &[&str]) -> Process {
        Process::start(self.client(arguments))
    }
}

/// The status and the body of an answer.
fn http(method: &str, url: &str) -> (u16, String) {
    let rest = url.strip_prefix("http://").expect("a plain URL");
    let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut socket = TcpStream::connect(address).expect("a connection");
    write!(socket, "{method} /{path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: 0\r\n\r\n")
        .expect("a request");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
    (status, answer)
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// The one document that a command printed.
fn document(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// Asserts that a command printed nothing, said one line with these words, and ended so.
fn refused(output: &Output, code: i32, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert_eq!((said.lines().count(), stdout(output)), (1, String::new()), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in {said}");
    }
}

#[test]
fn a_list_is_a_table_for_people_and_the_daemons_own_json_for_programs() {
    let world = World::new();
    let id = world.job(Status::Processing);
    let output = world.run(&["jobs", "list"]);
    let said = stdout(&output);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let lines: Vec<_> = said.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("JOB "), "{said}");
    assert!(lines[1].starts_with(&id) && lines[1].contains("  running  "), "{said}");
    assert!(!said.contains('\u{1b}'), "no colours in a pipe: {said:?}");
    let listed = document(&world.run(&["jobs", "list", "--format", "json"]));
    assert_eq!((&listed["total"], &listed["jobs"][0]["job_id"]), (&json!(1), &json!(id)));
}

#[test]
fn a_list_is_filtered_searched_sorted_and_paged() {
    let world = World::new();
    let running = world.job(Status::Processing);
    let done = world.job(Status::Succeeded);
    let ids = |arguments: &[&str]| {
        let page =
            document(&world.run(&[&["jobs", "list", "--format", "json"], arguments].concat()));
        let jobs = page["jobs"].as_array().expect("a list").clone();
        jobs.iter().map(|job| job["job_id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&["--status", "running,queued"]), [running.as_str()]);
    assert_eq!(ids(&["--query", &done]), [done.as_str()]);
    assert_eq!(ids(&["--sort", "oldest"]), [running.as_str(), done.as_str()]);
    assert_eq!(ids(&["--limit", "1", "--offset", "1"]), [running.as_str()]);
    assert_eq!(ids(&["--provider", "replicate", "--status", "failed"]), [""; 0]);
    let part = stdout(&world.run(&["jobs", "list", "--limit", "1"]));
    assert!(part.ends_with("jobs 1 to 1 of 2\n"), "{part}");
    let unknown = world.run(&["jobs", "list", "--status", "sleeping"]);
    refused(&unknown, 5, &["sleeping", "running"]);
}

#[test]
fn a_list_with_sync_shows_what_the_provider_says_now() {
    let world = World::new();
    let id = world.job(Status::Processing);
    world.simulator.set_status(&id, Status::Succeeded).expect("a change");
    assert!(stdout(&world.run(&["jobs", "list"])).contains("running"));
    assert!(stdout(&world.run(&["jobs", "list", "--sync"])).contains("completed"));
}

#[test]
fn one_job_is_shown_and_an_unknown_one_is_refused_with_the_daemons_words() {
    let world = World::new();
    let id = world.job(Status::Processing);
    let said = stdout(&world.run(&["jobs", "get", &id]));
    assert!(said.contains(&format!("job       {id}")) && said.contains("running"), "{said}");
    let answer = document(&world.run(&["jobs", "get", &id, "--format", "json"]));
    assert_eq!(answer["job"]["job_id"], json!(id));
    refused(&world.run(&["jobs", "get", "no-such-job"]), 4, &["Job not found: no-such-job"]);
    refused(&world.run(&["jobs", "get", "a/../b?c"]), 4, &["Job not found: a/../b?c"]);
}

#[test]
fn a_job_is_cancelled_once() {
    let world = World::new();
    let id = world.job(Status::Processing);
    assert_eq!(stdout(&world.run(&["jobs", "cancel", &id])), format!("{id} cancelled\n"));
    assert_eq!(world.simulator.job(&id).expect("a job")["status"], "canceled");
    refused(&world.run(&["jobs", "cancel", &id]), 5, &["cancelled", "cannot be cancelled"]);
}

#[test]
fn a_server_that_is_not_there_is_named_with_a_question() {
    let home = Home::new();
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let url = format!("http://{free}");
    let output = home.run(&["jobs", "list", "--server", &url]);
    refused(&output, 3, &[&format!("cannot reach {url}: is the daemon running?"), "refused"]);
    let url = format!("https://{free}");
    refused(&home.run(&["jobs", "list", "--server", &url]), 3, &[&format!("cannot reach {url}:")]);
}

#[test]
fn a_server_that_speaks_no_tls_is_an_error_and_no_panic() {
    let world = World::new();
    let url = world.url.replace("http://", "https://");
    refused(&world.run(&["jobs", "list", "--server", &url]), 3, &[&url]);
}

#[test]
fn a_key_is_read_from_a_file_or_the_environment_and_never_from_the_arguments() {
    const KEY: &str = "a-key-of-the-tests-0123456789";
    let world = World::with(&[("JOBSYNCD__SERVER__API_KEY", KEY)]);
    let list = ["jobs", "list"];
    refused(&world.run(&list), 5, &["an API key is needed", "JOBSYNCD_API_KEY", "--api-key-file"]);
    for name in ["JOBSYNCD_API_KEY", "SIMPLETUNER_API_KEY"] {
        let with = |key| world.client(&list).env(name, key).output().expect("it runs");
        assert_eq!(stdout(&with(KEY)), "no jobs\n");
        let wrong = with("another-key-0123456789");
        refused(&wrong, 5, &["not one of the daemon's"]);
        assert!(!format!("{wrong:?}").contains("another-key"), "{wrong:?}");
    }
    let file = world.home.file("key", format!("{KEY}\n"));
    let file = file.to_str().expect("a path");
    let output = world.run(&["jobs", "list", "--api-key-file", file]);
    assert_eq!(stdout(&output), "no jobs\n", "{output:?}");
    refused(&world.run(&["jobs", "list", "--api-key-file", "nowhere"]), 64, &["nowhere"]);
    assert_eq!(world.run(&["jobs", "list", "--api-key", KEY]).status.code(), Some(64));
}

#[test]
fn the_variables_of_simpletuner_name_the_server_as_well() {
    let world = World::new();
    let (host, port) = world.url.trim_start_matches("http://").split_once(':').expect("a port");
    let environments = [
        vec![("SIMPLETUNER_HOST", host), ("SIMPLETUNER_PORT", port)],
        vec![("SIMPLETUNER_HOST", &world.url)],
    ];
    for environment in environments {
        let mut command = world.home.command(&["jobs", "list"]);
        let output = command.envs(environment).output().expect("it runs");
        assert_eq!(stdout(&output), "no jobs\n", "{output:?}");
    }
}

#[rstest]
#[case::completed(Status::Succeeded, None, 0, "completed")]
#[case::failed(Status::Failed, Some("CUDA out of memory"), 1, "CUDA out of memory")]
#[case::cancelled(Status::Canceled, None, 2, "cancelled")]
fn wait_ends_as_the_job_did(
    #[case] end: Status,
    #[case] error: Option<&str>,
    #[case] code: i32,
    #[case] words: &str,
) {
    let world = World::new();
    let id = world.job(Status::Processing);
    let mut waiting = world.spawn(&["wait", &id]);
    waiting.line(&format!("waiting for {id}, which is running"));
    let end = JobUpdate { error: error.map(str::to_owned), ..JobUpdate::status(end) };
    world.change(&id, end);
    let (status, said) = waiting.end();
    assert_eq!(status.code(), Some(code), "{said}");
    assert!(said.lines().any(|line| line.starts_with(&id) && line.contains(words)), "{said}");
    // Of a job that has ended there is nothing to wait for.
    let again = world.run(&["wait", &id, "--format", "json"]);
    assert_eq!(again.status.code(), Some(code), "{again:?}");
    let answer: Value = serde_json::from_slice(&again.stdout).expect("one document");
    assert_eq!((&answer["job"]["job_id"], again.stderr.len()), (&json!(id), 0));
}

#[test]
fn wait_tells_a_daemon_that_is_not_there_from_a_job_that_is_not() {
    let mut world = World::new();
    refused(&world.run(&["wait", "no-such-job"]), 4, &["Job not found"]);
    world.stop();
    refused(&world.run(&["wait", "no-such-job"]), 3, &["is the daemon running?"]);
    assert_eq!(world.run(&["wait"]).status.code(), Some(64));
}

#[rstest]
fn wait_goes_on_over_a_restart_of_the_daemon_whenever_the_end_comes(
    #[values(true, false)] it_ends_meanwhile: bool,
) {
    let mut world = World::new();
    let id = world.job(Status::Processing);
    let mut waiting = world.spawn(&["wait", &id]);
    waiting.line("which is running");
    world.stop();
    waiting.line("trying again");
    if it_ends_meanwhile {
        world.simulator.set_status(&id, Status::Succeeded).expect("a change");
    }
    world.start(&[]);
    if !it_ends_meanwhile {
        waiting.line("the daemon is back");
    }
    world.change(&id, JobUpdate::status(Status::Succeeded));
    let (status, said) = waiting.end();
    assert!(status.success() && said.contains(&format!("{id} completed")), "{said}");
}

#[test]
fn wait_gives_up_on_a_daemon_that_stays_away() {
    let mut world = World::new();
    let id = world.job(Status::Processing);
    let mut waiting = world.spawn(&["wait", &id, "--patience-seconds", "0"]);
    waiting.line("which is running");
    world.stop();
    let (status, said) = waiting.end();
    assert_eq!(status.code(), Some(3), "{said}");
}

#[test]
fn wait_looks_every_few_seconds_where_there_is_no_stream_to_be_had() {
    let world = World::with(&[("JOBSYNCD__EVENTS__MAX_CONNECTIONS_PER_IP", "1")]);
    let id = world.job(Status::Processing);
    let mut first = world.spawn(&["wait", &id]);
    first.line("which is running");
    let mut second = world.spawn(&["wait", &id]);
    second.line("looking every 3 s");
    second.line("which is running");
    world.change(&id, JobUpdate::status(Status::Failed));
    for waiting in [first, second] {
        let (status, said) = waiting.end();
        assert_eq!(status.code(), Some(1), "{said}");
    }
}

#[test]
fn a_log_is_printed_by_lines_from_any_of_them_and_by_text() {
    let world = World::new();
    let id = world.job(Status::Processing);
    let log = "loading\nstep 1\rstep 2\n\u{1b}[31mLoss 0.5\u{1b}[0m\ndone\n";
    world.change(&id, JobUpdate { append_logs: Some(log.to_owned()), ..JobUpdate::default() });
    let logs =
        |arguments: &[&str]| stdout(&world.run(&[&["jobs", "logs", &id], arguments].concat()));
    assert_eq!(logs(&[]), "loading\nstep 2\nLoss 0.5\ndone\n");
    assert_eq!(logs(&["--after", "2"]), "Loss 0.5\ndone\n");
    assert_eq!(logs(&["--query", "loss"]), "Loss 0.5\n");
    let answer = document(&world.run(&["jobs", "logs", &id, "--after", "3", "--format", "json"]));
    assert_eq!(answer["lines"], json!([{"number": 4, "text": "done"}]));
    refused(&world.run(&["jobs", "logs", "no-such-job"]), 4, &["Job not found"]);
    refused(&world.run(&["jobs", "logs", "no-such-job", "--follow"]), 4, &["Job not found"]);
}

#[test]
fn a_log_is_followed_to_the_jobs_end_also_over_a_restart_and_no_line_comes_twice() {
    let mut world = World::new();
    let id = world.job(Status::Processing);
    let print = |world: &World, text: &str| {
        world.simulator.append_logs(&id, text).expect("a change");
    };
    print(&world, "one\ntwo\n");
    let mut following = world.spawn(&["jobs", "logs", &id, "--follow", "--format", "json"]);
    following.line("two");
    print(&world, "three\n");
    following.line("three");
    world.stop();
    following.line("trying again");
    world.start(&[]);
    following.line("the daemon is back");
    print(&world, "four\n");
    world.change(&id, JobUpdate::status(Status::Succeeded));
    let (status, said) = following.end();
    assert!(status.success(), "{said}");
    let lines: Vec<Value> =
        said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let expected = ["one", "two", "three", "four"].iter().zip(1..);
    let expected: Vec<_> =
        expected.map(|(text, number)| json!({"number": number, "text": text})).collect();
    assert_eq!(lines, expected, "{said}");
    assert!(said.ends_with("the job is completed"), "{said}");
}

#[test]
fn following_ends_quietly_when_nobody_reads_any_more() {
    let world = World::new();
    let id = world.job(Status::Processing);
    world.simulator.append_logs(&id, "one\n").expect("a change");
    let mut command = world.client(&["jobs", "logs", &id, "--follow"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    let mut output = BufReader::new(child.stdout.take().expect("its output"));
    let mut line = String::new();
    output.read_line(&mut line).expect("a line");
    assert_eq!(line, "one\n");
    drop(output);
    world.simulator.append_logs(&id, "two\n").expect("a change");
    let ended = child.wait_with_output().expect("it ends");
    assert!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");
}

#[rstest]
#[case(&["jobs", "get"])]
#[case(&["jobs", "get", ".."])]
#[case(&["jobs", "list", "--format", "yaml"])]
#[case(&["jobs", "list", "--server", "ftp://a"])]
#[case(&["no-such-command"])]
fn a_command_line_that_makes_no_sense_has_a_status_of_its_own(#[case] arguments: &[&str]) {
    let output = Home::new().run(arguments);
    assert_eq!(output.status.code(), Some(64), "{output:?}");
    assert!(!output.stderr.is_empty() && output.stdout.is_empty(), "{output:?}");
}
