//! The real binary: what it prints, what it refuses, and how it ends.

#[path = "support/mod.rs"]
mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Output;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use rstest::rstest;
use support::daemon::{Backend, SOON, TestDatabase};
use support::process::{Home, Process};

/// A token that must never be seen.
const SECRET: &str = "r8_never-to-be-seen-0123456789";

/// The status and the beginning of an answer.
fn http(method: &str, url: &str, headers: &str) -> (u16, String) {
    let rest = url.strip_prefix("http://").expect("a plain URL");
    let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut socket = TcpStream::connect(address).expect("a connection");
    socket.set_read_timeout(Some(SOON)).expect("a timeout");
    write!(
        socket,
        "{method} /{path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: 0\r\n{headers}\r\n"
    )
    .expect("a request");
    let mut answer = String::new();
    if path.ends_with("events") {
        // A stream does not end: its first event is enough.
        let mut reader = BufReader::new(socket);
        while !answer.contains("data:") && reader.read_line(&mut answer).expect("a line") > 0 {}
    } else {
        socket.read_to_string(&mut answer).expect("an answer");
    }
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
    (status, answer)
}

/// Asserts that a command failed, and that the last thing it said is one line that holds all these
/// words. Where a database fails, its own words come before it.
fn refused(output: &Output, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    assert!(output.status.code().is_some(), "it was killed: {said}");
    let last = said.lines().last().expect("a line");
    assert!(last.contains("ERROR"), "{said}");
    for word in words {
        assert!(last.contains(word), "{word:?} is not in the last line of {said}");
    }
    assert!(!said.contains("panicked") && !said.contains(SECRET), "{said}");
}

/// An API key of the demonstration.
const DEMO_KEY: &str = "a-key-for-the-demonstration";

/// The status by which a program says that a restart would not help.
const LASTING: Option<i32> = Some(78);

/// The same for what was refused before anything began: that line is all that was said.
fn refused_in_one_line(output: &Output, words: &[&str]) {
    refused(output, words);
    assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1, "{output:?}");
}

#[rstest]
#[case(&["--help"], &["serve", "demo", "simulate", "check-config", "token"])]
#[case(&["serve", "--help"], &["--config", "--bind", "--database-url", "REPLICATE_API_TOKEN"])]
#[case(&["demo", "--help"], &["--bind", "simulated"])]
#[case(&["simulate", "--help"], &["--bind", "--token", "--speed", "--empty"])]
#[case(&["check-config", "--help"], &["--config", "what is wrong"])]
#[case(&["token", "--help"], &["API key"])]
#[case(&["jobs", "--help"], &["list", "get", "logs", "cancel", "submit"])]
#[case(&["jobs", "list", "--help"], &["--server", "JOBSYNCD_SERVER", "--api-key-file", "SIMPLETUNER_API_KEY"])]
#[case(&["wait", "--help"], &["0 where the job is completed", "64 where"])]
#[case(&["watch", "--help"], &["a line"])]
#[case(&["sync", "--help"], &["--all"])]
fn every_command_explains_itself(#[case] arguments: &[&str], #[case] words: &[&str]) {
    let output = Home::new().run(arguments);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in {said}");
    }
}

#[test]
fn a_good_configuration_is_shown_with_the_source_of_each_value_and_without_secrets() {
    let home = Home::new();
    let file = home.file("my.yaml", "server: {bind: \"127.0.0.1:9000\"}\n");
    let output = home
        .command(&["check-config", "--config", file.to_str().expect("a path")])
        .env("REPLICATE_API_TOKEN", SECRET)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(said.contains("127.0.0.1:9000") && said.contains("my.yaml"), "{said}");
    assert!(said.contains("REPLICATE_API_TOKEN"), "{said}");
    assert!(!format!("{output:?}").contains(SECRET), "{output:?}");
}

