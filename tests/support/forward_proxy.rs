//! A forward proxy: it takes CONNECT over a real socket and looks names up by itself.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What a proxy is like.
#[derive(Default)]
pub struct ProxyOptions {
    /// `user:password`, where it wants them.
    pub credentials: Option<&'static str>,
    /// The names that it knows. Addresses it knows all.
    pub names: Vec<(&'static str, SocketAddr)>,
    /// Makes it one that is spoken to over TLS.
    pub tls: Option<TlsAcceptor>,
    /// What it answers everybody instead of connecting.
    pub answer: Option<&'static str>,
}

/// A running proxy. It ends with the test.
pub struct ForwardProxy {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl ForwardProxy {
    pub async fn start(options: ProxyOptions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (options, told) = (Arc::new(options), asked.clone());
        actix_web::rt::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (options, told) = (options.clone(), told.clone());
                actix_web::rt::spawn(async move {
                    match &options.tls {
                        None => serve(client, &options, &told).await,
                        Some(tls) => match tls.accept(client).await {
                            Ok(client) => serve(client, &options, &told).await,
                            Err(_) => None,
                        },
                    }
                });
            }
        });
        Self { address, asked }
    }

    /// Whom it was asked to connect to so far, in order.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("a list").clone()
    }
}

/// Serves one connection; None where it breaks off.
async fn serve(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    options: &ProxyOptions,
    asked: &Mutex<Vec<String>>,
) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).expect("a head in ASCII");
    let mut lines = head.split("\r\n");
    let mut request = lines.next()?.split(' ');
    assert_eq!(request.next(), Some("CONNECT"), "{head}");
    let target = request.next()?.to_owned();
    assert_eq!(request.next(), Some("HTTP/1.1"), "{head}");
    let mut fields = lines.filter_map(|line| line.split_once(": "));
    let given = fields.find(|(name, _)| name.eq_ignore_ascii_case("proxy-authorization"));
    asked.lock().expect("a list").push(target.clone());
    let wanted = options.credentials.map(|text| format!("Basic {}", BASE64_STANDARD.encode(text)));
    let known = options.names.iter().find(|(name, _)| target.split(':').next() == Some(name));
    let refusal = if wanted.is_some() && wanted.as_deref() != given.map(|(_, value)| value) {
        Some("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n")
    } else {
        options.answer
    };
    if let Some(refusal) = refusal {
        client.write_all(refusal.as_bytes()).await.ok()?;
        return client.shutdown().await.ok();
    }
    let address = known.map(|(_, address)| *address).or_else(|| target.parse().ok());
    let Some(mut server) = connect(address).await else {
        client.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await.ok()?;
        return client.shutdown().await.ok();
    };
    client.write_all(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n").await.ok()?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await.ok().map(|_| ())
}

async fn connect(address: Option<SocketAddr>) -> Option<TcpStream> {
    TcpStream::connect(address?).await.ok()
}
