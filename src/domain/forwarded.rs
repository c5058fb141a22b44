//! What proxies say of whom they forward: `X-Forwarded-For`, as nearly all of them write it, and `Forwarded`
//! (RFC 7239).
//!
//! A list grows at its end, where the nearest proxy adds whom it was asked by. What stands before may have
//! been sent by anybody. So lists are read from their end, and nothing that stands further ahead changes how the
//! rest is read.

use std::net::{IpAddr, Ipv6Addr};

/// A list of forwarders as one of them is found in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hop {
    /// Its address.
    Address(IpAddr),
    /// It is not told, or cannot be read: `unknown`, `_hidden`, a name.
    Unknown,
}

/// The hops of `X-Forwarded-For`, the nearest one first. Several headers of the name are one list in their
/// order.
pub fn x_forwarded_for<'a>(headers: &'a [String]) -> impl Iterator<Item = Hop> + 'a {
    let elements = headers.iter().rev().flat_map(|header| header.rsplit(','));
    elements.map(str::trim).filter(|element| !element.is_empty()).map(hop)
}

/// The hops of `Forwarded`, the nearest one first.
pub fn forwarded<'a>(headers: &'a [String]) -> impl Iterator<Item = Hop> + 'a {
    elements(headers)
        .map(|element| parameter(element, "for").map_or(Hop::Unknown, |node| hop(&node)))
}

/// The hosts that were asked for, as the `host` of `Forwarded` tells them, the nearest one first.
pub fn forwarded_hosts<'a>(headers: &'a [String]) -> impl Iterator<Item = String> + 'a {
    elements(headers).filter_map(|element| parameter(element, "host"))
}

/// The address of a client that stands behind `peer`: the first one, seen from here, whom nobody trusts to
/// tell the truth. What follows something unreadable may be forged as well, so that there the last one
/// that was trusted counts.
pub fn client(
    peer: IpAddr,
    hops: impl Iterator<Item = Hop>,
    is_trusted: impl Fn(&IpAddr) -> bool,
) -> IpAddr {
    let mut client = peer;
    for hop in hops {
        if !is_trusted(&client) {
            break;
        }
        match hop {
            Hop::Address(address) => client = address,
            Hop::Unknown => break,
        }
    }
    client
}

/// An address as proxies write one: alone or with a port, an IPv6 one in brackets or not, with a zone or not. One
/// that carries an IPv4 address is that one.
pub fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            if !(port.is_empty() || port.strip_prefix(':').is_some_and(is_port)) {
                return None;
            }
            return v6(address).map(|address| address.to_canonical());
        }
        // A single colon is before a port: an IPv6 address has two of them at least.
        None if text.matches(':').count() == 1 => {
            let (address, port) = text.split_once(':')?;
            is_port(port).then_some(address)?
        }
        None => text,
    };
    let parsed = bare.parse().ok().or_else(|| v6(bare));
    parsed.map(|address: IpAddr| address.to_canonical())
}

/// A port, or the word that stands for one (RFC 7239, section 6.3).
fn is_port(text: &str) -> bool {
    let is_number = text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok();
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    is_number || text.strip_prefix('_').is_some_and(is_word)
}

