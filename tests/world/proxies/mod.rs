//! C: proxies, monitors and the service manager.

mod addresses;
mod monitors;
mod outgoing;
mod outgoing_settings;
mod packed_bodies;
mod service_manager;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::daemon::{SOON, TestDaemon};

/// Sends a request line and headers as they stand, and answers all that comes back until the connection is
/// closed.
async fn raw(daemon: &TestDaemon, request_line: &str, headers: &str) -> String {
    let address = daemon.url.strip_prefix("http://").expect("a plain URL");
    let mut socket = TcpStream::connect(address).await.expect("a connection");
    let request =
        format!("{request_line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n");
    socket.write_all(request.as_bytes()).await.expect("a request");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(SOON, socket.read_to_end(&mut answer)).await;
    read.unwrap_or_else(|_| panic!("{request_line} is answered soon")).expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}