#[rstest]
#[case::unknown_key("server: {bnid: x}", &["bad.yaml", "server.bnid", "server.bind"])]
#[case::bad_value("progress: {ttl_seconds: 0}", &["bad.yaml", "progress.ttl_seconds", "from 1 to 3600"])]
#[case::wrong_type("events: {heartbeat_seconds: often}", &["bad.yaml", "events.heartbeat_seconds", "whole number"])]
#[case::not_yaml("server: [", &["bad.yaml"])]
#[case::exposed("server: {bind: \"0.0.0.0:0\"}", &["bad.yaml", "server.bind", "API key"])]
fn a_bad_file_is_refused_by_both_commands_with_file_key_and_what_is_allowed(
    #[case] text: &str,
    #[case] words: &[&str],
    #[values("check-config", "serve")] command: &str,
) {
    let home = Home::new();
    let file = home.file("bad.yaml", text);
    let output = home.run(&[command, "--config", file.to_str().expect("a path")]);
    refused_in_one_line(&output, words);
    assert_eq!(output.status.code(), LASTING);
}

#[rstest]
#[case("SIMPLETUNER_JOB_POLL_INTERVAL", "0", "from 1 to 86400")]
#[case("JOBSYNCD__SERVER__BNID", "x", "did you mean `server.bind`?")]
#[case("JOBSYNCD_CONFIG", "/no/such/file.yaml", "cannot be read")]
fn a_bad_variable_is_refused_by_its_name(
    #[case] name: &str,
    #[case] value: &str,
    #[case] allowed: &str,
) {
    let output = Home::new().command(&["serve"]).env(name, value).output().expect("it runs");
    let named = if name == "JOBSYNCD_CONFIG" { value } else { name };
    refused_in_one_line(&output, &[named, allowed]);
}

#[test]
fn it_says_where_it_listens_and_whether_it_polls() {
    let home = Home::new();
    let mut daemon = Process::start(home.serve());
    let url = daemon.url();
    assert!(!url.ends_with(":0"), "{url}");
    assert_eq!(http("GET", &format!("{url}/health/live"), "").0, 200);
    let said = daemon.stop();
    let polling: Vec<_> = said.lines().filter(|line| line.contains("job status polling")).collect();
    assert_eq!(polling.len(), 1, "{said}");
    assert!(polling[0].contains("enabled") && polling[0].contains("30 s"), "{said}");
}

#[test]
fn without_a_token_it_starts_and_says_so() {
    let home = Home::new();
    let mut daemon = Process::start(home.serve());
    daemon.line("REPLICATE_API_TOKEN");
    let url = daemon.url();
    let (status, answer) =
        http("GET", &format!("{url}/api/cloud/providers/replicate/validate"), "");
    assert!(status == 200 && answer.contains("\"valid\":false"), "{answer}");
    assert!(answer.contains("REPLICATE_API_TOKEN"), "{answer}");
    daemon.stop();
}

#[test]
fn a_busy_port_is_refused_and_nothing_is_made() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let home = Home::new();
    let url = format!("sqlite://{}", home.path("jobs.db").display());
    let output = home.run(&["serve", "--bind", &address, "--database-url", &url]);
    refused(&output, &[&address, "in use"]);
    assert_eq!(output.status.code(), Some(1), "another program may leave the port");
    assert!(!home.path("jobs.db").exists());
    refused(&home.run(&["demo", "--bind", &address]), &[&address, "in use"]);
    refused(&home.run(&["simulate", "--bind", &address]), &[&address, "in use"]);
    assert_eq!(demo_folders(&home), 0);
}

#[test]
fn a_damaged_database_is_refused_and_left_as_it_is() {
    let home = Home::new();
    let garbage = b"this is no database, but it may be all that is left of one".repeat(100);
    let file = home.file("jobs.db", &garbage);
    let output = home.serve().output().expect("it runs");
    refused(&output, &["jobs.db", "damaged"]);
    assert_eq!(output.status.code(), LASTING);
    assert_eq!(std::fs::read(file).expect("still there"), garbage);
}

