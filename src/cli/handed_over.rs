//! The sockets that systemd has opened for us (`LISTEN_FDS`), which are used instead of the configured
//! address.

use jobsyncd::listener::Listener;
use listenfd::ListenFd;
use socket2::SockRef;

/// A socket was handed over that cannot be served.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot serve socket {number} of the {count} that were handed over (LISTEN_FDS): {problem}; only ListenStream= of TCP and Unix sockets is served"
)]
pub(super) struct HandedOverError {
    number: usize,
    count: usize,
    problem: &'static str,
}

/// Every socket that was handed over; none where nobody did.
///
/// # Errors
/// Where one of them cannot be served: to leave it out would leave its clients without an answer.
pub(super) fn listeners() -> Result<Vec<Listener>, HandedOverError> {
    let mut sockets = ListenFd::from_env();
    let count = sockets.len();
    let take = |index| {
        take(&mut sockets, index).map_err(|problem| HandedOverError {
            number: index + 1,
            count,
            problem,
        })
    };
    (0..count).map(take).collect()
}

fn take(sockets: &mut ListenFd, index: usize) -> Result<Listener, &'static str> {
    let listener: Listener = if let Ok(Some(socket)) = sockets.take_tcp_listener(index) {
        socket.into()
    } else if let Ok(Some(socket)) = sockets.take_unix_listener(index) {
        socket.into()
    } else {
        return Err("it is no stream socket");
    };
    let listens = match &listener {
        Listener::Tcp(socket) => SockRef::from(socket).is_listener(),
        Listener::Unix(socket) => SockRef::from(socket).is_listener(),
    };
    match listens {
        Ok(true) => Ok(listener),
        _ => Err("it is a connection (Accept=yes) and does not listen"),
    }
}
