//! What is said of proxies and certificates in the configuration and in the environment.

use jobsyncd::config::{Config, Sources};

fn load(variables: &[(&str, &str)]) -> Result<Config, String> {
    let always = [("STATE_DIRECTORY", "/state")];
    let sources = Sources::from_environment(always.iter().chain(variables).copied());
    Config::load(&sources).map_err(|error| error.to_string())
}

#[test]
fn a_proxy_or_an_authority_that_cannot_be_used_stops_the_start_and_shows_no_password() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let (empty, key) = (
        file("empty.pem", ""),
        file("no.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    );
    for (variable, value, words) in [
        (
            "JOBSYNCD__NETWORK__PROXY_URL",
            "socks5://me:never@proxy:1080",
            "`network.proxy_url` must be the URL of an HTTP proxy",
        ),
        (
            "HTTPS_PROXY",
            "socks5h://me:never@proxy:1080",
            "HTTPS_PROXY: `network.proxy_url` must be",
        ),
        ("all_proxy", "socks5://me:never@proxy:1080", "all_proxy: `network.proxy_url` must be"),
        (
            "JOBSYNCD__NETWORK__NO_PROXY",
            "10.0.0.0/8, ???",
            "`network.no_proxy` must be a host name, an address, a network or *",
        ),
        (
            "JOBSYNCD__NETWORK__CA_FILE",
            "/no/such/file.pem",
            "`network.ca_file` cannot be read: /no/such/file.pem",
        ),
        (
            "JOBSYNCD__NETWORK__CA_FILE",
            &empty,
            "`network.ca_file` must be a file of certificates in PEM",
        ),
        (
            "JOBSYNCD__NETWORK__CA_FILE",
            &key,
            "`network.ca_file` must be a file of certificates in PEM",
        ),
    ] {
        let refusal = load(&[(variable, value)]).expect_err(value);
        assert!(refusal.contains(words), "{refusal}");
        assert!(!refusal.contains("never"), "{refusal}");
    }
}

#[test]
fn the_password_of_a_proxy_is_shown_nowhere() {
    let url = "http://me:never-to-be-seen@proxy.example.org:3128";
    for variable in ["JOBSYNCD__NETWORK__PROXY_URL", "HTTPS_PROXY"] {
        let config = load(&[(variable, url)]).expect("a configuration");
        let ways = config.network.proxies.ways().join("\n");
        assert!(ways.contains("the proxy http://proxy.example.org:3128"), "{ways}");
        let shown = format!("{config:?}{}{ways}", config.describe());
        assert!(!shown.contains("never-to-be-seen"), "{shown}");
    }
}

#[test]
fn a_runtime_on_this_machine_that_would_be_reached_through_a_proxy_is_warned_of() {
    let base = ("JOBSYNCD__PROVIDERS__COG__BASE_URL", "http://127.0.0.1:5000");
    let proxy = ("HTTP_PROXY", "proxy.example.org:3128");
    let warned = |variables: &[(&str, &str)]| {
        let config = load(variables).expect("a configuration");
        config.warnings.iter().any(|warning| warning.contains("network.no_proxy"))
    };
    assert!(warned(&[base, proxy]));
    assert!(!warned(&[base]));
    assert!(!warned(&[base, proxy, ("NO_PROXY", "localhost,127.0.0.1")]));
}