#[test]
fn a_database_that_another_program_has_locked_is_refused() {
    let home = Home::new();
    let path = home.path("jobs.db");
    let mut other = SqliteConnection::establish(&path.to_string_lossy()).expect("a database");
    other.batch_execute("CREATE TABLE theirs (x); BEGIN EXCLUSIVE").expect("a lock");
    let output = home.serve().output().expect("it runs");
    refused(&output, &["jobs.db", "locked by another process"]);
}

#[rstest]
fn a_second_daemon_on_the_same_database_is_refused_and_the_first_goes_on(
    #[values(Backend::Sqlite, Backend::Postgres)] backend: Backend,
) {
    let home = Home::new();
    let database = TestDatabase::new(backend);
    let serve = || home.serve_with(&database.url);
    let mut first = Process::start(serve());
    let url = first.url();
    let second = serve().output().expect("it runs");
    refused(&second, &["cannot use the database", "another jobsyncd"]);
    assert_eq!(http("GET", &format!("{url}/health/ready"), "").0, 200);
    first.stop();
    let mut next = Process::start(serve());
    next.url();
    next.stop();
}

#[rstest]
#[case::not_a_folder("file/jobs.db", "file")]
#[case::unwritable("/proc/jobsyncd/jobs.db", "/proc/jobsyncd")]
#[case::a_folder_itself("folder", "folder")]
fn a_database_that_cannot_be_made_is_refused_by_its_path(#[case] path: &str, #[case] named: &str) {
    let home = Home::new();
    home.file("file", "");
    std::fs::create_dir(home.path("folder")).expect("a folder");
    let url = format!("sqlite://{}", home.folder.path().join(path).display());
    let output = home.run(&["serve", "--bind", "127.0.0.1:0", "--database-url", &url]);
    refused(&output, &[named]);
}

#[test]
fn an_unreachable_postgres_is_refused_without_showing_the_password() {
    let home = Home::new();
    let url = format!("postgres://me:{SECRET}@127.0.0.1:1/jobs");
    let output = home.run(&["serve", "--bind", "127.0.0.1:0", "--database-url", &url]);
    refused(&output, &["postgres://", "no connection"]);
}

#[test]
fn an_address_that_others_can_reach_takes_an_api_key() {
    let home = Home::new();
    let serve = |key: Option<&str>| {
        let url = format!("sqlite://{}", home.path("jobs.db").display());
        let mut command = home.command(&["serve", "--bind", "0.0.0.0:0", "--database-url", &url]);
        command.envs(key.map(|key| ("JOBSYNCD__SERVER__API_KEY", key)));
        command
    };
    refused(&serve(None).output().expect("it runs"), &["0.0.0.0:0", "API key"]);
    refused(&home.run(&["demo", "--bind", "0.0.0.0:0"]), &["0.0.0.0:0", "API key"]);

    let made = home.run(&["token"]);
    let key = String::from_utf8(made.stdout).expect("text").trim().to_owned();
    assert!(key.len() >= 32 && key != String::from_utf8_lossy(&home.run(&["token"]).stdout).trim());
    let mut daemon = Process::start(serve(Some(&key)));
    let url = daemon.url().replace("0.0.0.0", "127.0.0.1");
    let list = format!("{url}/api/cloud/jobs");
    assert_eq!(http("GET", &list, "").0, 401);
    assert_eq!(http("GET", &list, "X-API-Key: wrong\r\n").0, 401);
    assert_eq!(http("GET", &list, &format!("X-API-Key: {key}\r\n")).0, 200);
    assert_eq!(http("GET", &list, &format!("Authorization: Bearer {key}\r\n")).0, 200);
    assert!(!daemon.stop().contains(&key));
}

