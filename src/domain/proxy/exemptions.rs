//! Whom to reach without a proxy, by the rules of curl.

use std::net::IpAddr;

use ipnet::IpNet;
use url::Host;

use crate::domain::web_origin::Authority;

/// Who is reached without a proxy (`NO_PROXY`).
#[derive(Debug, Clone, Default)]
pub struct Exemptions(Vec<Exemption>);

#[derive(Debug, Clone)]
struct Exemption {
    whom: Whom,
    /// This port alone.
    port: Option<u16>,
}

#[derive(Debug, Clone)]
enum Whom {
    Everybody,
    /// The host of this name, and those whose names end in a dot and this one.
    Name(String),
    Addresses(IpNet),
}

impl Exemptions {
    /// Reads a list with commas or blanks between its entries: `*`, a name (with or without a dot before
    /// it, it stands for its subdomains too), an address, or a network; each but the last perhaps with a port. What
    /// is nothing of that exempts nobody.
    pub fn parse(list: &str) -> Self {
        let entries = list.split([',', ' ', '\t']).filter(|entry| !entry.is_empty());
        Self(entries.filter_map(Exemption::parse).collect())
    }

    /// Whether nobody is exempt.
    pub fn are_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Both lists in one.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Whether a host is exempt at a port.
    pub fn cover(&self, host: &Host, port: u16) -> bool {
        let covers = |entry: &Exemption| {
            entry.port.is_none_or(|only| only == port) && entry.whom.includes(host)
        };
        self.0.iter().any(covers)
    }
}

impl Exemption {
    fn parse(entry: &str) -> Option<Self> {
        if entry == "*" {
            return Some(Self { whom: Whom::Everybody, port: None });
        }
        let whole = |network: IpNet| Self { whom: Whom::Addresses(network), port: None };
        let network = entry.parse::<IpNet>().map(|network| network.trunc()).ok();
        let address = || entry.parse::<IpAddr>().map(|address| address.to_canonical().into()).ok();
        if let Some(network) = network.or_else(address) {
            return Some(whole(network));
        }
        let entry = entry.strip_prefix('*').unwrap_or(entry);
        let asked = Authority::parse(entry.trim_start_matches('.'))?;
        let whom = match asked.host() {
            Host::Domain(name) => Whom::Name(name.clone()),
            Host::Ipv4(address) => Whom::Addresses(IpAddr::V4(*address).into()),
            Host::Ipv6(address) => Whom::Addresses(IpAddr::V6(*address).into()),
        };
        Some(Self { whom, port: asked.port() })
    }
}

impl Whom {
    fn includes(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Everybody, _) => true,
            (Self::Name(name), Host::Domain(host)) => {
                let before = host.strip_suffix(name.as_str());
                before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
            }
            (Self::Addresses(network), Host::Ipv4(address)) => {
                network.contains(&IpAddr::V4(*address))
            }
            (Self::Addresses(network), Host::Ipv6(address)) => {
                network.contains(&IpAddr::V6(*address))
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::proxy::Proxy;
    use crate::domain::web_origin::parse_host;

    #[test]
    fn who_is_exempt_is_named_as_for_curl() {
        let covers = |list: &str, host: &str, port: u16| {
            Exemptions::parse(list).cover(&parse_host(host).expect(host), port)
        };
        for (list, host) in [
            ("*", "anything.example"),
            ("example.org", "example.org"),
            ("example.org", "API.example.org."),
            (".example.org", "api.example.org"),
            (".example.org", "example.org"),
            ("*.example.org", "api.example.org"),
            ("Example.ORG.", "example.org"),
            ("a.example, example.org", "example.org"),
            ("a.example example.org", "example.org"),
            ("localhost,127.0.0.1,::1", "127.0.0.1"),
            ("localhost,127.0.0.1,::1", "[::1]"),
            ("[::1]", "[::1]"),
            ("10.0.0.0/8", "10.255.0.1"),
            ("fd00::/8", "[fd12::1]"),
            ("127.0.0.1", "[::ffff:127.0.0.1]"),
            ("example.org:8001", "example.org"),
            ("127.0.0.1:8001", "127.0.0.1"),
        ] {
            assert!(covers(list, host, 8001), "{list} {host}");
        }
        for (list, host) in [
            ("", "example.org"),
            (",, ,", "example.org"),
            ("example.org", "notexample.org"),
            ("example.org", "example.org.evil.example"),
            ("api.example.org", "example.org"),
            ("1", "127.0.0.1"),
            ("0.0.1", "127.0.0.1"),
            ("10.0.0.0/8", "11.0.0.1"),
            ("10.0.0.0/8", "10.example.org"),
            ("example.org:443", "example.org"),
            ("exam*.org", "example.org"),
            ("???", "example.org"),
        ] {
            assert!(!covers(list, host, 8001), "{list} {host}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            let _ = Proxy::parse(&text);
            let exempt = Exemptions::parse(&text);
            let _ = exempt.cover(&Host::Domain(text), 80);
        }
    }
}
