//! The real binary as a process, and what it says.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::daemon::SOON;

/// The binary in an environment in which nothing depends on the machine.
pub struct Home {
    pub folder: TempDir,
}

impl Home {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, text).expect("a file");
        path
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_jobsyncd"));
        command.args(arguments);
        command
    }

    /// Any program in that environment.
    pub fn program(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(self.folder.path());
        command.env("HOME", self.folder.path()).env("TMPDIR", self.folder.path());
        command.env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
        command
    }

    /// `serve` on a free port, with its database in this home and no account.
    pub fn serve(&self) -> Command {
        self.serve_with(&format!("sqlite://{}", self.path("jobs.db").display()))
    }

    /// The same with any database.
    pub fn serve_with(&self, url: &str) -> Command {
        self.command(&["serve", "--bind", "127.0.0.1:0", "--database-url", url])
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the binary runs")
    }
}

/// A running process and what it has said so far.
pub struct Process {
    pub child: Child,
    lines: Receiver<String>,
    pub said: Vec<String>,
}

impl Process {
    pub fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let (sender, lines) = channel();
        let outputs: [Box<dyn std::io::Read + Send>; 2] = [
            Box::new(child.stdout.take().expect("its output")),
            Box::new(child.stderr.take().expect("its errors")),
        ];
        for output in outputs {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        Self { child, lines, said: Vec::new() }
    }

    /// The first line that holds `words`, said or still to come.
    pub fn line(&mut self, words: &str) -> String {
        let deadline = Instant::now() + SOON;
        loop {
            if let Some(line) = self.said.iter().find(|line| line.contains(words)) {
                return line.clone();
            }
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.said.push(line),
                Err(error) => panic!("no {words:?} ({error}) in {:#?}", self.said),
            }
        }
    }

    /// The URL in the line in which the daemon says where it listens.
    pub fn url(&mut self) -> String {
        let line = self.line("listening on http://");
        line[line.find("http://").expect("a URL")..].trim().to_owned()
    }

    pub fn terminate(&self) {
        let kill =
            Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status();
        assert!(kill.expect("a shell").success());
    }

    /// Waits for the end, and answers how it came and all that was said.
    pub fn end(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + SOON;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.said.push(line),
                // Both outputs are closed.
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end: {:#?}", self.said),
            }
        }
        let status = self.child.wait().expect("it has ended");
        (status, std::mem::take(&mut self.said).join("\n"))
    }

    /// Ends it as systemd does, and asserts that it ends well and soon.
    pub fn stop(self) -> String {
        let begun = Instant::now();
        self.terminate();
        let (status, said) = self.end();
        assert!(status.success(), "{status}: {said}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        said
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has usually ended by now; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
