//! The address of the client. It is the socket's, and a forwarded header is believed only from a
//! configured proxy (`api.md`, "Events").

use std::net::{IpAddr, Ipv4Addr};

use actix_web::HttpRequest;
use ipnet::IpNet;

/// The address from which a request really comes: the last one in the chain of forwarders that is
/// not a trusted proxy's.
pub(super) fn client_address(request: &HttpRequest, trusted_proxies: &[IpNet]) -> IpAddr {
    let peer = request.peer_addr().map(|address| address.ip().to_canonical());
    // Only a Unix socket has no address, and only this machine can reach it.
    let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let is_trusted = |address: &IpAddr| trusted_proxies.iter().any(|proxy| proxy.contains(address));
    if !is_trusted(&peer) {
        return peer;
    }
    let headers = request.headers().get_all("x-forwarded-for");
    let forwarded: Vec<&str> = headers
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(','))
        .collect();
    let mut client = peer;
    for hop in forwarded.iter().rev() {
        // What follows something unreadable may be forged as well.
        let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
        client = address.to_canonical();
        if !is_trusted(&client) {
            break;
        }
    }
    client
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn address_of(peer: &str, forwarded: &str) -> String {
        let peer = format!("{peer}:1234").parse().expect("an address");
        let request = TestRequest::default()
            .peer_addr(peer)
            .insert_header(("x-forwarded-for", forwarded))
            .to_http_request();
        let proxies = ["10.0.0.0/8".parse().expect("a network")];
        client_address(&request, &proxies).to_string()
    }

    #[test]
    fn a_forwarded_header_from_anyone_else_is_not_believed() {
        assert_eq!(address_of("192.0.2.1", "198.51.100.7"), "192.0.2.1");
    }

    #[test]
    fn behind_trusted_proxies_the_client_is_the_last_one_before_them() {
        assert_eq!(address_of("10.0.0.1", "198.51.100.7"), "198.51.100.7");
        assert_eq!(address_of("10.0.0.1", "203.0.113.9, 198.51.100.7, 10.0.0.2"), "198.51.100.7");
    }

    #[test]
    fn what_is_no_address_is_not_believed() {
        assert_eq!(address_of("10.0.0.1", "203.0.113.9, unknown"), "10.0.0.1");
    }
}
