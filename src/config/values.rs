//! The texts that mean something: addresses, networks, URLs, names, prices.

use std::net::{IpAddr, SocketAddr};

use ipnet::{IpNet, Ipv4Net};
use url::{Host, Url};

use super::BaseUrl;
use super::error::Problem;
use crate::domain::web_origin::{WebOrigin, parse_host};

/// `127.0.0.1:8001`, `[::1]:0` or `localhost:8001`.
pub(super) fn bind(text: &str) -> Result<SocketAddr, Problem> {
    // The only name that needs no asking around to know its address.
    let text = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    text.parse()
        .map_err(|_| Problem::must_be("an IP address and a port, as in 127.0.0.1:8001 or [::1]:0"))
}

/// A network, or one address, in the form in which addresses of clients are compared with it: an IPv4 one that is
/// written as IPv6 is an IPv4 one.
pub(super) fn network(text: &str) -> Result<IpNet, Problem> {
    let one = || text.trim_matches(['[', ']']).parse::<IpAddr>().map(IpNet::from).ok();
    let network: IpNet = text
        .parse()
        .ok()
        .or_else(one)
        .ok_or_else(|| Problem::must_be("an IP address or a network, as in 10.0.0.0/8"))?;
    Ok(match (network.addr().to_canonical(), network.prefix_len().checked_sub(96)) {
        (IpAddr::V4(address), Some(prefix)) if matches!(network, IpNet::V6(_)) => {
            Ipv4Net::new(address, prefix).map_or(network, IpNet::V4)
        }
        _ => network,
    })
}

/// A name for the `Host` header.
pub(super) fn host(text: &str) -> Result<Host, Problem> {
    parse_host(text).filter(|_| !text.contains('*')).ok_or_else(|| {
        Problem::must_be("a host name or address without a port, as in jobs.example.org")
    })
}

/// An origin as browsers send it: scheme, host, and the port if it is an unusual one.
pub(super) fn origin(text: &str) -> Result<WebOrigin, Problem> {
    let text = text.strip_suffix('/').unwrap_or(text);
    WebOrigin::parse(text).filter(|_| !text.contains('*')).ok_or_else(|| {
        Problem::must_be("an http or https origin without a path, as in https://studio.example.org")
    })
}

/// The base of a provider's URLs.
pub(super) fn base_url(text: &str) -> Result<BaseUrl, Problem> {
    let example = "an http or https URL, as in https://api.replicate.com/v1";
    let url = http_url(text, example)?;
    if !is_bare(&url) {
        return Err(Problem::refused("must be without credentials, query or fragment"));
    }
    Ok(BaseUrl(url.as_str().trim_end_matches('/').to_owned()))
}

/// Where a provider reaches our webhook.
pub(super) fn webhook_url(text: &str) -> Result<Url, Problem> {
    let example =
        "an http or https URL, as in https://jobs.example.org/api/webhooks/replicate, or null";
    let url = http_url(text, example)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Problem::refused("must be without credentials: a webhook carries a signature"));
    }
    Ok(url)
}

/// Dollars as whole micro-dollars, up to one dollar.
pub(super) fn micro_usd(usd: f64) -> Option<i64> {
    const MICRO: f64 = 1_000_000.0;
    let micro = (usd * MICRO).round();
    // Prices are exact: one finer than a micro-dollar is refused rather than rounded away.
    let is_whole = (usd * MICRO - micro).abs() < 1e-6;
    #[expect(clippy::cast_possible_truncation, reason = "whole, and within 0 and a million")]
    (is_whole && (0.0..=MICRO).contains(&micro)).then_some(micro as i64)
}

/// Whether the URL leads no further than this machine, where http is as good as https.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}

fn http_url(text: &str, allowed: &str) -> Result<Url, Problem> {
    let url = Url::parse(text).ok().filter(is_http);
    url.ok_or_else(|| Problem::must_be(allowed))
}

fn is_http(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}

fn is_bare(url: &Url) -> bool {
    url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
}

/// The name of an input of a model, as a program could write it.
pub(super) fn input_name(text: &str) -> Result<String, Problem> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(is_name)
    {
        Ok(text.to_owned())
    } else {
        Err(Problem::must_be("the name of an input: letters, digits and _, a letter first"))
    }
}
