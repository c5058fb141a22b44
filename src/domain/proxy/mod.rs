//! Outgoing proxies: which one a call goes through, and which calls go through none. The rules are those of
//! curl, which most programs share.

mod exemptions;

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use secrecy::SecretString;
use url::{Host, Url};

pub use self::exemptions::Exemptions;
use super::web_origin::parse_host;

/// An HTTP proxy that is asked for a connection to somebody else (`CONNECT`).
#[derive(Debug, Clone)]
pub struct Proxy {
    is_secure: bool,
    host: Host,
    port: u16,
    authorization: Option<SecretString>,
}

/// Why a text is no proxy. It repeats nothing of the text, in which there may be a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be the URL of an HTTP proxy, as in http://user:password@proxy.example.org:3128, without a path"
)]
pub struct NoProxyUrl;

impl Proxy {
    /// Reads `http://user:password@host:port`. Where nothing says otherwise the scheme is http and the port that
    /// of the scheme. Credentials are percent-encoded, as everywhere in URLs.
    ///
    /// # Errors
    /// Where it is anything else, as a SOCKS proxy is.
    pub fn parse(text: &str) -> Result<Self, NoProxyUrl> {
        let text = text.trim();
        let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = Url::parse(&whole).map_err(|_| NoProxyUrl)?;
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !is_bare || !matches!(url.scheme(), "http" | "https") {
            return Err(NoProxyUrl);
        }
        let host = url.host_str().and_then(parse_host).ok_or(NoProxyUrl)?;
        let port = url.port_or_known_default().ok_or(NoProxyUrl)?;
        let authorization = credentials(&url).map(|credentials| {
            SecretString::from(format!("Basic {}", BASE64_STANDARD.encode(credentials)))
        });
        Ok(Self { is_secure: url.scheme() == "https", host, port, authorization })
    }

    /// Whether it is spoken to over TLS.
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Where it is: `host:port`.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The value of `Proxy-Authorization`, where it asks for one.
    pub fn authorization(&self) -> Option<&SecretString> {
        self.authorization.as_ref()
    }
}

/// As it may be shown: without its credentials.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority())
    }
}

/// `user:password`, decoded; None where the URL has neither.
fn credentials(url: &Url) -> Option<Vec<u8>> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let decode = |text| percent_encoding::percent_decode_str(text).collect::<Vec<u8>>();
    Some([decode(url.username()), decode(url.password().unwrap_or_default())].join(&b':'))
}

/// Through which proxy calls go. Without any they go directly.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// The one of http addresses.
    pub http: Option<Proxy>,
    /// The one of https addresses.
    pub https: Option<Proxy>,
    /// Who is reached directly all the same.
    pub exempt: Exemptions,
}

impl Proxies {
    /// The proxy of a call to a host, which may be written in any way; None where it goes directly.
    pub fn of(&self, is_secure: bool, host: &str, port: u16) -> Option<&Proxy> {
        let proxy = if is_secure { &self.https } else { &self.http };
        let is_exempt = || parse_host(host).is_some_and(|host| self.exempt.cover(&host, port));
        proxy.as_ref().filter(|_| !is_exempt())
    }

    /// The same for a URL.
    pub fn of_url(&self, url: &Url) -> Option<&Proxy> {
        self.of(url.scheme() == "https", url.host_str()?, url.port_or_known_default()?)
    }

    /// What goes through which proxy, a sentence each.
    pub fn ways(&self) -> Vec<String> {
        let schemes = [("http", &self.http), ("https", &self.https)];
        let way = |(scheme, proxy): (&str, &Option<Proxy>)| {
            let proxy = proxy.as_ref()?;
            Some(format!("calls to {scheme} addresses go through the proxy {proxy}"))
        };
        schemes.into_iter().filter_map(way).collect()
    }

    /// Whether any call may go through a proxy.
    pub fn are_any(&self) -> bool {
        self.http.is_some() || self.https.is_some()
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_proxy_is_read_from_a_url_or_from_what_is_left_of_one() {
        for (text, shown) in [
            ("http://proxy.example.org:3128", "http://proxy.example.org:3128"),
            ("http://proxy.example.org:3128/", "http://proxy.example.org:3128"),
            ("proxy.example.org:3128", "http://proxy.example.org:3128"),
            ("HTTP://Proxy.Example.org", "http://proxy.example.org:80"),
            ("https://proxy.example.org", "https://proxy.example.org:443"),
            ("10.0.0.1:8080", "http://10.0.0.1:8080"),
            ("http://[fd00::1]:8080", "http://[fd00::1]:8080"),
            ("http://me:secret@proxy.example.org:3128", "http://proxy.example.org:3128"),
            ("me:secret@proxy.example.org:3128", "http://proxy.example.org:3128"),
        ] {
            assert_eq!(Proxy::parse(text).expect(text).to_string(), shown);
        }
        for other in [
            "",
            "socks5://proxy:1080",
            "http://",
            "http://proxy/path",
            "http://proxy?x",
            "ftp://a",
            "a b",
        ] {
            assert_eq!(Proxy::parse(other).err(), Some(NoProxyUrl), "{other}");
        }
    }

    #[test]
    fn credentials_are_sent_decoded_and_never_shown() {
        for (text, sent) in [
            ("http://me:secret@proxy:3128", "me:secret"),
            ("http://me:p%40ss%3Aw%2Frd@proxy:3128", "me:p@ss:w/rd"),
            ("http://me@proxy:3128", "me:"),
            ("http://:secret@proxy:3128", ":secret"),
        ] {
            let proxy = Proxy::parse(text).expect(text);
            let header = proxy.authorization().expect("credentials").expose_secret();
            assert_eq!(header, format!("Basic {}", BASE64_STANDARD.encode(sent)));
            let shown = format!("{proxy} {proxy:?}");
            assert!(!shown.contains("secret@") && !shown.contains(header), "{shown}");
        }
        assert!(Proxy::parse("http://proxy:3128").expect("a proxy").authorization().is_none());
    }

    #[test]
    fn each_scheme_has_its_proxy() {
        let proxies = Proxies {
            https: Proxy::parse("proxy:3128").ok(),
            exempt: Exemptions::parse("inner.example"),
            ..Proxies::default()
        };
        let goes = |url: &str| proxies.of_url(&Url::parse(url).expect(url)).is_some();
        assert!(goes("https://api.example") && !goes("http://api.example"));
        assert!(!goes("https://inner.example") && !goes("https://x.inner.example:8443"));
        assert!(proxies.are_any() && !Proxies::default().are_any());
    }
}
