//! Which server is asked, and with which key: flags, then the environment, then the default.

use std::fmt;
use std::path::PathBuf;

use clap::Args;
use secrecy::SecretString;
use url::Url;

use super::ClientError;

/// Where the daemon listens when nothing else is said.
const DEFAULT_SERVER: &str = "http://127.0.0.1:8001";
/// Its port.
const DEFAULT_PORT: u16 = 8001;

/// The flags that say which server is asked.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct Connection {
    /// The daemon's URL [default: JOBSYNCD_SERVER, else SIMPLETUNER_HOST and SIMPLETUNER_PORT, else
    /// http://127.0.0.1:8001].
    #[arg(long, value_name = "URL")]
    pub(super) server: Option<String>,
    /// A file with the API key [default: the key in JOBSYNCD_API_KEY or SIMPLETUNER_API_KEY].
    #[arg(long, value_name = "FILE")]
    pub(super) api_key_file: Option<PathBuf>,
}

/// Which server is asked, and with which key.
pub(super) struct Settings {
    /// The URL below which the API is.
    pub(super) server: Url,
    /// The API key, where there is one.
    pub(super) api_key: Option<SecretString>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Settings").field("server", &self.server.as_str()).finish()
    }
}

impl Settings {
    /// The settings of this process.
    pub(super) fn from_process(connection: &Connection) -> Result<Self, ClientError> {
        Self::new(connection, |name| std::env::var(name).ok())
    }

    /// The settings by these flags and variables. A variable that is empty counts as not set.
    pub(super) fn new(
        connection: &Connection,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ClientError> {
        let variable = |name: &str| {
            variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
        };
        let server = match (&connection.server, variable("JOBSYNCD_SERVER")) {
            (Some(text), _) => server_url("--server", text)?,
            (None, Some(text)) => server_url("JOBSYNCD_SERVER", &text)?,
            (None, None) => simpletuner_url(variable)?,
        };
        let api_key = match &connection.api_key_file {
            Some(path) => {
                let bad = |problem: String| {
                    ClientError::Usage(format!("--api-key-file {}: {problem}", path.display()))
                };
                let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
                let key = text.trim().to_owned();
                if key.is_empty() {
                    return Err(bad("there is no key in it".to_owned()));
                }
                Some(key)
            }
            None => ["JOBSYNCD_API_KEY", "SIMPLETUNER_API_KEY"].into_iter().find_map(variable),
        };
        // The key itself is not repeated: this is printed.
        if api_key.as_deref().is_some_and(|key| !key.bytes().all(|byte| byte.is_ascii_graphic())) {
            let problem = "the API key holds characters that no key has".to_owned();
            return Err(ClientError::Usage(problem));
        }
        Ok(Self { server, api_key: api_key.map(SecretString::from) })
    }
}

/// The server as SimpleTuner's own variables name it. Its command line wants a host there; people also
/// put a URL.
fn simpletuner_url(variable: impl Fn(&str) -> Option<String>) -> Result<Url, ClientError> {
    let host = variable("SIMPLETUNER_HOST");
    let port = variable("SIMPLETUNER_PORT");
    let port = port.map(|text| {
        let bad = |_| ClientError::Usage(format!("SIMPLETUNER_PORT: {text:?} is no port"));
        text.parse::<u16>().map_err(bad)
    });
    let port = port.transpose()?;
    let Some(host) = host else {
        let mut url = server_url("the default", DEFAULT_SERVER)?;
        // Only a URL that cannot have a port refuses one.
        let _ = url.set_port(Some(port.unwrap_or(DEFAULT_PORT)));
        return Ok(url);
    };
    let is_bare_host = !host.contains("://");
    let mut url = server_url("SIMPLETUNER_HOST", &bracketed(&host))?;
    if is_bare_host && variable("SIMPLETUNER_SSL_ENABLED").as_deref() == Some("true") {
        url = server_url("SIMPLETUNER_HOST", &format!("https://{}", bracketed(&host)))?;
    }
    if url.port().is_none() && (is_bare_host || port.is_some()) {
        let _ = url.set_port(Some(port.unwrap_or(DEFAULT_PORT)));
    }
    Ok(url)
}

/// An IPv6 address as a URL wants it.
fn bracketed(host: &str) -> String {
    match host.parse::<std::net::Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => host.to_owned(),
    }
}

