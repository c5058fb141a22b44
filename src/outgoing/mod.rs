//! Clients for calls to the world outside, which go the way that the configuration says: directly or through a
//! proxy, and trusting private authorities besides the public ones.

use std::error::Error;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_tls::connect::rustls_0_23::{TlsConnector, TlsConnectorService, webpki_roots_cert_store};
use actix_tls::connect::{
    ConnectError, ConnectInfo, Connection, Connector, ConnectorService, Resolver,
};
use actix_web::dev::Service;
use actix_web::http::header::USER_AGENT;
use awc::http::Uri;
use awc::{Client, ClientBuilder};
use futures_util::future::LocalBoxFuture;
use rustls::ClientConfig;
use secrecy::ExposeSecret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use self::wire::Wire;
use crate::config::Network;
use crate::domain::proxy::{Proxies, Proxy};

mod wire;

/// How long a connection may take to come about.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// The same where a proxy, which is connected to first, has to connect on before it answers.
const CONNECT_BY_PROXY_WITHIN: Duration = Duration::from_secs(15);
/// The longest head of a proxy's answer that is read.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// How this program names itself.
const AGENT: &str = concat!("jobsyncd/", env!("CARGO_PKG_VERSION"));

/// A builder of clients in the thread that will use them. Names of hosts that are reached directly are looked up
/// by `resolver`; those that are reached through a proxy are looked up by the proxy.
pub fn client(network: &Network, resolver: Resolver) -> ClientBuilder<Dialer> {
    let tls = tls(network);
    let dialer = Dialer(Rc::new(Ways {
        proxies: network.proxies.clone(),
        direct: Connector::new(resolver).service(),
        to_proxy: Connector::default().service(),
        tls: TlsConnector::service(tls.clone()),
    }));
    let by_proxy = network.proxies.are_any();
    let connector = awc::Connector::new().connector(dialer).rustls_0_23(tls).timeout(if by_proxy {
        CONNECT_BY_PROXY_WITHIN
    } else {
        CONNECT_WITHIN
    });
    Client::builder()
        .connector(connector)
        // A redirect could carry a token to another host, or lead to where the first address did not.
        .disable_redirects()
        .add_default_header((USER_AGENT, AGENT))
}

/// Whose certificates are believed: the public authorities, and those of `network.ca_file`.
fn tls(network: &Network) -> Arc<ClientConfig> {
    let mut roots = webpki_roots_cert_store();
    roots.add_parsable_certificates(network.certificates.iter().cloned());
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

/// Opens the connections of a client.
#[derive(Clone)]
pub struct Dialer(Rc<Ways>);

struct Ways {
    proxies: Proxies,
    direct: ConnectorService,
    to_proxy: ConnectorService,
    tls: TlsConnectorService,
}

impl Service<ConnectInfo<Uri>> for Dialer {
    type Response = Connection<Uri, Wire>;
    type Error = ConnectError;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&self, request: ConnectInfo<Uri>) -> Self::Future {
        let ways = self.0.clone();
        Box::pin(async move { ways.connect(request).await })
    }
}

impl Ways {
    async fn connect(
        &self,
        request: ConnectInfo<Uri>,
    ) -> Result<Connection<Uri, Wire>, ConnectError> {
        let is_secure = request.request().scheme_str() == Some("https");
        let (host, port) = (request.hostname(), request.port());
        let Some(proxy) = self.proxies.of(is_secure, host, port) else {
            let (stream, uri) = self.direct.call(request).await?.into_parts();
            return Ok(Connection::new(uri, Wire::Plain(stream)));
        };
        let wire = self.tunnel(proxy, &format!("{host}:{port}")).await;
        Ok(Connection::new(request.request().clone(), wire.map_err(ConnectError::Io)?))
    }

    /// A connection to `target` through the proxy.
    async fn tunnel(&self, proxy: &Proxy, target: &str) -> io::Result<Wire> {
        let unreachable = |error: &dyn Error| {
            io::Error::other(format!("the proxy {proxy} cannot be reached: {}", innermost(error)))
        };
        let connection = self.to_proxy.call(ConnectInfo::new(proxy.authority())).await;
        let connection = connection.map_err(|error| unreachable(&error))?;
        let mut wire = if proxy.is_secure() {
            let secured = self.tls.call(connection).await.map_err(|error| unreachable(&error))?;
            Wire::Secure(Box::new(secured.into_parts().0))
        } else {
            Wire::Plain(connection.into_parts().0)
        };
        let mut request =
            format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nUser-Agent: {AGENT}\r\n");
        if let Some(authorization) = proxy.authorization() {
            request += &format!("Proxy-Authorization: {}\r\n", authorization.expose_secret());
        }
        request += "\r\n";
        wire.write_all(request.as_bytes()).await?;
        wire.flush().await?;
        let unconnected = |problem: String| {
            io::Error::other(format!("the proxy {proxy} does not connect to {target}: {problem}"))
        };
        let head = head(&mut wire).await.map_err(|error| unconnected(error.to_string()))?;
        judge(&head).map_err(unconnected)?;
        Ok(wire)
    }
}

/// The head of a proxy's answer. What follows it is already the other side's, so it is read no further.
async fn head(wire: &mut Wire) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == HEAD_BYTES_MAX {
            return Err(io::Error::other("its answer has no end"));
        }
        match wire.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(io::Error::other("it closed the connection without an answer"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(head)
}

/// Whether the proxy has connected; else why not.
fn judge(head: &[u8]) -> Result<(), String> {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.splitn(2, ' ');
    let is_http = words.next().is_some_and(|version| version.starts_with("HTTP/1."));
    let said: String =
        words.next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(100).collect();
    match said.get(..3).and_then(|status| status.parse::<u16>().ok()).filter(|_| is_http) {
        Some(200..=299) => Ok(()),
        // By the second one some say so as well.
        Some(407 | 401) => Err(format!(
            "it answers {said}: it wants credentials, or other ones, in network.proxy_url"
        )),
        Some(_) => Err(format!("it answers {said}")),
        None => Err("its answer is no HTTP".to_owned()),
    }
}

/// The words of the error at the bottom: those above it only say that there is one.
pub(crate) fn innermost(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_has_connected_only_where_it_says_so() {
        for good in
            ["HTTP/1.1 200 Connection established\r\n\r\n", "HTTP/1.0 200\r\nVia: x\r\n\r\n"]
        {
            assert_eq!(judge(good.as_bytes()), Ok(()));
        }
        for (bad, words) in [
            ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "network.proxy_url"),
            ("HTTP/1.0 401 Unauthorized\r\n\r\n", "network.proxy_url"),
            ("HTTP/1.1 403 Forbidden\r\n\r\n", "403 Forbidden"),
            ("SSH-2.0-OpenSSH 200\r\n\r\n", "no HTTP"),
            ("HTTP/1.1\r\n\r\n", "no HTTP"),
            ("\r\n\r\n", "no HTTP"),
        ] {
            assert!(judge(bad.as_bytes()).expect_err(bad).contains(words), "{bad}");
        }
    }
}
