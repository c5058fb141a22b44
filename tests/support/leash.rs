//! A process on a leash: it ends when the test process ends, however that ends.
//!
//! `Drop` alone is not enough. Statics are never dropped, and a killed or aborted test drops nothing
//! at all. `PR_SET_PDEATHSIG` is not enough either: it fires when the *thread* that started the
//! process ends, and the test harness runs each test on a thread of its own. So a small shell stands
//! between the two and reads from a pipe whose other end only the test process holds. The kernel
//! closes that end in every case; the shell then reads the end of the file and cleans up.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// `$1` is the signal that stops the process, `$2` its directory, the rest its command line.
///
/// `setsid` makes the process the leader of a group, so that SIGKILL reaches its children as well; it
/// is named besides because there is no group yet if we are that quick. `env` undoes what a shell
/// does to its background processes: they would ignore SIGQUIT.
const SHELL_SCRIPT: &str = r#"
signal=$1 directory=$2; shift 2
setsid env --default-signal "$@" </dev/null &
child=$!
read -r _
case $signal in
    KILL) kill -s KILL -- "-$child" "$child" ;;
    *) kill -s "$signal" "$child" ;;
esac
wait "$child"
rm -rf "$directory"
"#;

/// How a process on a leash is ended.
#[derive(Clone, Copy, Debug)]
pub enum Stop {
    /// At once, with all its children.
    Kill,
    /// By SIGQUIT, for which PostgreSQL stops at once and still returns its shared memory.
    Quit,
}

/// A running process with a directory of its own. Both are gone when this is dropped.
#[derive(Debug)]
pub struct Leash {
    shell: Child,
    directory: PathBuf,
}

impl Leash {
    /// Starts `command`, whose output goes to a file, in `directory`, which becomes the leash's own.
    pub fn start(directory: TempDir, stop: Stop, command: &Command) -> Self {
        let directory = directory.keep();
        let log = std::fs::File::create(directory.join("log")).expect("the directory is writable");
        let mut shell = Command::new("sh");
        shell.args(["-c", SHELL_SCRIPT, "leash", stop.as_str()]).arg(&directory);
        shell.arg(command.get_program()).args(command.get_args());
        if let Some(current_dir) = command.get_current_dir() {
            shell.current_dir(current_dir);
        }
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        // A group of its own, or a Ctrl-C in the terminal would end the shell before it cleans up.
        shell.process_group(0).stdin(Stdio::piped());
        shell.stderr(log.try_clone().expect("a file can be shared")).stdout(log);
        let shell = shell.spawn().expect("every Unix has a shell");
        Self { shell, directory }
    }

    /// The directory that ends with the process.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What the process has printed so far: the reason, when it does not get ready.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }
}

impl Drop for Leash {
    /// Lets go of the pipe and waits until the shell has cleaned up.
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // Nothing could be done about an error here, and a panic would hide the test's own.
        let _ = self.shell.wait();
    }
}

impl Stop {
    fn as_str(self) -> &'static str {
        match self {
            Self::Kill => "KILL",
            Self::Quit => "QUIT",
        }
    }
}

/// A new directory for a [`Leash`].
pub fn temporary_directory(kind: &str) -> TempDir {
    // /tmp, whatever TMPDIR says: the path of a Unix socket has room for about 100 bytes only.
    tempfile::Builder::new()
        .prefix(&format!("jobsyncd-{kind}-"))
        .tempdir_in("/tmp")
        .expect("/tmp is writable")
}

/// Runs a command to its end and panics with what it printed if it fails.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{}: {error}; `make test-deps` installs it", name(command.get_program()))
    });
    assert!(
        output.status.success(),
        "{} failed: {}",
        name(command.get_program()),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn name(program: &OsStr) -> String {
    program.to_string_lossy().into_owned()
}
