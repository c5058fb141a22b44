//! SimpleTuner's configuration as the inputs of its trainer.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::mark::marked;
use crate::domain::job::JobId;

/// A training as SimpleTuner describes it: what its own page sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainerConfig {
    /// The training configuration. Keys may have SimpleTuner's two dashes before them.
    pub config: Map<String, Value>,
    /// The datasets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataloader: Option<Value>,
    /// The LyCORIS configuration, where it is not within `config`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lycoris: Option<Value>,
}

/// A configuration that the trainer could not use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableConfig {
    /// The LyCORIS configuration is a file, which is not on the trainer's machine.
    #[error(
        "config.lycoris_config is the path {0:?}, which the trainer's machine does not have: send the file's content as lycoris_config"
    )]
    LycorisPath(String),
}

impl TrainerConfig {
    /// The same, checked, with the LyCORIS configuration in its own place and `tracker_run_name` where the
    /// configuration names no run.
    ///
    /// # Errors
    /// Where the trainer could not use it.
    pub fn prepared(mut self, tracker_run_name: Option<&str>) -> Result<Self, UnusableConfig> {
        let within = take(&mut self.config, "lycoris_config");
        self.lycoris = match (self.lycoris.take(), within) {
            (Some(given), _) => Some(given),
            (None, Some(Value::String(path))) if path.trim_start().starts_with('{') => {
                Some(serde_json::from_str(&path).unwrap_or(Value::String(path)))
            }
            (None, Some(Value::String(path))) if !path.is_empty() => {
                return Err(UnusableConfig::LycorisPath(path));
            }
            (None, within) => within.filter(|value| value.is_object()),
        };
        if let Some(name) = tracker_run_name
            && get(&self.config, "tracker_run_name").is_none()
        {
            self.config.insert("tracker_run_name".to_owned(), name.into());
        }
        Ok(self)
    }

    /// The repository at Hugging Face to which the result is pushed.
    pub fn hub_model_id(&self) -> Option<&str> {
        get(&self.config, "hub_model_id")?.as_str().filter(|id| !id.is_empty())
    }

    /// Whether anything is pushed to Hugging Face, which takes a token.
    pub fn pushes_to_hub(&self) -> bool {
        self.hub_model_id().is_some()
            || get(&self.config, "push_to_hub").and_then(Value::as_bool).unwrap_or(false)
    }

    /// The trainer's inputs: each configuration is a text of JSON, and the first says of which submission it is.
    pub fn into_input(self, job_id: &JobId) -> Map<String, Value> {
        let hub_model_id = self.hub_model_id().map(str::to_owned);
        let mut input = Map::new();
        let mut put = |name: &str, value: Value| input.insert(name.to_owned(), value);
        put("config_json", marked(Value::Object(self.config).to_string(), job_id).into());
        if let Some(dataloader) = self.dataloader {
            put("dataloader_json", dataloader.to_string().into());
        }
        if let Some(lycoris) = self.lycoris {
            put("lycoris_config", lycoris.to_string().into());
        }
        if let Some(id) = hub_model_id {
            put("hub_model_id", id.into());
        }
        input
    }
}

/// A value of the configuration, under its name or the name of its flag.
fn get<'a>(config: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let found = config.get(name).or_else(|| config.get(&format!("--{name}")))?;
    Some(found).filter(|value| !value.is_null())
}

fn take(config: &mut Map<String, Value>, name: &str) -> Option<Value> {
    let flag = config.remove(&format!("--{name}"));
    config.remove(name).or(flag)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn job_id() -> JobId {
        JobId("without a mark".to_owned())
    }

    fn config(config: Value) -> TrainerConfig {
        let Value::Object(config) = config else { panic!("an object") };
        TrainerConfig { config, dataloader: None, lycoris: None }
    }

    #[test]
    fn a_configuration_becomes_texts_of_json() {
        let trainer = TrainerConfig {
            dataloader: Some(json!([{"id": "cats"}])),
            ..config(json!({
                "--max_train_steps": 500, "--hub_model_id": "me/lora",
                "lycoris_config": {"algo": "lokr"},
            }))
        };
        let trainer = trainer.prepared(Some("friday")).expect("a good configuration");
        assert!(trainer.pushes_to_hub());
        let read = |text: &Value| -> Value {
            serde_json::from_str(text.as_str().expect("a text")).expect("JSON")
        };
        let input = trainer.into_input(&job_id());
        let config = json!({
            "--max_train_steps": 500, "--hub_model_id": "me/lora", "tracker_run_name": "friday",
        });
        assert_eq!(read(&input["config_json"]), config);
        assert_eq!(read(&input["dataloader_json"]), json!([{"id": "cats"}]));
        assert_eq!(read(&input["lycoris_config"]), json!({"algo": "lokr"}));
        assert_eq!(input["hub_model_id"], "me/lora");
        assert_eq!(input.len(), 4);
    }

    #[test]
    fn a_path_on_the_clients_machine_is_refused_and_its_content_taken() {
        let with_path = config(json!({"lycoris_config": "config/lycoris.json"}));
        let refused = with_path.clone().prepared(None).expect_err("no such file there");
        assert!(refused.to_string().contains("config/lycoris.json"), "{refused}");
        let given = TrainerConfig { lycoris: Some(json!({"algo": "lora"})), ..with_path };
        let input = given.prepared(None).expect("its content").into_input(&job_id());
        assert_eq!(input["lycoris_config"], r#"{"algo":"lora"}"#);
        assert_eq!(input["config_json"], "{}");
    }

    #[test]
    fn a_run_keeps_the_name_that_its_configuration_gives_it() {
        let named = config(json!({"--tracker_run_name": "mine"})).prepared(Some("other"));
        assert_eq!(
            named.expect("a good one").into_input(&job_id())["config_json"],
            "{\"--tracker_run_name\":\"mine\"}"
        );
    }
}
