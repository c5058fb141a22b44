//! Hosts and origins as browsers and proxies name them, compared by what they mean: the case of letters, a
//! dot at the end of a name and the usual port of a scheme make no difference.

use std::net::IpAddr;

use url::Host;

/// What stands in a `Host` header: a host, and perhaps a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    host: Host,
    port: Option<u16>,
}

/// The origin of a page, as in `https://jobs.example.org`: scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebOrigin {
    is_secure: bool,
    host: Host,
    port: u16,
}

/// A host in the form in which hosts can be compared: a name in lower case and without a dot at the end, an
/// IPv6 address that carries an IPv4 one as that.
pub fn parse_host(text: &str) -> Option<Host> {
    let host = Host::parse(text).ok()?;
    Some(match host {
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(&name);
            (!name.is_empty() && !name.ends_with('.')).then(|| Host::Domain(name.to_owned()))?
        }
        Host::Ipv6(address) => match address.to_canonical() {
            IpAddr::V4(address) => Host::Ipv4(address),
            IpAddr::V6(address) => Host::Ipv6(address),
        },
        host @ Host::Ipv4(_) => host,
    })
}

impl Authority {
    /// Reads `host` or `host:port`; None where it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        // The colons of an IPv6 address stand within its brackets.
        let after_host = text.rfind(']').map_or(0, |bracket| bracket + 1);
        let (host, port) = match text[after_host..].rfind(':') {
            Some(colon) => text.split_at(after_host + colon),
            None => (text, ""),
        };
        let port = match port.strip_prefix(':') {
            // A colon without a port is a usual port (RFC 3986, section 3.2.3).
            None | Some("") => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse().ok()?)
            }
            Some(_) => return None,
        };
        Some(Self { host: parse_host(host)?, port })
    }

    /// The host alone.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port, where it has one.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The same with this port where it has none.
    #[must_use]
    pub fn or_port(self, port: u16) -> Self {
        Self { port: self.port.or(Some(port)), ..self }
    }
}

impl WebOrigin {
    /// Reads an origin of http or https; None where it is anything else, as `null` is.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.trim().split_once("://")?;
        let is_secure = match scheme {
            scheme if scheme.eq_ignore_ascii_case("https") => true,
            scheme if scheme.eq_ignore_ascii_case("http") => false,
            _ => return None,
        };
        let Authority { host, port } = Authority::parse(rest)?;
        Some(Self { is_secure, host, port: port.unwrap_or(if is_secure { 443 } else { 80 }) })
    }

    /// Whether a page of this origin asks its own site when it asks `authority`. That may lack the port
    /// that its scheme has anyway; it does not say the scheme, which ends at a proxy.
    pub fn is_at(&self, authority: &Authority) -> bool {
        let usual = if self.is_secure { 443 } else { 80 };
        self.host == authority.host && self.port == authority.port.unwrap_or(usual)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_own(origin: &str, host: &str) -> bool {
        let origin = WebOrigin::parse(origin);
        let authority = Authority::parse(host);
        origin.zip(authority).is_some_and(|(origin, authority)| origin.is_at(&authority))
    }

    #[test]
    fn an_origin_is_that_of_a_host_however_both_are_spelt() {
        for (origin, host) in [
            ("https://jobs.example.org", "jobs.example.org"),
            ("https://jobs.example.org", "jobs.example.org:443"),
            ("https://jobs.example.org", "JOBS.Example.org:443"),
            ("https://jobs.example.org:443", "jobs.example.org"),
            ("HTTPS://Jobs.Example.Org", "jobs.example.org."),
            ("https://jobs.example.org.", "jobs.example.org:443"),
            ("http://jobs.example.org", "jobs.example.org:80"),
            ("http://jobs.example.org", "jobs.example.org:"),
            ("https://jobs.example.org:8443", "jobs.example.org:8443"),
            ("http://127.0.0.1:8001", "127.0.0.1:8001"),
            ("http://[::1]:8001", "[::1]:8001"),
            ("http://[0:0::1]:8001", "[::1]:8001"),
            ("http://[::ffff:127.0.0.1]:8001", "127.0.0.1:8001"),
            ("https://jobs.bücher.example", "jobs.xn--bcher-kva.example"),
        ] {
            assert!(is_own(origin, host), "{origin} {host}");
        }
    }

    proptest! {
        #[test]
        fn a_page_is_at_its_own_host_and_at_no_other(name in "[a-z]{1,9}(\\.[a-z]{1,9}){0,2}\\.test", port in 1..=u16::MAX) {
            let (origin, host) = (format!("https://{name}:{port}"), format!("{name}:{port}"));
            let dotted = format!("{name}.:{port}");
            prop_assert!(is_own(&origin, &host));
            prop_assert!(is_own(&origin.to_uppercase(), &dotted));
            for other in [format!("x{host}"), format!("{name}.evil:{port}")] {
                prop_assert!(!is_own(&origin, &other));
            }
        }
    }

    #[test]
    fn an_origin_of_another_port_scheme_or_name_is_foreign() {
        for (origin, host) in [
            ("https://jobs.example.org", "jobs.example.org:80"),
            ("http://jobs.example.org", "jobs.example.org:443"),
            ("https://jobs.example.org:8443", "jobs.example.org"),
            ("https://jobs.example.org", "jobs.example.org:8443"),
            ("https://jobs.example.org.evil.example", "jobs.example.org"),
            ("https://evil.example", "jobs.example.org"),
            ("https://jobs.example.org..", "jobs.example.org"),
            ("https://jobs.example.org/path", "jobs.example.org"),
            ("https://user@jobs.example.org", "jobs.example.org"),
            ("ftp://jobs.example.org", "jobs.example.org"),
            ("jobs.example.org", "jobs.example.org"),
            ("null", "null"),
            ("", ""),
            ("https://", ""),
            ("https://jobs.example.org:99999", "jobs.example.org"),
            ("https://jobs.example.org:4_43", "jobs.example.org"),
            ("http://[::1", "[::1"),
            ("http://a b", "a b"),
        ] {
            assert!(!is_own(origin, host), "{origin} {host}");
        }
    }
}
