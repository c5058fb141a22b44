//! The command line client: the real binary against a real daemon, which tracks a simulated account.

#[path = "support/mod.rs"]
mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use jobsyncd::simulator::{JobSpec, JobUpdate, Seed, Simulator, Status};
use rstest::rstest;
use serde_json::{Value, json};
use support::daemon::{SOON, simulator};
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
            .env("JOBSYNCD__PROGRESS__TTL_SECONDS", "1")
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

    /// The client in a terminal of 80 columns.
    fn in_terminal(&self, arguments: &str) -> Terminal {
        let client = format!("stty cols 80; exec {} {arguments}", env!("CARGO_BIN_EXE_jobsyncd"));
        let mut command = self.home.program("script");
        command.args(["-qefc", &client, "/dev/null"]).env("JOBSYNCD_SERVER", &self.url);
        command.env("TERM", "xterm");
        Terminal::start(command)
    }

    /// A client that goes on for a while.
    fn spawn(&self, arguments: &[&str]) -> Process {
        Process::start(self.client(arguments))
    }
}

/// A program in a terminal, and all that it has written: bars end no line.
struct Terminal {
    child: Child,
    output: Receiver<String>,
    shown: String,
}

impl Terminal {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("script of util-linux");
        let mut stdout = child.stdout.take().expect("its output");
        let (sender, output) = channel();
        thread::spawn(move || {
            let mut bytes = [0; 4_096];
            while let Ok(1..) = stdout.read(&mut bytes).inspect(|count| {
                let text = String::from_utf8_lossy(&bytes[..*count]).into_owned();
                let _ = sender.send(text);
            }) {}
        });
        Self { child, output, shown: String::new() }
    }

    /// Waits until it shows these words.
    fn until(&mut self, words: &str) {
        while !self.shown.contains(words) {
            let Ok(text) = self.output.recv_timeout(SOON) else {
                panic!("no {words:?} in {:?}", self.shown)
            };
            self.shown.push_str(&text);
        }
    }

    /// Waits for its end, and answers all that it showed.
    fn end(mut self) -> String {
        while let Ok(text) = self.output.recv_timeout(SOON) {
            self.shown.push_str(&text);
        }
        assert!(self.child.wait().expect("it has ended").success(), "{:?}", self.shown);
        std::mem::take(&mut self.shown)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has usually ended by now; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that answers each connection by the next of some answers, or cuts it where that is empty,
/// and keeps what it was sent.
struct Stub {
    url: String,
    requests: Receiver<(String, Value)>,
}

impl Stub {
    /// Answers of JSON; a text is sent as it is.
    fn new(answers: &[(&str, Value)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (sender, requests) = channel();
        let text = |body: &Value| body.as_str().map_or_else(|| body.to_string(), str::to_owned);
        let answers: Vec<_> =
            answers.iter().map(|(status, body)| ((*status).to_owned(), text(body))).collect();
        thread::spawn(move || {
            for (status, body) in answers {
                let (mut socket, _) = listener.accept().expect("a connection");
                sender.send(read_request(&socket)).expect("the test goes on");
                if !status.is_empty() {
                    let length = body.len();
                    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n");
                    write!(socket, "{head}Connection: close\r\n\r\n{body}").expect("an answer");
                }
            }
        });
        Self { url, requests }
    }

    fn requests(self) -> Vec<(String, Value)> {
        self.requests.iter().collect()
    }
}

/// The first line of a request with the last event that the client has seen, and its JSON.
fn read_request(socket: &TcpStream) -> (String, Value) {
    let mut reader = BufReader::new(socket);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).expect("a line");
    first.truncate(first.trim_end().len());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line");
        match line.trim().to_lowercase().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().expect("a length"),
            Some(("last-event-id", id)) => first.push_str(&format!(" after {id}")),
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    (first, serde_json::from_slice(&body).unwrap_or_default())
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
    let url = "http://127.0.0.1:1".to_owned();
    let output = home.run(&["jobs", "list", "--server", &url]);
    refused(&output, 3, &[&format!("cannot reach {url}: is the daemon running?"), "refused"]);
    let url = "https://127.0.0.1:1".to_owned();
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

/// What a server answers that tells of a job in this state.
fn job_answer(id: &str, status: &str) -> (&'static str, Value) {
    let is_terminal = status != "running";
    ("200 OK", json!({"job": {"job_id": id, "status": status, "is_terminal": is_terminal}}))
}

/// A stream with one event.
fn stream_answer(event: &Value) -> (&'static str, Value) {
    ("200 OK", json!(format!("id: 7\ndata: {event}\n\n")))
}

#[rstest]
#[case::before_the_stream(&[
    job_answer("a", "running"),
    stream_answer(&json!({"type": "connected"})),
    job_answer("a", "completed"),
], "a")]
#[case::what_was_pruned(&[
    job_answer("a", "running"),
    stream_answer(&json!({"type": "reset"})),
    job_answer("a", "running"),
    job_answer("a", "completed"),
], "a")]
#[case::of_its_other_name(&[
    job_answer("a", "running"),
    stream_answer(&json!({"type": "job_deleted", "job_id": "a", "merged_into": "b"})),
    job_answer("a", "running"),
    job_answer("b", "completed"),
], "b")]
fn wait_misses_no_end(#[case] answers: &[(&str, Value)], #[case] last: &str) {
    let stub = Stub::new(answers);
    let output = Home::new().run(&["wait", "a", "--server", &stub.url, "--patience-seconds", "0"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(stdout(&output), format!("{last} completed\n"));
    let asked: Vec<_> = stub.requests().into_iter().map(|(line, _)| line).collect();
    assert_eq!(asked.len(), answers.len(), "{asked:?}");
    assert_eq!(asked[1], "GET /api/events HTTP/1.1", "{asked:?}");
    assert_eq!(asked.last().expect("a request"), &format!("GET /api/cloud/jobs/{last} HTTP/1.1"));
}

#[test]
fn a_log_that_is_rewritten_is_followed_from_its_beginning() {
    let lines = "id: 1\ndata: old\n\nevent: reset\ndata: the log was rewritten\n\n";
    let rest = "id: 1\ndata: new\n\nevent: done\ndata: completed\n\n";
    let job = job_answer("a", "running");
    let stub = Stub::new(&[job, ("200 OK", json!(lines)), ("200 OK", json!(rest))]);
    let output = Home::new().run(&["jobs", "logs", "a", "--follow", "--server", &stub.url]);
    assert_eq!(stdout(&output), "old\nnew\n", "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("the log was rewritten"), "{said}");
    let asked = stub.requests();
    assert!(asked.len() == 3 && !asked[2].0.contains("after 1"), "{asked:?}");
}

#[test]
fn a_stream_that_breaks_goes_on_after_the_last_event_that_came() {
    let stub = Stub::new(&[
        job_answer("a", "running"),
        stream_answer(&json!({"type": "sync_completed"})),
        job_answer("a", "running"),
        stream_answer(&json!({"type": "sync_completed"})),
        job_answer("a", "completed"),
    ]);
    let output = Home::new().run(&["wait", "a", "--server", &stub.url]);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("trying again"), "{said}");
    let asked = stub.requests();
    assert_eq!(asked[1].0, "GET /api/events HTTP/1.1");
    assert_eq!(asked[3].0, "GET /api/events HTTP/1.1 after 7");
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
    // The two outputs are gathered as they come, in any order.
    assert!(said.lines().any(|line| line.ends_with("the job is completed")), "{said}");
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

#[test]
fn a_sync_says_what_it_found() {
    let world = World::new();
    world.simulator.create_job(JobSpec::manual()).expect("a job");
    let said = stdout(&world.run(&["sync"]));
    let expected = "Discovered 1 new jobs from Replicate; 0 updated, 0 unchanged, in 1 call\n";
    assert_eq!(said, expected);
    let answer = document(&world.run(&["sync", "--all", "--format", "json"]));
    assert_eq!((&answer["synced"], &answer["unchanged"]), (&json!(0), &json!(1)));
    refused(&world.run(&["sync", "--provider", "nobody"]), 5, &["Unknown provider: nobody"]);
}

#[test]
fn a_sync_of_the_whole_account_shows_in_a_terminal_how_far_it_is_and_nothing_of_it_in_a_pipe() {
    let world = World::new();
    world.simulator.seed(&Seed::new(250, &[Status::Succeeded]));
    // Slow enough for a bar to be drawn between two pages.
    world.simulator.set_latency(Duration::from_millis(300));
    let said = world.in_terminal("sync --all").end();
    assert!(said.contains("replicate: 1 page read, 100 new, 0 updated"), "{said:?}");
    assert!(said.contains("replicate: 2 pages read, 200 new, 0 updated"), "{said:?}");
    assert!(said.contains("Discovered 250 new jobs from Replicate; 0 updated"), "{said:?}");
    world.simulator.set_latency(Duration::ZERO);
    let again = world.run(&["sync", "--all"]);
    assert!(again.stderr.is_empty() && stdout(&again).lines().count() == 1, "{again:?}");
    let list = world.in_terminal("jobs list --limit 500").end();
    assert!(list.lines().all(|line| line.trim_end().chars().count() <= 80), "{list}");
}

#[test]
fn a_token_is_good_or_the_command_ends_with_one_and_says_why() {
    let world = World::new();
    let good = world.run(&["validate"]);
    assert!(good.status.success() && stdout(&good).starts_with("replicate: valid"), "{good:?}");
    assert_eq!(document(&world.run(&["validate", "--format", "json"]))["valid"], true);
    refused(&world.run(&["validate", "nobody"]), 5, &["Unknown provider: nobody"]);
    let world = World::with(&[("REPLICATE_API_TOKEN", "r8_wrong")]);
    let bad = world.run(&["validate", "replicate"]);
    assert_eq!(bad.status.code(), Some(1), "{bad:?}");
    assert!(stdout(&bad).starts_with("replicate: not valid: "), "{bad:?}");
}

#[test]
fn watch_tells_a_pipe_every_state_and_progress_of_every_active_job() {
    let mut world = World::new();
    let first = world.job(Status::Processing);
    let mut watching = world.spawn(&["watch"]);
    watching.line(&format!("{first} running"));
    let bar = "Epoch 1/1, Steps:  40%|####      | 40/100 [00:10<00:15,  4.00it/s]\n";
    world.change(&first, JobUpdate { append_logs: Some(bar.into()), ..JobUpdate::default() });
    watching.line(&format!("{first} running 40%, step 40/100"));
    let second = world.job(Status::Starting);
    watching.line(&format!("{second} queued"));
    world.stop();
    watching.line("trying again");
    world.simulator.set_status(&first, Status::Succeeded).expect("a change");
    world.start(&[]);
    world.change(&second, JobUpdate::status(Status::Failed));
    watching.line(&format!("{first} completed"));
    watching.line(&format!("{second} failed"));
    let told = |words: String| watching.said.iter().filter(|line| line.contains(&words)).count();
    assert_eq!(told(format!("{first} completed")), 1, "{:#?}", watching.said);
}

#[test]
fn watch_draws_a_bar_for_every_running_job_and_takes_it_away_at_its_end() {
    let world = World::new();
    let id = world.job(Status::Processing);
    let bar = "Steps:  50%|#####     | 50/100 [00:10<00:10,  5.00it/s]\n";
    world.change(&id, JobUpdate { append_logs: Some(bar.into()), ..JobUpdate::default() });
    let mut watching = world.in_terminal("watch");
    watching.until(" [=====>    ]  50% 50/100 ");
    watching.until("1 running");
    world.change(&id, JobUpdate::status(Status::Succeeded));
    watching.until(&format!("{id} completed"));
    watching.until("no job is active");
}

#[test]
fn watch_hands_programs_the_daemons_events_a_line_each() {
    let world = World::new();
    let mut watching = world.spawn(&["watch", "--format", "json"]);
    watching.line("\"connected\"");
    let id = world.job(Status::Processing);
    let line = watching.line("job_discovered");
    let event: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(event["job"]["job_id"], json!(id));
}

#[test]
fn a_job_is_submitted_with_what_the_files_and_flags_say() {
    let home = Home::new();
    home.file("config.json", r#"{"learning_rate": 1e-4}"#);
    home.file("data.json", r#"[{"id": "cats"}]"#);
    let stub = Stub::new(&[(
        "200 OK",
        json!({"success": true, "job_id": "abc", "status": "queued",
        "quota_warnings": ["two are running"], "idempotent_hit": false}),
    )]);
    let arguments = "jobs submit --config config.json --dataloader data.json --config-name cats \
        --hardware-profile h100 --priority urgent --idempotency-key k1";
    let arguments: Vec<_> = arguments.split_whitespace().chain(["--server", &stub.url]).collect();
    let output = home.run(&arguments);
    assert_eq!(stdout(&output), "abc queued\n", "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("two are running"), "{output:?}");
    let body = json!({
        "config": {"learning_rate": 1e-4}, "dataloader_config": [{"id": "cats"}],
        "config_name": "cats", "hardware_profile": "h100",
        "priority": "urgent", "idempotency_key": "k1",
    });
    let request = "POST /api/cloud/jobs/submit?provider=replicate HTTP/1.1".to_owned();
    assert_eq!(stub.requests(), [(request, body)]);
}

#[test]
fn a_job_is_submitted_waited_for_and_the_same_when_it_is_submitted_again() {
    let world = World::new();
    world.home.file("input.json", r#"{"_simulator": "manual"}"#);
    let submit = "jobs submit --input input.json --model simpletuner/advanced-trainer-l40s \
        --idempotency-key mine";
    let submit: Vec<_> = submit.split_whitespace().collect();
    let answer = document(&world.run(&[&submit[..], &["--format", "json"]].concat()));
    let id = answer["job_id"].as_str().expect("an id");
    let mut again = world.spawn(&[&submit[..], &["--wait"]].concat());
    again.line("it is the same job");
    again.line(&format!("waiting for {id}, which is"));
    let prediction = loop {
        let answer = document(&world.run(&["jobs", "get", id, "--format", "json"]));
        if let Some(prediction) = answer["job"]["metadata"]["prediction_id"].as_str() {
            break prediction.to_owned();
        }
    };
    world.change(&prediction, JobUpdate::status(Status::Failed));
    let (status, said) = again.end();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("{id} failed")), "{said}");
    assert_eq!(world.simulator.job_count(), 1);
}

#[test]
fn a_submission_is_repeated_with_the_same_key_so_that_it_can_never_be_two() {
    let home = Home::new();
    let input = home.file("input.json", r#"{"steps": 10}"#);
    let busy = json!({"detail": "the daemon is busy", "error": "busy"});
    let taken = json!({"success": true, "job_id": "abc", "status": "queued"});
    let answers = [("", json!(null)), ("503 Service Unavailable", busy), ("200 OK", taken)];
    let stub = Stub::new(&answers);
    let mut command = home.command(&["jobs", "submit", "--input", "-", "--format", "json"]);
    command.args(["--server", &stub.url]).stdin(std::fs::File::open(input).expect("a file"));
    let output = command.output().expect("it runs");
    assert_eq!(document(&output)["job_id"], "abc");
    let bodies: Vec<_> = stub.requests().into_iter().map(|(_, body)| body).collect();
    assert!(bodies.len() == 3 && bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    assert_eq!(bodies[0]["input"], json!({"steps": 10}));
    assert_eq!(bodies[0]["idempotency_key"].as_str().map(str::len), Some(36), "{bodies:?}");
}

#[test]
fn a_submission_that_is_refused_is_not_repeated() {
    let home = Home::new();
    home.file("input.json", "{}");
    let submit =
        |stub: &Stub| home.run(&["jobs", "submit", "--input", "input.json", "--server", &stub.url]);
    let stub = Stub::new(&[("422 Unprocessable Entity", json!({"detail": "steps: too many"}))]);
    refused(&submit(&stub), 5, &["steps: too many"]);
    let stub = Stub::new(&[("200 OK", json!({"success": false, "error": "no credit"}))]);
    refused(&submit(&stub), 5, &["not submitted: no credit"]);
    let server = "http://127.0.0.1:1";
    let output = home.run(&["jobs", "submit", "--input", "input.json", "--server", server]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(3) && said.contains("--idempotency-key "), "{said}");
}

#[rstest]
#[case::no_file(&["--config", "nowhere.json"], "nowhere.json")]
#[case::not_json(&["--config", "broken.json"], "broken.json: this is not JSON")]
#[case::wrong_shape(&["--config", "list.json"], "list.json: the JSON is not an object")]
#[case::nothing(&["--config-name", "cats"], "--config")]
#[case::both(&["--config", "list.json", "--input", "list.json"], "cannot be used with")]
#[case::priority(&["--config", "list.json", "--priority", "soon"], "critical")]
fn a_submission_that_makes_no_sense_is_refused_before_anybody_is_asked(
    #[case] arguments: &[&str],
    #[case] words: &str,
) {
    let home = Home::new();
    home.file("broken.json", "{");
    home.file("list.json", "[]");
    let output = home.run(&[&["jobs", "submit"], arguments].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(64) && said.contains(words), "{said}");
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