#[test]
fn secrets_are_read_from_the_credentials_that_systemd_hands_over() {
    let home = Home::new();
    home.file("credentials/replicate-api-token", format!("{SECRET}\n"));
    home.file("credentials/jobsyncd-api-key", "a-key-of-systemd-0123\n");
    let mut command = home.serve();
    command.env("CREDENTIALS_DIRECTORY", home.path("credentials"));
    // Nobody is asked: the address leads nowhere.
    command.env("JOBSYNCD__PROVIDERS__REPLICATE__BASE_URL", "http://127.0.0.1:1/v1");
    let mut daemon = Process::start(command);
    let url = format!("{}/api/cloud/providers", daemon.url());
    assert_eq!(http("GET", &url, "").0, 401);
    let (status, answer) = http("GET", &url, "X-API-Key: a-key-of-systemd-0123\r\n");
    assert!(status == 200 && answer.contains("\"configured\":true"), "{answer}");
    let said = daemon.stop();
    assert!(!said.contains(SECRET) && !said.contains("a-key-of-systemd"), "{said}");
}

#[test]
fn it_ends_soon_also_while_a_provider_is_silent_and_a_stream_is_open() {
    // Takes connections and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let home = Home::new();
    let mut command = home.serve();
    let base_url = format!("http://{}/v1", silent.local_addr().expect("an address"));
    command.env("JOBSYNCD__PROVIDERS__REPLICATE__BASE_URL", base_url);
    command.env("REPLICATE_API_TOKEN", SECRET);
    let mut daemon = Process::start(command);
    let url = daemon.url();
    let address = url.trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).expect("a connection");
    write!(stream, "GET /api/events HTTP/1.0\r\nHost: {address}\r\n\r\n").expect("a request");
    let mut sync = TcpStream::connect(&address).expect("a connection");
    write!(
        sync,
        "POST /api/cloud/jobs/sync HTTP/1.0\r\nHost: {address}\r\nContent-Length: 0\r\n\r\n"
    )
    .expect("a request");
    // The provider is being asked once its connection is there.
    let asked = silent.accept().expect("a call");

    let said = daemon.stop();

    assert!(said.contains("SIGTERM") && said.contains("stopped"), "{said}");
    assert!(!said.contains(SECRET), "{said}");
    drop((asked, stream, sync));
}

/// The folders of demos that are left.
fn demo_folders(home: &Home) -> usize {
    let entries = std::fs::read_dir(home.folder.path()).expect("a folder");
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("jobsyncd-demo-")).count()
}

/// The method and the URL of a printed curl line.
fn curl_line(line: &str) -> (&str, &str) {
    let command = line.split(" #").next().expect("a command");
    let method = if command.contains("-X POST") { "POST" } else { "GET" };
    let url = &command[command.find("http://").expect("a URL")..];
    (method, url.trim_end().trim_end_matches('\''))
}

#[test]
fn the_demo_prints_lines_that_work_and_leaves_nothing_behind() {
    let home = Home::new();
    let mut demo = Process::start(home.command(&["demo", "--bind", "127.0.0.1:0"]));
    demo.line("Ctrl-C");
    assert_eq!(demo_folders(&home), 1);
    let lines: Vec<_> =
        demo.said.iter().filter(|line| line.trim().starts_with("curl ")).cloned().collect();
    assert_eq!(lines.len(), 3, "{:#?}", demo.said);
    for line in &lines {
        let (method, url) = curl_line(line);
        let (status, answer) = http(method, url, "");
        assert_eq!(status, 200, "{line}: {answer}");
        if method == "POST" {
            assert!(
                answer.contains("new jobs from Replicate") && !answer.contains("\"synced\":0"),
                "{answer}"
            );
        }
    }
    demo.stop();
    assert_eq!(demo_folders(&home), 0);
    assert_eq!(std::fs::read_dir(home.folder.path()).expect("a folder").count(), 0);
}

