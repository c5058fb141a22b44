//! What a service manager does: sends signals, and hands over sockets that it has opened.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::Command;

use rstest::rstest;

use crate::support::daemon::SOON;
use crate::support::process::{Home, Process};

/// Opens sockets as systemd does, from descriptor 3 on, and becomes the program behind `--`.
const HAND_OVER: &str = r#"
import os, socket, sys
cut = sys.argv.index("--")
kinds, program = sys.argv[1:cut], sys.argv[cut + 1:]
kept = []
for kind in kinds:
    if kind.startswith("/"):
        one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        one.bind(kind)
        one.listen(16)
    elif kind == "connection":
        one, other = socket.socketpair()
        kept.append(other)
    elif kind == "datagram":
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.bind(("127.0.0.1", 0))
    elif kind == "file":
        one = open(os.devnull)
    else:
        family = socket.AF_INET6 if ":" in kind else socket.AF_INET
        one = socket.socket(family, socket.SOCK_STREAM)
        one.bind((kind, 0))
        one.listen(16)
    kept.append(one)
    os.dup2(one.fileno(), 100 + kinds.index(kind))
for number in range(len(kinds)):
    os.dup2(100 + number, 3 + number)
os.environ["LISTEN_FDS"] = str(len(kinds))
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(program[0], program)
"#;

/// `serve` in `home`, with these sockets handed over.
fn serve_with_sockets(home: &Home, sockets: &[&str]) -> Command {
    let serve = home.serve();
    let mut command = home.program("python3");
    command.args(["-c", HAND_OVER]).args(sockets).arg("--");
    command.arg(serve.get_program()).args(serve.get_args());
    command
}

/// What is answered to whoever asks over `socket` whether the daemon lives.
fn life(mut socket: impl Read + Write) -> String {
    socket.write_all(b"GET /health/live HTTP/1.0\r\nHost: localhost\r\n\r\n").expect("a request");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    answer
}

fn connect(url: &str) -> TcpStream {
    let socket = TcpStream::connect(url.trim_start_matches("http://")).expect("a connection");
    socket.set_read_timeout(Some(SOON)).expect("a timeout");
    socket
}

fn send(daemon: &Process, signal: &str) {
    let kill = format!("kill -{signal} {}", daemon.child.id());
    let sent = Command::new("sh").args(["-c", &kill]).status().expect("a shell");
    assert!(sent.success(), "{kill}");
}

#[test]
fn no_signal_but_those_that_are_meant_to_ends_the_daemon() {
    let home = Home::new();
    let mut daemon = Process::start(home.serve());
    let url = daemon.url();
    // Nothing is said of this one.
    send(&daemon, "PIPE");
    for signal in
        ["HUP", "QUIT", "USR1", "USR2", "ALRM", "VTALRM", "PROF", "IO", "PWR", "XCPU", "XFSZ"]
    {
        send(&daemon, signal);
        daemon.line(&format!("SIG{signal}"));
    }
    // Those of real time have numbers.
    for signal in ["34", "50", "64"] {
        send(&daemon, signal);
        daemon.line(&format!("signal {signal} "));
    }
    assert!(life(connect(&url)).contains("200 OK"));
    let said = daemon.stop();
    assert!(said.contains("SIGHUP: nothing is read anew"), "{said}");
    assert!(said.contains("stopping on SIGTERM"), "{said}");
}

#[test]
fn a_daemon_that_outlived_a_hangup_still_ends_on_an_interrupt() {
    let home = Home::new();
    let mut daemon = Process::start(home.serve());
    daemon.url();
    send(&daemon, "HUP");
    daemon.line("SIGHUP");
    send(&daemon, "INT");
    let (status, said) = daemon.end();
    assert!(status.success() && said.contains("stopping on SIGINT"), "{status}: {said}");
}

#[test]
fn every_socket_that_is_handed_over_is_served() {
    let home = Home::new();
    let path = home.path("jobsyncd.sock");
    let path = path.to_str().expect("a path");
    let mut daemon =
        Process::start(serve_with_sockets(&home, &["127.0.0.1", path, "::1", "127.0.0.2"]));
    let unix = daemon.line("listening on unix:");
    assert!(unix.ends_with(path), "{unix}");
    for host in ["http://127.0.0.1:", "http://[::1]:", "http://127.0.0.2:"] {
        let line = daemon.line(&format!("listening on {host}"));
        let url = &line[line.find("http://").expect("a URL")..];
        assert!(life(connect(url)).contains("200 OK"), "{url}");
    }
    assert!(life(UnixStream::connect(path).expect("a connection")).contains("200 OK"));
    daemon.stop();
    // It belongs to systemd, which goes on holding it while the daemon is away.
    assert!(std::fs::exists(path).expect("a folder"));
}

#[test]
fn a_unix_socket_alone_is_enough() {
    let home = Home::new();
    let path = home.path("jobsyncd.sock");
    let mut daemon = Process::start(serve_with_sockets(&home, &[path.to_str().expect("a path")]));
    daemon.line("listening on unix:");
    assert!(life(UnixStream::connect(&path).expect("a connection")).contains("200 OK"));
    let said = daemon.stop();
    assert!(!said.contains("listening on http"), "{said}");
}

#[rstest]
#[case::datagrams("datagram", "no stream socket")]
#[case::no_socket("file", "no stream socket")]
#[case::a_connection("connection", "Accept=yes")]
fn a_socket_that_cannot_be_served_stops_the_start_and_is_named(
    #[case] kind: &str,
    #[case] words: &str,
) {
    let home = Home::new();
    let output = serve_with_sockets(&home, &["127.0.0.1", kind]).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    let last = said.lines().last().expect("a line");
    assert!(last.contains("socket 2 of the 2") && last.contains(words), "{said}");
}

#[test]
fn an_open_address_that_is_handed_over_beside_a_closed_one_takes_an_api_key() {
    let home = Home::new();
    let sockets = ["127.0.0.1", "0.0.0.0"];
    let output = serve_with_sockets(&home, &sockets).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("0.0.0.0:") && said.contains("API key"), "{said}");
    let mut daemon = serve_with_sockets(&home, &sockets);
    daemon.env("JOBSYNCD__SERVER__API_KEY", "a-key-of-the-service-0123");
    let mut daemon = Process::start(daemon);
    daemon.line("listening on http://0.0.0.0:");
    daemon.stop();
}
