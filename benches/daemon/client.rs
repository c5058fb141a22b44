//! A client that costs as little as it can: whatever it needs of the machine is missing to the
//! daemon beside it.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection that is kept open from request to request.
pub(crate) struct Connection {
    socket: TcpStream,
    buffer: Vec<u8>,
}

/// An answer. Its body is borrowed from the connection.
pub(crate) struct Answer<'a> {
    /// The status code.
    pub(crate) status: u16,
    /// The body as it came.
    pub(crate) body: &'a [u8],
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        Ok(Self { socket, buffer: vec![0; 256 * 1024] })
    }

    /// Sends a request and waits for the whole answer, which must tell its length.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        self.socket.write_all(request).await?;
        let mut filled = 0;
        let head = loop {
            filled += self.read(filled).await?;
            if let Some(head) = Head::of(&self.buffer[..filled]) {
                break head;
            }
        };
        let end = head.bytes + head.body_bytes;
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        while filled < end {
            filled += self.read(filled).await?;
        }
        Ok(Answer { status: head.status, body: &self.buffer[head.bytes..end] })
    }

    async fn read(&mut self, filled: usize) -> io::Result<usize> {
        match self.socket.read(&mut self.buffer[filled..]).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => Ok(count),
        }
    }
}

/// What the head of an answer says.
struct Head {
    status: u16,
    bytes: usize,
    body_bytes: usize,
}

impl Head {
    /// None where it has not all arrived.
    fn of(answer: &[u8]) -> Option<Self> {
        let length = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&answer[..length]).expect("a head is text");
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let body_bytes = lines
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .and_then(|(_, value)| value.parse().ok());
        Some(Self {
            status: status.expect("an answer has a status"),
            bytes: length + 4,
            body_bytes: body_bytes.expect("an answer tells its length"),
        })
    }
}

/// A request without a body.
pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

/// A request with a JSON body and further headers, each of which ends its line.
pub(crate) fn post(path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n{headers}\r\n{body}"
    )
    .into_bytes()
}

/// Runs a client on a thread of its own, as it would be on a machine of its own.
pub(crate) fn on_own_thread<T, F>(client: impl FnOnce() -> F + Send + 'static) -> T
where
    T: Send + 'static,
    F: Future<Output = io::Result<T>>,
{
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime for a client");
        runtime.block_on(client()).expect("the daemon answers every request")
    });
    thread.join().expect("a client ends by itself")
}

/// Asks the same again and again on this many connections, and tells how often in a second there
/// was an answer.
pub(crate) fn answers_a_second(
    address: SocketAddr,
    connections: usize,
    request: Vec<u8>,
    lasting: Duration,
) -> f64 {
    on_own_thread(move || async move {
        let mut open = Vec::with_capacity(connections);
        for _ in 0..connections {
            open.push(Connection::open(address).await?);
        }
        let began = Instant::now();
        let counts = open.into_iter().map(|mut connection| {
            let request = &request;
            async move {
                let mut count = 0_u32;
                while began.elapsed() < lasting {
                    let answer = connection.ask(request).await?;
                    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(answer.body));
                    count += 1;
                }
                io::Result::Ok(count)
            }
        });
        let counts = try_join_all(counts).await?;
        Ok(f64::from(counts.into_iter().sum::<u32>()) / began.elapsed().as_secs_f64())
    })
}

/// Asks once, and tells the body.
pub(crate) fn ask_once(address: SocketAddr, request: Vec<u8>) -> Vec<u8> {
    on_own_thread(move || async move {
        let mut connection = Connection::open(address).await?;
        let answer = connection.ask(&request).await?;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(answer.body));
        Ok(answer.body.to_vec())
    })
}
