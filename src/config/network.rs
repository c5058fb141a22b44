//! How the world outside is reached: by which proxy, and whose certificates are believed.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::ExposeSecret;

use super::Network;
use super::error::{ConfigError, Problem};
use super::reader::{Reader, refuse};
use super::sources::Sources;
use crate::domain::proxy::{Exemptions, Proxies, Proxy};

/// The variables by which programs are told a proxy, for http and for https addresses. The first one that is
/// there counts, also where it is empty: then there is none.
const HTTP_VARIABLES: [&str; 4] = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];
const HTTPS_VARIABLES: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
/// Those that say whom to reach without one.
const EXEMPT_VARIABLES: [&str; 2] = ["no_proxy", "NO_PROXY"];

pub(super) fn read(r: &mut Reader<'_>, sources: &Sources) -> Result<Network, ConfigError> {
    let key = "network.proxy_url";
    let (http, https) = match r.secret(key)? {
        Some(url) => {
            let problem = |error| -> Result<_, ConfigError> {
                Ok(refuse(key, r.find(key)?, Problem::refused(&format!("{error}"))))
            };
            let proxy = match Proxy::parse(url.expose_secret()) {
                Ok(proxy) => proxy,
                Err(error) => return Err(problem(error)?),
            };
            (Some(proxy.clone()), Some(proxy))
        }
        None => (named(sources, &HTTP_VARIABLES)?, named(sources, &HTTPS_VARIABLES)?),
    };
    let exempt = r.list("network.no_proxy", exemptions)?;
    let exempt = exempt.into_iter().fold(Exemptions::default(), Exemptions::and);
    let told = first(sources, &EXEMPT_VARIABLES).map_or("", |(_, list)| list);
    let exempt = exempt.and(Exemptions::parse(told));
    let certificates = r.optional_text("network.ca_file", certificates)?.unwrap_or_default();
    Ok(Network { proxies: Proxies { http, https, exempt }, certificates })
}

/// The first of these variables that is there, with its value.
fn first<'a>(sources: &'a Sources, names: &[&'static str]) -> Option<(&'static str, &'a str)> {
    names.iter().find_map(|name| Some((*name, sources.environment.get(*name)?.trim())))
}

/// The proxy that the first of these variables names.
fn named(sources: &Sources, names: &[&'static str]) -> Result<Option<Proxy>, ConfigError> {
    let Some((name, url)) = first(sources, names).filter(|(_, url)| !url.is_empty()) else {
        return Ok(None);
    };
    Proxy::parse(url).map(Some).map_err(|error| ConfigError::Refused {
        origin: name.to_owned(),
        key: "network.proxy_url".to_owned(),
        reason: error.to_string(),
    })
}

fn exemptions(text: &str) -> Result<Exemptions, Problem> {
    let exemptions = Exemptions::parse(text);
    let allowed = "a host name, an address, a network or *, as in .example.org or 10.0.0.0/8";
    if exemptions.are_none() { Err(Problem::must_be(allowed)) } else { Ok(exemptions) }
}

/// The certificates in a file of PEM, each of which can be an authority's.
fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let pem = std::fs::read(path)
        .map_err(|error| Problem::refused(&format!("cannot be read: {path}: {error}")))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let is_good = |certificate: &CertificateDer<'static>| {
        RootCertStore::empty().add(certificate.clone()).is_ok()
    };
    let certificates = found.ok().filter(|found| !found.is_empty() && found.iter().all(is_good));
    certificates.ok_or_else(|| {
        Problem::refused(&format!(
            "must be a file of certificates in PEM (-----BEGIN CERTIFICATE-----): {path} is none"
        ))
    })
}