/// Reads a URL, or a host with or without a port.
fn server_url(source: &str, text: &str) -> Result<Url, ClientError> {
    let bad = |problem: &str| ClientError::Usage(format!("{source}: {problem}"));
    let text = text.trim();
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let mut url =
        Url::parse(&whole).map_err(|error| bad(&format!("{text:?} is no URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(bad(&format!("{text:?} is no http or https URL")));
    }
    // It would show in `ps` and in every message.
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("a URL must not hold credentials: see --api-key-file"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad(&format!("{text:?} has more than a path")));
    }
    // A server is told to listen there; nobody can connect to it everywhere.
    if url.host_str() == Some("0.0.0.0") {
        let _ = url.set_host(Some("127.0.0.1"));
    }
    if url.host_str() == Some("[::]") {
        let _ = url.set_host(Some("[::1]"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use secrecy::ExposeSecret as _;

    use super::*;

    fn settings(server: Option<&str>, variables: &[(&str, &str)]) -> Result<Settings, ClientError> {
        let connection = Connection { server: server.map(str::to_owned), api_key_file: None };
        Settings::new(&connection, |name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[rstest]
    #[case::default(None, &[], "http://127.0.0.1:8001/")]
    #[case::flag(Some("https://a.example/jobs"), &[("JOBSYNCD_SERVER", "http://b")], "https://a.example/jobs")]
    #[case::flag_without_scheme(Some("localhost:9000"), &[], "http://localhost:9000/")]
    #[case::ours_first(None, &[("JOBSYNCD_SERVER", "http://b:1"), ("SIMPLETUNER_HOST", "c")], "http://b:1/")]
    #[case::empty_is_unset(None, &[("JOBSYNCD_SERVER", " "), ("SIMPLETUNER_HOST", "c")], "http://c:8001/")]
    #[case::host(None, &[("SIMPLETUNER_HOST", "c"), ("SIMPLETUNER_PORT", "9")], "http://c:9/")]
    #[case::host_and_port(None, &[("SIMPLETUNER_HOST", "c:7"), ("SIMPLETUNER_PORT", "9")], "http://c:7/")]
    #[case::url(None, &[("SIMPLETUNER_HOST", "https://c.example")], "https://c.example/")]
    #[case::url_and_port(None, &[("SIMPLETUNER_HOST", "https://c.example"), ("SIMPLETUNER_PORT", "9")], "https://c.example:9/")]
    #[case::tls(None, &[("SIMPLETUNER_HOST", "c"), ("SIMPLETUNER_SSL_ENABLED", "true")], "https://c:8001/")]
    #[case::port_alone(None, &[("SIMPLETUNER_PORT", "9")], "http://127.0.0.1:9/")]
    #[case::everywhere(None, &[("SIMPLETUNER_HOST", "0.0.0.0")], "http://127.0.0.1:8001/")]
    #[case::ipv6(None, &[("SIMPLETUNER_HOST", "::1")], "http://[::1]:8001/")]
    fn the_server_is_named_by_flag_then_our_variable_then_simpletuners(
        #[case] flag: Option<&str>,
        #[case] variables: &[(&str, &str)],
        #[case] expected: &str,
    ) {
        assert_eq!(settings(flag, variables).expect("settings").server.as_str(), expected);
    }

    #[rstest]
    #[case("ftp://a", "no http or https URL")]
    #[case("http://", "is no URL")]
    #[case("http://me:secret@a", "--api-key-file")]
    #[case("http://a/?x=1", "more than a path")]
    fn what_is_no_server_is_refused(#[case] text: &str, #[case] words: &str) {
        let error = settings(Some(text), &[]).expect_err("a refusal");
        let said = error.to_string();
        assert!(said.starts_with("--server: ") && said.contains(words), "{said}");
        assert!(!said.contains("secret"), "{said}");
        assert_eq!(error.exit_code(), 64);
    }

    #[test]
    fn our_key_comes_before_simpletuners() {
        let key = |variables: &[_]| {
            let settings = settings(None, variables).expect("settings");
            settings.api_key.map(|key| key.expose_secret().to_owned())
        };
        assert_eq!(key(&[]), None);
        assert_eq!(key(&[("SIMPLETUNER_API_KEY", "theirs\n")]).as_deref(), Some("theirs"));
        let both = [("SIMPLETUNER_API_KEY", "theirs"), ("JOBSYNCD_API_KEY", "ours")];
        assert_eq!(key(&both).as_deref(), Some("ours"));
    }

    #[test]
    fn a_key_that_no_header_can_carry_is_refused_and_not_shown() {
        let error = settings(None, &[("JOBSYNCD_API_KEY", "a b\u{7}")]).expect_err("a refusal");
        assert!(!error.to_string().contains("a b"), "{error}");
    }
}
