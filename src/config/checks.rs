//! What only shows in several settings together: the one combination that is refused, and those
//! that are legal but probably not meant.

use std::path::Path;

use secrecy::ExposeSecret;
use url::Url;

use super::error::ConfigError;
use super::{Config, Providers, values};
use crate::domain::cost::Prices;

/// An API key shorter than this can be guessed.
const API_KEY_CHARS: usize = 16;

/// The warnings for `config`, or the refusal.
pub(super) fn run(config: &Config) -> Result<Vec<String>, ConfigError> {
    let bind = config.server.bind;
    if !config.server.may_listen_on(&bind) {
        return Err(ConfigError::Refused {
            origin: config.source_of("server.bind").to_owned(),
            key: "server.bind".to_owned(),
            reason: format!(
                "is {bind}, which other machines can reach: set an API key (server.api_keys or JOBSYNCD__SERVER__API_KEY), or bind to 127.0.0.1"
            ),
        });
    }
    let all = [
        server_warnings(config),
        provider_warnings(config),
        runtime_warnings(config),
        hardware_warnings(config),
        concurrency_warning(config).into_iter().collect(),
        readable_secrets(config),
    ];
    Ok(all.concat())
}

fn server_warnings(config: &Config) -> Vec<String> {
    let server = &config.server;
    let mut warnings = Vec::new();
    if server.api_keys.iter().any(|key| key.expose_secret().len() < API_KEY_CHARS) {
        warnings.push(format!("an API key has fewer than {API_KEY_CHARS} characters"));
    }
    if !server.trusted_proxies.is_empty() && server.api_keys.is_empty() {
        warnings.push(
            "there is a trusted proxy but no API key: whoever reaches the proxy may use the API"
                .to_owned(),
        );
    }
    warnings
}

fn provider_warnings(config: &Config) -> Vec<String> {
    let replicate = &config.providers.replicate;
    let mut warnings = Vec::new();
    if replicate.api_token.is_none() {
        warnings
            .push("no Replicate API token (REPLICATE_API_TOKEN): no account is followed".into());
    }
    let is_open = |url: &Url| url.scheme() == "http" && !values::is_loopback(url);
    if Url::parse(replicate.base_url.as_str()).is_ok_and(|url| is_open(&url)) {
        warnings.push(
            "providers.replicate.base_url is http: the API token crosses the network in the clear"
                .to_owned(),
        );
    }
    if replicate.webhook_url.as_ref().is_some_and(is_open) {
        warnings
            .push("providers.replicate.webhook_url is http: Replicate only calls https".to_owned());
    }
    if !replicate.webhook_require_signature && replicate.webhook_allowed_ips.is_empty() {
        warnings.push(
            "webhooks need no signature and may come from anywhere: anyone can change jobs"
                .to_owned(),
        );
    }
    warnings
}

fn runtime_warnings(config: &Config) -> Vec<String> {
    let cog = &config.providers.cog;
    let Some(url) = cog.base_url.as_ref().and_then(|url| Url::parse(url.as_str()).ok()) else {
        return Vec::new();
    };
    let mut warnings = Vec::new();
    if let (true, Some(proxy)) = (values::is_loopback(&url), config.network.proxies.of_url(&url)) {
        warnings.push(format!(
            "providers.cog.base_url is on this machine and is reached through the proxy {proxy}: name its host in network.no_proxy"
        ));
    }
    if cog.webhook_url.is_none() {
        warnings.push(
            "providers.cog.webhook_url is not set: nothing can be submitted to the runtime"
                .to_owned(),
        );
    }
    let is_named = matches!(url.host(), Some(url::Host::Domain(_))) && !values::is_loopback(&url);
    if is_named && cog.webhook_allowed_ips.is_empty() {
        warnings.push(
            "providers.cog.base_url has a name and no address: set providers.cog.webhook_allowed_ips, or the runtime's webhooks are refused"
                .to_owned(),
        );
    }
    if cog.webhook_allowed_ips.iter().any(|network| network.prefix_len() == 0) {
        warnings.push(
            "the unsigned webhooks of providers.cog may come from anywhere: anyone can change jobs"
                .to_owned(),
        );
    }
    warnings
}

/// Hardware that has no price, so that what its jobs cost would not be known.
fn hardware_warnings(config: &Config) -> Vec<String> {
    let Providers { replicate, cog } = &config.providers;
    let prices = Prices::replicate(replicate.hardware_info.clone());
    let of_models = replicate
        .model_hardware
        .iter()
        .map(|(model, hardware)| (format!("providers.replicate.model_hardware.{model}"), hardware));
    let of_runtime =
        cog.hardware.iter().map(|hardware| ("providers.cog.hardware".to_owned(), hardware));
    of_models
        .chain(of_runtime)
        .filter(|(_, hardware)| prices.hardware().all(|(known, _)| known != hardware.as_str()))
        .map(|(key, hardware)| {
            format!("{key} is {hardware}, which has no price (providers.replicate.hardware_info)")
        })
        .collect()
}

fn concurrency_warning(config: &Config) -> Option<String> {
    let queue = &config.queue;
    (queue.user_max_concurrent > queue.max_concurrent)
        .then(|| "queue.user_max_concurrent has no effect above queue.max_concurrent".to_owned())
}

/// A configuration file with a secret in it that every user of the machine can read.
fn readable_secrets(config: &Config) -> Vec<String> {
    let with_secret = config.settings.iter().filter(|setting| {
        let has_channels = setting.key == "notifications.channels" && setting.value != "{}";
        setting.value == "<set>" || has_channels
    });
    let mut files: Vec<_> = with_secret.map(|setting| setting.source.as_str()).collect();
    files.sort_unstable();
    files.dedup();
    let open = files.into_iter().filter(|file| is_readable_by_all(Path::new(file)));
    open.map(|file| format!("{file} holds a secret and is readable by everyone: chmod o-r"))
        .collect()
}

#[cfg(unix)]
fn is_readable_by_all(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn is_readable_by_all(_path: &Path) -> bool {
    false
}
