//! Signals that end a process which does nothing about them, and do not end the daemon.
//!
//! TERM and INT do, as does KILL, about which nothing can be done. Left as they are, too, are the signals by
//! which the kernel or systemd's watchdog says that the program itself is at fault (ABRT, BUS, FPE, ILL, SEGV,
//! SYS, TRAP), and those that only halt it for a while (STOP, TSTP, TTIN, TTOU).

use tokio::signal::unix::{SignalKind, signal};

use super::Failure;

/// Why nothing happens on a hangup, which is kept for reading the configuration anew.
const HANGUP: &str =
    "SIGHUP: nothing is read anew while the daemon runs; restart it after a change";

/// Names and numbers of signals that are only noted. PIPE is not among them: a program in Rust ignores it.
const NAMED: [(&str, i32); 11] = [
    ("SIGQUIT", libc::SIGQUIT),
    ("SIGUSR1", libc::SIGUSR1),
    ("SIGUSR2", libc::SIGUSR2),
    ("SIGALRM", libc::SIGALRM),
    ("SIGVTALRM", libc::SIGVTALRM),
    ("SIGPROF", libc::SIGPROF),
    ("SIGIO", libc::SIGIO),
    ("SIGPWR", libc::SIGPWR),
    ("SIGSTKFLT", libc::SIGSTKFLT),
    // By the last two the kernel says that a limit is reached: the write that went beyond it fails, which
    // is told as a full disk is.
    ("SIGXCPU", libc::SIGXCPU),
    ("SIGXFSZ", libc::SIGXFSZ),
];

/// From here on the daemon outlives them, and notes each. It is called within the system of actors.
pub(super) fn outlive() -> Result<(), Failure> {
    note(libc::SIGHUP, HANGUP.to_owned())?;
    for (name, number) in NAMED {
        note(number, format!("{name} does nothing; SIGTERM and SIGINT end the daemon"))?;
    }
    for number in libc::SIGRTMIN()..=libc::SIGRTMAX() {
        note(number, format!("signal {number} does nothing; SIGTERM and SIGINT end the daemon"))?;
    }
    Ok(())
}

/// Says so each time that a signal comes.
fn note(number: i32, words: String) -> Result<(), Failure> {
    let mut signal = signal(SignalKind::from_raw(number))?;
    actix_rt::spawn(async move {
        while signal.recv().await.is_some() {
            log::info!("{words}");
        }
    });
    Ok(())
}