/// An IPv6 address; the zone behind it is of the machine that wrote it, and means nothing here.
fn v6(text: &str) -> Option<IpAddr> {
    let address = text.split_once('%').map_or(text, |(address, _)| address);
    address.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

fn hop(node: &str) -> Hop {
    address(node.trim_matches('"')).map_or(Hop::Unknown, Hop::Address)
}

/// The elements of `Forwarded`, the last one first. A comma within quotes is none between elements; quotes are
/// counted from the end, so that one that somebody opened further ahead changes nothing here.
fn elements(headers: &[String]) -> impl Iterator<Item = &str> {
    let elements = headers.iter().rev().flat_map(|header| {
        let mut is_quoted = false;
        header.rsplit(move |c| {
            is_quoted ^= c == '"';
            c == ',' && !is_quoted
        })
    });
    elements.map(str::trim).filter(|element| !element.is_empty())
}

/// The value of a parameter of an element, without its quotes.
fn parameter(element: &str, name: &str) -> Option<String> {
    let mut is_quoted = false;
    let pairs = element.split(move |c| {
        is_quoted ^= c == '"';
        c == ';' && !is_quoted
    });
    let (_, value) = pairs
        .filter_map(|pair| pair.split_once('='))
        .find(|(known, _)| known.trim().eq_ignore_ascii_case(name))?;
    let value = value.trim();
    let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    Some(match quoted {
        Some(text) => unescaped(text),
        None => value.to_owned(),
    })
}

/// The text of a quoted string: what follows a backslash stands for itself.
fn unescaped(text: &str) -> String {
    let mut characters = text.chars();
    let mut plain = String::with_capacity(text.len());
    while let Some(c) = characters.next() {
        plain.extend(if c == '\\' { characters.next() } else { Some(c) });
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    fn list(headers: &[&str]) -> Vec<String> {
        headers.iter().map(|header| (*header).to_owned()).collect()
    }

    /// Who the client is behind 10.0.0.1, where 10.0.0.0/8 is trusted.
    fn behind(hops: impl Iterator<Item = Hop>) -> String {
        let is_trusted =
            |address: &IpAddr| matches!(address, IpAddr::V4(v4) if v4.octets()[0] == 10);
        client(ip("10.0.0.1"), hops, is_trusted).to_string()
    }

    #[test]
    fn an_address_is_read_in_every_way_that_proxies_write_it() {
        for (text, meant) in [
            ("203.0.113.7", "203.0.113.7"),
            (" 203.0.113.7\t", "203.0.113.7"),
            ("203.0.113.7:51008", "203.0.113.7"),
            ("203.0.113.7:_hidden", "203.0.113.7"),
            ("2001:db8::1", "2001:db8::1"),
            ("2001:DB8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:47011", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%25eth0]:80", "fe80::1"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("[::ffff:cb00:7107]:443", "203.0.113.7"),
        ] {
            assert_eq!(address(text), Some(ip(meant)), "{text}");
        }
        for nothing in [
            "",
            "unknown",
            "_gazonk",
            "unix:",
            "localhost",
            "203.0.113",
            "203.0.113.7:",
            "203.0.113.7:x",
            "203.0.113.7:99999",
            "203.0.113.7:+80",
            "203.0.113.256",
            "[203.0.113.7]",
            "[2001:db8::1",
            "[2001:db8::1]x",
            "[]:80",
            "203.0.113.7 evil",
            "1.2.3.4:5:6",
            "%eth0",
        ] {
            assert_eq!(address(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn a_list_is_walked_from_its_end_over_those_who_are_trusted() {
        for (headers, client) in [
            (&["198.51.100.7"][..], "198.51.100.7"),
            (&["203.0.113.9, 198.51.100.7:4711, 10.0.0.2:80"], "198.51.100.7"),
            (&["203.0.113.9", "198.51.100.7,10.9.9.9", "10.0.0.2"], "198.51.100.7"),
            (&["198.51.100.7,, ,"], "198.51.100.7"),
            (&["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            (&["203.0.113.9, unknown"], "10.0.0.1"),
            (&["203.0.113.9, unknown, 10.0.0.2"], "10.0.0.2"),
            (&["\u{fffd}, 198.51.100.7"], "198.51.100.7"),
            (&["\"[2001:db8::1]:80\""], "2001:db8::1"),
            (&[], "10.0.0.1"),
        ] {
            assert_eq!(behind(x_forwarded_for(&list(headers))), client, "{headers:?}");
        }
    }

    #[test]
    fn forwarded_is_read_with_its_quotes_parameters_and_hidden_names() {
        for (headers, client) in [
            (&["for=198.51.100.7"][..], "198.51.100.7"),
            (&["For=\"198.51.100.7:4711\";proto=https;by=10.0.0.1"], "198.51.100.7"),
            (
                &["proto=https; FOR = \"[2001:db8:cafe::17]:4711\" ;host=\"a;b,c\""],
                "2001:db8:cafe::17",
            ),
            (&["for=203.0.113.9, for=198.51.100.7;by=_x", "for=10.0.0.9"], "198.51.100.7"),
            (&["for=\"\\1\\9\\8.51.100.7\""], "198.51.100.7"),
            (&["for=203.0.113.9, for=_hidden"], "10.0.0.1"),
            (&["for=203.0.113.9, for=unknown"], "10.0.0.1"),
            (&["for=203.0.113.9, proto=https"], "10.0.0.1"),
            (&["for=\"evil, for=198.51.100.7"], "198.51.100.7"),
            (&["for=\"evil, for=\"[2001:db8::1]\""], "2001:db8::1"),
            (&["for=203.0.113.9;x=\", for=\"198.51.100.7\""], "198.51.100.7"),
        ] {
            assert_eq!(behind(forwarded(&list(headers))), client, "{headers:?}");
        }
        let hosts = list(&["for=1.2.3.4;host=\"a.example:8443\"", "host=b.example"]);
        assert_eq!(forwarded_hosts(&hosts).collect::<Vec<_>>(), ["b.example", "a.example:8443"]);
    }

    proptest! {
        #[test]
        fn nothing_that_is_sent_ahead_changes_what_the_nearest_proxy_says(ahead in ".{0,40}") {
            for (own, client) in [
                ("198.51.100.7:1", "198.51.100.7"),
                ("for=198.51.100.7;proto=https", "198.51.100.7"),
                ("proto=https;for=\"[2001:db8::1]:80\"", "2001:db8::1"),
            ] {
                let together = [format!("{ahead}, {own}")];
                let apart = [ahead.clone(), own.to_owned()];
                for headers in [&together[..], &apart] {
                    let told = if own.starts_with('1') {
                        behind(x_forwarded_for(headers))
                    } else {
                        behind(forwarded(headers))
                    };
                    prop_assert_eq!(told, client);
                }
            }
        }
    }

    #[test]
    fn who_is_not_trusted_is_the_client_whatever_it_says() {
        let told = list(&["198.51.100.7"]);
        assert_eq!(client(ip("192.0.2.1"), x_forwarded_for(&told), |_| false), ip("192.0.2.1"));
    }
}
