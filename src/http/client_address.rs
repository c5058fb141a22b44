//! Who a client is, and what it asked for, where proxies stand between. The address is the socket's, and
//! what a header says is believed only from a configured proxy (`api.md`, "Events").

use std::net::{IpAddr, Ipv4Addr};

use actix_web::HttpRequest;
use actix_web::http::header::HOST;
use ipnet::IpNet;

use crate::domain::forwarded::{client, forwarded, forwarded_hosts, x_forwarded_for};
use crate::domain::web_origin::Authority;

/// The address from which a request really comes: the last one in the chain of forwarders that is
/// not a trusted proxy's. `Forwarded` counts where there is no `X-Forwarded-For`, which nearly every proxy sets
/// and so takes out of a client's hands.
pub(super) fn client_address(request: &HttpRequest, trusted_proxies: &[IpNet]) -> IpAddr {
    let peer = peer(request);
    let trusts = |address: &IpAddr| is_trusted(address, trusted_proxies);
    if !trusts(&peer) {
        return peer;
    }
    let told = values(request, "x-forwarded-for");
    if told.iter().all(|header| header.trim().is_empty()) {
        return client(peer, forwarded(&values(request, "forwarded")), trusts);
    }
    client(peer, x_forwarded_for(&told), trusts)
}

/// The hosts that a request was made to: the one of its `Host`, and where a trusted proxy forwards it under
/// another one, those that the proxy names.
pub(super) fn asked_hosts(request: &HttpRequest, trusted_proxies: &[IpNet]) -> Vec<Authority> {
    let mut named = values(request, HOST.as_str());
    let mut port = None;
    if is_trusted(&peer(request), trusted_proxies) {
        let lists = values(request, "x-forwarded-host");
        named.extend(lists.iter().flat_map(|list| list.split(',')).map(str::to_owned));
        named.extend(forwarded_hosts(&values(request, "forwarded")));
        let ports = values(request, "x-forwarded-port");
        port = ports.first().and_then(|port| port.trim().parse().ok());
    }
    let asked: Vec<_> = named.iter().filter_map(|name| Authority::parse(name)).collect();
    let with_port = asked.iter().cloned().filter_map(|asked| Some(asked.or_port(port?)));
    let with_port: Vec<_> = with_port.collect();
    [asked, with_port].concat()
}

fn peer(request: &HttpRequest) -> IpAddr {
    let peer = request.peer_addr().map(|address| address.ip().to_canonical());
    // Only a Unix socket has no address, and only this machine can reach it.
    peer.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

fn is_trusted(address: &IpAddr, trusted_proxies: &[IpNet]) -> bool {
    trusted_proxies.iter().any(|proxy| proxy.contains(address))
}

/// Every header of the name, in order. Bytes that are no text stay in their place: to leave a header out for
/// them would leave out what the proxy wrote behind them.
fn values(request: &HttpRequest, name: &str) -> Vec<String> {
    let headers = request.headers().get_all(name);
    headers.map(|header| String::from_utf8_lossy(header.as_bytes()).into_owned()).collect()
}