#[test]
fn what_the_environment_says_of_the_server_holds_for_the_demo_too() {
    let home = Home::new();
    let demo = |bind: &str, arguments: &[&str]| {
        let mut command = home.command(&[&["demo"], arguments].concat());
        command.env("JOBSYNCD__SERVER__BIND", bind).env("JOBSYNCD__SERVER__API_KEY", DEMO_KEY);
        command
    };
    let mut running = Process::start(demo("127.0.0.2:0", &[]));
    running.line("Ctrl-C");
    let url = running.url();
    assert!(url.starts_with("http://127.0.0.2:"), "{url}");
    let list = format!("{url}/api/cloud/jobs");
    assert_eq!(http("GET", &list, "").0, 401);
    assert_eq!(http("GET", &list, &format!("X-API-Key: {DEMO_KEY}\r\n")).0, 200);
    running.stop();

    let mut flagged = Process::start(demo("127.0.0.2:0", &["--bind", "127.0.0.3:0"]));
    let url = flagged.url();
    assert!(url.starts_with("http://127.0.0.3:"), "the flag is nearer: {url}");
    flagged.stop();

    let refused = demo("here", &[]).output().expect("it runs");
    refused_in_one_line(&refused, &["JOBSYNCD__SERVER__BIND", "server.bind"]);
    assert_eq!(refused.status.code(), LASTING);
}

#[test]
fn the_makefile_names_only_sources_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let makefile = std::fs::read_to_string(root.join("Makefile")).expect("the Makefile");
    let words = makefile.split_whitespace().map(|word| word.trim_matches('\''));
    let sources: Vec<_> = words.filter(|word| word.starts_with("src/")).collect();
    assert!(sources.len() >= 6, "{sources:?}");
    for source in sources {
        match source.strip_suffix("/*.rs") {
            Some(folder) => assert!(root.join(folder).join("mod.rs").is_file(), "{source}"),
            None => assert!(root.join(source).is_file(), "{source}"),
        }
    }
}

#[test]
fn the_simulator_prints_how_to_track_it_and_that_works() {
    let home = Home::new();
    let arguments = ["simulate", "--bind", "127.0.0.1:0", "--token", "r8_mine"];
    let mut simulator = Process::start(home.command(&arguments));
    simulator.line("Ctrl-C");
    let printed = simulator.said.join("\n").replace("\\\n", " ");
    let value = |name: &str| {
        let word = printed.split_whitespace().find_map(|word| word.strip_prefix(name));
        word.unwrap_or_else(|| panic!("no {name} in {printed}")).to_owned()
    };
    let mut command = home.serve();
    for name in ["JOBSYNCD__PROVIDERS__REPLICATE__BASE_URL", "REPLICATE_API_TOKEN"] {
        command.env(name, value(&format!("{name}=")));
    }
    let mut daemon = Process::start(command);
    let url = daemon.url();
    let (status, answer) = http("POST", &format!("{url}/api/cloud/jobs/sync"), "");
    assert!(status == 200 && !answer.contains("\"synced\":0"), "{answer}");
    daemon.stop();
    simulator.stop();
}

#[test]
fn an_empty_simulator_has_no_job() {
    let home = Home::new();
    let mut simulator =
        Process::start(home.command(&["simulate", "--bind", "127.0.0.1:0", "--empty"]));
    simulator.line("Ctrl-C");
    let line = simulator.line("a simulated Replicate is at ");
    let base = &line[line.find("http://").expect("a URL")..];
    let token = simulator.line("REPLICATE_API_TOKEN=");
    let token = token.trim().trim_start_matches("REPLICATE_API_TOKEN=").split(' ').next();
    let header = format!("Authorization: Bearer {}\r\n", token.expect("a token"));
    let (status, answer) = http("GET", &format!("{base}/predictions"), &header);
    assert!(status == 200 && answer.contains("\"results\":[]"), "{answer}");
    simulator.stop();
}

#[test]
fn the_default_database_goes_under_the_users_state_folder() {
    let home = Home::new();
    if Path::new("/var/lib/jobsyncd").exists() {
        // A system-wide daemon is installed here, and its place comes first.
        return;
    }
    let mut daemon = Process::start(home.command(&["serve", "--bind", "127.0.0.1:0"]));
    daemon.url();
    assert!(home.path(".local/state/jobsyncd/jobs.db").exists(), "{:#?}", daemon.said);
    daemon.stop();
}
