//! What a run is called, as its inputs say: so people find a job again that was submitted elsewhere.

use serde_json::{Map, Value};

use super::secrets::is_token;

/// Inputs that name a run, the best first. With dashes before them they are SimpleTuner's flags.
const NAMES: [&str; 8] = [
    "tracker_run_name",
    "run_name",
    "config_name",
    "job_name",
    "experiment_name",
    "output_name",
    "lora_name",
    "name",
];
/// Inputs that say where the result goes, whose last part is as good as a name.
const PLACES: [&str; 5] =
    ["hub_model_id", "hf_repo_id", "hub_repo_id", "destination", "output_dir"];
/// Inputs that hold a whole configuration as text of JSON.
const CONFIGS: [&str; 3] = ["config_json", "config", "training_config"];
/// The longest name that is taken, in characters.
const NAME_CHARS_MAX: usize = 200;

/// What a run is called by its inputs, or by the configuration that is one of them.
pub fn run_name_of_input(input: &Map<String, Value>) -> Option<String> {
    let within = CONFIGS.into_iter().find_map(|key| match input.get(key)? {
        Value::Object(config) => Some(config.clone()),
        Value::String(text) => serde_json::from_str(text).ok(),
        _ => None,
    });
    let all = || within.iter().chain([input]);
    let by_name = all().find_map(|fields| NAMES.iter().find_map(|key| name_at(fields, key)));
    by_name.or_else(|| {
        all().find_map(|fields| {
            PLACES.iter().find_map(|key| {
                let place = name_at(fields, key)?;
                let last = place.trim_end_matches('/').rsplit('/').next()?;
                Some(last.to_owned()).filter(|last| !last.is_empty())
            })
        })
    })
}

fn name_at(fields: &Map<String, Value>, key: &str) -> Option<String> {
    let value = fields.get(key).or_else(|| fields.get(&format!("--{key}")))?;
    let name = value.as_str()?.trim();
    let is_name = !name.is_empty()
        && name.chars().count() <= NAME_CHARS_MAX
        && !name.chars().any(char::is_control)
        && !name.contains("://")
        && !is_token(name);
    is_name.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn name(input: Value) -> Option<String> {
        let Value::Object(input) = input else { panic!("an object") };
        run_name_of_input(&input)
    }

    #[test]
    fn a_run_is_called_as_its_inputs_or_its_configuration_say() {
        for (input, expected) in [
            (json!({"tracker_run_name": "friday", "run_name": "x"}), "friday"),
            (json!({"config_json": "{\"--tracker_run_name\": \"cats\"}\n \t"}), "cats"),
            (json!({"config_json": "{\"steps\": 5}", "hub_model_id": "me/cats-lora"}), "cats-lora"),
            (json!({"config": {"hub_model_id": "me/dogs"}}), "dogs"),
            (json!({"output_dir": "output/birds/"}), "birds"),
        ] {
            assert_eq!(name(input.clone()).as_deref(), Some(expected), "{input}");
        }
    }

    #[test]
    fn what_is_no_name_is_none() {
        for input in [
            json!({}),
            json!({"run_name": 5}),
            json!({"run_name": "  "}),
            json!({"run_name": "two\nlines"}),
            json!({"run_name": "https://example.org/signed?key=x"}),
            json!({"run_name": "hf_0123456789abcdefghijkl"}),
            json!({"run_name": "x".repeat(201)}),
            json!({"config_json": "no JSON"}),
        ] {
            assert_eq!(name(input.clone()), None, "{input}");
        }
    }
}
