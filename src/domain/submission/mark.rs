//! How a configuration for a trainer says of which submission it is: by blanks behind its JSON, which no
//! reader of JSON sees.
//!
//! The provider shows the inputs of its jobs, so this is how a submission is found whose answer was lost. Two
//! jobs with the same configuration are told apart, and nothing that the trainer reads is changed.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::domain::job::JobId;

const ZERO: char = ' ';
const ONE: char = '\t';
const BITS: usize = 128;

/// A text of JSON that says of which submission it is. Only identifiers that we made up can be said.
pub(super) fn marked(json: String, job_id: &JobId) -> String {
    let Ok(id) = Uuid::parse_str(&job_id.0) else { return json };
    let bits = id.as_u128();
    let blanks = (0..BITS).map(|bit| if bits >> bit & 1 == 1 { ONE } else { ZERO });
    format!("{json}\n{}", blanks.collect::<String>())
}

/// The submission of which a job's inputs say that they are.
pub fn submission_of_input(input: &Map<String, Value>) -> Option<JobId> {
    input.values().find_map(|value| read(value.as_str()?))
}

fn read(text: &str) -> Option<JobId> {
    let (json, blanks) = text.rsplit_once('\n')?;
    let is_mark = blanks.len() == BITS && blanks.chars().all(|blank| [ZERO, ONE].contains(&blank));
    if !is_mark || !json.ends_with(['}', ']']) {
        return None;
    }
    let ones = blanks.chars().enumerate().filter(|(_, blank)| *blank == ONE);
    let bits = ones.fold(0_u128, |bits, (bit, _)| bits | 1 << bit);
    Some(JobId(Uuid::from_u128(bits).to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_marked_configuration_is_the_same_and_says_whose_it_is() {
        let job_id = JobId("01a20d20-5a05-708d-83b6-c850230460ec".to_owned());
        let text = marked(r#"{"steps":5}"#.to_owned(), &job_id);
        let read: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(read, json!({"steps": 5}));
        let Value::Object(input) = json!({"a": 1, "config_json": text}) else {
            panic!("an object")
        };
        assert_eq!(submission_of_input(&input), Some(job_id));
    }

    #[test]
    fn nothing_else_is_taken_for_a_mark() {
        for text in ["", "{}\n", "{}\n \t", &format!("x\n{}", " ".repeat(BITS))] {
            assert_eq!(read(text), None, "{text:?}");
        }
        assert_eq!(marked("{}".to_owned(), &JobId("not ours".to_owned())), "{}");
    }
}
