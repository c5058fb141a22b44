//! What a provider is asked to run.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use super::SUBMISSION_PARAMETER;
use super::input::TrainerConfig;
use super::name::run_name_of_input;
use super::secrets::SecretInputs;
use crate::domain::job::{JobId, UnknownWord};

/// What runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The newest version of the model `owner/name`.
    Model(String),
    /// This version: `owner/name:version`, or the version alone.
    Version(String),
    /// The deployment `owner/name`.
    Deployment(String),
    /// The one thing that the provider runs.
    Resident,
}

impl Target {
    /// The model, where that can be told.
    pub fn model(&self) -> Option<&str> {
        match self {
            Self::Model(model) => Some(model),
            Self::Version(version) => version.split_once(':').map(|(model, _)| model),
            Self::Deployment(_) | Self::Resident => None,
        }
    }
}

/// What it gets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payload {
    /// The inputs as they are.
    Input(Map<String, Value>),
    /// A configuration for SimpleTuner's trainer.
    Trainer(TrainerConfig),
}

/// Everything that a provider must be told so that a job begins, without its secrets: this is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// What runs.
    pub target: Target,
    /// What it gets.
    pub payload: Payload,
    /// The model `owner/name` to which a training writes its result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// What the submitter called the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_name: Option<String>,
    /// Where the provider tells of it; None for nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_url: Option<Url>,
    /// Where in `payload` secrets are missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
}

impl Order {
    /// The inputs for the submission `job_id`, with the secrets in their places.
    pub fn input(&self, job_id: &JobId, secrets: &SecretInputs) -> Map<String, Value> {
        match &self.payload {
            Payload::Input(input) => {
                let mut input = Value::Object(input.clone());
                secrets.restore(&mut input);
                let Value::Object(input) = input else { return Map::new() };
                // What is still missing was null, which is as good as not said.
                input
            }
            Payload::Trainer(trainer) => {
                let mut whole = serde_json::to_value(trainer).unwrap_or_default();
                secrets.restore(&mut whole);
                let restored: TrainerConfig =
                    serde_json::from_value(whole).unwrap_or_else(|_| trainer.clone());
                restored.into_input(job_id)
            }
        }
    }

    /// The secrets that are missing in what is stored, as they are given again by their names.
    ///
    /// # Errors
    /// The names of those that are not given.
    pub fn secrets_given_again(
        &self,
        given: &Map<String, Value>,
    ) -> Result<SecretInputs, Vec<String>> {
        let whole = match &self.payload {
            Payload::Input(input) => Value::Object(input.clone()),
            Payload::Trainer(trainer) => serde_json::to_value(trainer).unwrap_or_default(),
        };
        SecretInputs::given_again(&self.secrets, &whole, given)
    }

    /// What the run is called, where it has a name.
    pub fn run_name(&self) -> Option<String> {
        let of_payload = match &self.payload {
            Payload::Input(input) => run_name_of_input(input),
            Payload::Trainer(trainer) => run_name_of_input(&trainer.config),
        };
        self.run_name.clone().or(of_payload)
    }

    /// Whether a text among the inputs holds secrets, so that the provider shows another text than is stored.
    pub fn hides_secrets_in_texts(&self) -> bool {
        matches!(self.payload, Payload::Trainer(_)) && !self.secrets.is_empty()
    }

    /// Whether the provider gets a token of Hugging Face, where we have one.
    pub fn wants_hub_token(&self) -> bool {
        match &self.payload {
            Payload::Input(_) => false,
            Payload::Trainer(trainer) => trainer.pushes_to_hub(),
        }
    }
}

/// A webhook's URL that says of which submission it is.
pub fn tagged(url: &Url, job_id: &JobId) -> Url {
    let mut tagged = url.clone();
    tagged.query_pairs_mut().append_pair(SUBMISSION_PARAMETER, &job_id.0);
    tagged
}

/// The machines for which SimpleTuner's trainer is published.
pub const PROFILES: [&str; 8] =
    ["h100", "h100-x2", "h100-x4", "h100-x8", "l40s", "l40s-x2", "l40s-x4", "l40s-x8"];

/// The trainer for a machine, as SimpleTuner names the machines: `h100-x2`, also `h100_x2`, `2xh100`
/// or the trainer's own name.
///
/// # Errors
/// Where it is published for no such machine.
pub fn profile_model(profile: &str) -> Result<String, UnknownWord> {
    let word = profile.trim().to_ascii_lowercase().replace('_', "-");
    let word = word.strip_prefix("simpletuner/").unwrap_or(&word);
    let word = word.strip_prefix("advanced-trainer-").unwrap_or(word);
    let turned = word.split_once('x').and_then(|(count, machine)| {
        count.parse::<u8>().ok().map(|count| (machine.trim_start_matches('-').to_owned(), count))
    });
    let (machine, count) = match turned {
        Some(turned) => turned,
        None => match word.rsplit_once("-x").and_then(|(machine, count)| {
            count.parse::<u8>().ok().map(|count| (machine.to_owned(), count))
        }) {
            Some(counted) => counted,
            None => (word.to_owned(), 1),
        },
    };
    let name = if count == 1 { machine } else { format!("{machine}-x{count}") };
    if PROFILES.contains(&name.as_str()) {
        Ok(format!("simpletuner/advanced-trainer-{name}"))
    } else {
        Err(UnknownWord { word: profile.to_owned(), allowed: PROFILES.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::secrets::take_secrets;
    use super::*;

    #[test]
    fn a_machine_is_known_by_every_name_that_clients_use() {
        for (profile, trainer) in [
            ("h100", "h100"),
            ("H100_x4", "h100-x4"),
            ("advanced-trainer-l40s-x2", "l40s-x2"),
            ("1xL40S", "l40s"),
            ("1x-h100", "h100"),
            ("h100-x1", "h100"),
            ("8xh100", "h100-x8"),
        ] {
            let model = profile_model(profile).expect(profile);
            assert_eq!(model, format!("simpletuner/advanced-trainer-{trainer}"));
        }
        let refused = profile_model("a10g").expect_err("none such");
        assert!(refused.to_string().contains("h100, h100-x2"), "{refused}");
    }

    #[test]
    fn an_order_is_stored_without_its_secrets_and_sent_with_them() {
        let mut config = json!({"config": {"hf_token": "hf_0123456789abcdefghij", "steps": 9}});
        let secrets = take_secrets(&mut config);
        let trainer = serde_json::from_value(config).expect("a configuration");
        let order = Order {
            target: Target::Model("simpletuner/advanced-trainer-h100".to_owned()),
            payload: Payload::Trainer(trainer),
            destination: None,
            run_name: None,
            webhook_url: None,
            secrets: secrets.names(),
        };
        let stored = serde_json::to_string(&order).expect("JSON");
        assert!(!stored.contains("0123456789") && stored.contains("config.hf_token"), "{stored}");
        assert_eq!(serde_json::from_str::<Order>(&stored).expect("an order"), order);
        let sent = order.input(&JobId("x".to_owned()), &secrets)["config_json"].to_string();
        assert!(sent.contains("hf_0123456789abcdefghij"), "{sent}");
    }

    #[test]
    fn a_webhooks_url_keeps_what_it_had() {
        let url = Url::parse("https://jobs.example/hook?a=b").expect("a URL");
        let tagged = tagged(&url, &JobId("j 1".to_owned()));
        assert_eq!(tagged.as_str(), "https://jobs.example/hook?a=b&submission=j+1");
    }
}
