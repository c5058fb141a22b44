//! The sockets on which the daemon is reached.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;

use socket2::{Domain, Socket, Type};

/// How many connections may wait to be accepted: a thousand subscribers come back at once.
const BACKLOG: i32 = 1_024;

/// A socket that listens.
#[derive(Debug)]
pub enum Listener {
    /// A TCP socket.
    Tcp(TcpListener),
    /// A Unix stream socket. Who may connect is up to the permissions of its file, so it takes no API key, and
    /// those who do count as this machine.
    Unix(UnixListener),
}

impl Listener {
    /// Opens a TCP socket.
    ///
    /// # Errors
    /// Where the address is in use, or none of this machine.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(Self::Tcp(socket.into()))
    }

    /// The address of a TCP socket, with its real port.
    ///
    /// # Errors
    /// Where the system does not say.
    pub fn address(&self) -> io::Result<Option<SocketAddr>> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Some),
            Self::Unix(_) => Ok(None),
        }
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self::Unix(listener)
    }
}

/// As people connect to it: `http://127.0.0.1:8001`, or `unix:/run/jobsyncd.sock`.
impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(listener) => match listener.local_addr() {
                Ok(address) => write!(f, "http://{address}"),
                Err(error) => write!(f, "a TCP socket without an address ({error})"),
            },
            Self::Unix(listener) => {
                let address = listener.local_addr();
                match address.as_ref().ok().and_then(|address| address.as_pathname()) {
                    Some(path) => write!(f, "unix:{}", path.display()),
                    None => write!(f, "a Unix socket without a path"),
                }
            }
        }
    }
}
