//! Where each provider reaches our webhook.

use std::collections::BTreeMap;

use url::Url;

/// The route of a provider's webhooks.
pub fn route_of(provider: &str) -> String {
    format!("/api/webhooks/{provider}")
}

/// A URL whose path is that of no webhook here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "has the path {path}, which is not the route of these webhooks: give {right}, or say \
     webhook_url_is_rewritten: true where a proxy changes the path"
)]
pub struct WrongPath {
    /// The path.
    path: String,
    /// The same URL with the right one.
    right: Url,
}

/// The URL under which webhooks of a provider come in here where `url` was given. Without a path it is that of
/// the route, which is how SimpleTuner's documentation has it given; slashes at its end are none.
///
/// # Errors
/// Where the path is another, so that every webhook would be answered 404 or 405.
pub fn routed(url: &Url, provider: &str) -> Result<Url, WrongPath> {
    let (route, alias) = (route_of(provider), format!("/api/cloud/webhook/{provider}"));
    let path = url.path().trim_end_matches('/');
    let right = |path: &str| {
        let mut right = url.clone();
        right.set_path(path);
        right
    };
    match path {
        "" => Ok(right(&route)),
        path if path == route || path == alias => Ok(right(path)),
        _ => Err(WrongPath { path: url.path().to_owned(), right: right(&route) }),
    }
}

/// What is known of the webhook URL of one provider.
#[derive(Debug, Clone, Default)]
pub struct WebhookUrl {
    /// What the configuration says.
    pub configured: Option<Url>,
    /// What was set through the API, which beats the configuration; it may have been set to be none.
    pub chosen: Option<Option<Url>>,
    /// The provider whose URL leads here, too, with the name of this one at its end.
    pub follows: Option<&'static str>,
}

/// The webhook URLs of all providers, by their names.
#[derive(Debug, Clone, Default)]
pub struct WebhookUrls(BTreeMap<&'static str, WebhookUrl>);

impl FromIterator<(&'static str, WebhookUrl)> for WebhookUrls {
    fn from_iter<I: IntoIterator<Item = (&'static str, WebhookUrl)>>(urls: I) -> Self {
        Self(urls.into_iter().collect())
    }
}

impl WebhookUrls {
    /// The URL that is in force.
    pub fn of(&self, provider: &str) -> Option<Url> {
        let (name, url) = self.0.get_key_value(provider)?;
        match &url.chosen {
            Some(chosen) => chosen.clone(),
            None => url.configured.clone().or_else(|| sibling(&self.of(url.follows?)?, name)),
        }
    }

    /// Sets a URL, or that there is to be none.
    pub fn choose(&mut self, provider: &'static str, url: Option<Url>) {
        self.0.entry(provider).or_default().chosen = Some(url);
    }

    /// Whether every provider has one, so that each tells by itself.
    pub fn are_complete(&self) -> bool {
        self.0.keys().all(|name| self.of(name).is_some())
    }
}

/// The webhook of another provider beside this one; None where the URL does not end in a provider's name,
/// as behind a proxy with paths of its own.
fn sibling(url: &Url, name: &str) -> Option<Url> {
    let path = url.path().trim_end_matches('/');
    let (folder, last) = path.rsplit_once('/')?;
    let leads = name.strip_prefix(last).is_some_and(|rest| rest.starts_with('-'));
    let mut sibling = url.clone();
    sibling.set_path(&format!("{folder}/{name}"));
    leads.then_some(sibling)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    fn urls(configured: &str) -> WebhookUrls {
        let parent = WebhookUrl { configured: Some(url(configured)), ..WebhookUrl::default() };
        let child = WebhookUrl { follows: Some("cloud"), ..WebhookUrl::default() };
        [("cloud", parent), ("cloud-trainings", child)].into_iter().collect()
    }

    #[test]
    fn what_was_set_beats_the_configuration_also_where_it_was_set_to_be_none() {
        let mut urls = urls("https://jobs.example/api/webhooks/cloud");
        assert!(urls.are_complete());
        let other = url("https://other.example/cloud");
        urls.choose("cloud", Some(other.clone()));
        assert_eq!(urls.of("cloud"), Some(other));
        urls.choose("cloud", None);
        assert_eq!(urls.of("cloud"), None);
        assert!(!urls.are_complete());
    }

    #[test]
    fn a_url_without_a_path_is_that_of_the_route() {
        let right = "https://jobs.example:8443/api/webhooks/cloud";
        for given in [
            "https://jobs.example:8443",
            "https://jobs.example:8443/",
            "https://jobs.example:8443//",
            "https://jobs.example:8443/api/webhooks/cloud",
            "https://jobs.example:8443/api/webhooks/cloud/",
        ] {
            assert_eq!(routed(&url(given), "cloud"), Ok(url(right)), "{given}");
        }
        let alias = url("https://jobs.example/api/cloud/webhook/cloud?a=b");
        assert_eq!(routed(&alias, "cloud"), Ok(alias));
    }

    #[test]
    fn a_path_that_is_no_route_is_refused_with_the_right_one() {
        for path in [
            "/hook",
            "//api/webhooks/cloud",
            "/api/webhook/cloud",
            "/api/webhooks",
            "/api/webhooks/clowd",
            "/api/webhooks/other",
            "/API/webhooks/cloud",
        ] {
            let given = format!("https://jobs.example{path}");
            let wrong = routed(&url(&given), "cloud").expect_err(path);
            assert!(
                wrong.to_string().contains("https://jobs.example/api/webhooks/cloud"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_provider_that_follows_another_is_reached_beside_it() {
        let beside = |configured: &str| urls(configured).of("cloud-trainings");
        assert_eq!(
            beside("https://jobs.example/api/webhooks/cloud/?key=5"),
            Some(url("https://jobs.example/api/webhooks/cloud-trainings?key=5"))
        );
        assert_eq!(beside("https://jobs.example/hook"), None, "nobody knows where that leads");
        assert_eq!(beside("https://jobs.example/"), None);
        assert!(!urls("https://jobs.example/hook").are_complete());
    }
}
