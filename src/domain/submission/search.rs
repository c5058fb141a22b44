//! Whether a submission of which we never heard the outcome is among the provider's jobs.
//!
//! The answer decides whether it is made again, so it must never be no by mistake: what could be ours
//! and cannot be told from ours leaves it open.

use serde_json::{Map, Value};

use super::secrets::is_secret_name;
use crate::domain::job::JobId;
use crate::domain::timestamp::Timestamp;

/// A job of the provider that began after the submission was meant to.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The provider's identifier.
    pub provider_job_id: String,
    /// Of which submission it says that it is, where it says so.
    pub submission: Option<JobId>,
    /// What runs.
    pub model: Option<String>,
    /// What it got; None where the provider does not show it.
    pub input: Option<Map<String, Value>>,
    /// It may be a submission that failed since nobody could tell.
    pub is_suspect: bool,
}

/// What we know of a job of the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// It was submitted here, and is known to be another submission.
    pub is_other_submission: bool,
    /// When the provider created it, by its own clock.
    pub created_at: Option<Timestamp>,
}

impl Known {
    /// Whether it cannot be a submission that was made when the newest job that was known had been created
    /// at `newest_known_at`.
    pub fn rules_out(self, newest_known_at: Option<Timestamp>) -> bool {
        let is_older = self.created_at.is_some_and(|at| Some(at) <= newest_known_at);
        self.is_other_submission || is_older
    }
}

/// What the search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The provider took it, and calls it so.
    Taken(String),
    /// The provider does not have it.
    Absent,
    /// One of these may be it.
    Undecided(Vec<String>),
    /// There are too many to look through.
    TooMany,
    /// The provider does not run it now, and keeps no list of what it has run.
    MayBeOver,
}

/// The submission that is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Our identifier of it.
    pub job_id: &'a JobId,
    /// What was to run, where that can be told.
    pub model: Option<&'a str>,
    /// What it got, without its secrets.
    pub input: &'a Map<String, Value>,
    /// A text among the inputs holds secrets, so that it cannot be compared.
    pub is_partial: bool,
    /// Another submission with the same input is looked for as well, so that the input tells nothing.
    pub has_twin: bool,
}

impl Wanted<'_> {
    /// Looks for it among the candidates, without those that what we know [rules out](Known::rules_out).
    pub fn judge(&self, candidates: &[Candidate]) -> Verdict {
        let mut alike = Vec::new();
        let mut unclear = Vec::new();
        for candidate in candidates {
            match &candidate.submission {
                Some(said) if said == self.job_id => {
                    return Verdict::Taken(candidate.provider_job_id.clone());
                }
                Some(_) => continue,
                None => {}
            }
            match self.likeness(candidate) {
                Likeness::Same => alike.push(candidate.provider_job_id.clone()),
                Likeness::Unclear => unclear.push(candidate.provider_job_id.clone()),
                Likeness::Different => {}
            }
        }
        match (alike.as_slice(), unclear.is_empty(), self.has_twin) {
            ([], true, _) => Verdict::Absent,
            ([only], true, false) => Verdict::Taken(only.clone()),
            _ => {
                alike.append(&mut unclear);
                Verdict::Undecided(alike)
            }
        }
    }

    fn likeness(&self, candidate: &Candidate) -> Likeness {
        let is_other_model = match (self.model, candidate.model.as_deref()) {
            (Some(ours), Some(theirs)) => !ours.eq_ignore_ascii_case(theirs),
            _ => false,
        };
        if is_other_model {
            return Likeness::Different;
        }
        let compared = candidate.input.as_ref().map(|theirs| self.compare(theirs));
        match compared {
            Some(Likeness::Same) if self.is_partial || candidate.is_suspect => Likeness::Unclear,
            Some(likeness) => likeness,
            None => Likeness::Unclear,
        }
    }

    /// Holds what was sent against what the provider shows. It hides secrets, puts URLs in the place of files,
    /// and may add defaults.
    fn compare(&self, shown: &Map<String, Value>) -> Likeness {
        let mut likeness = Likeness::Same;
        for (name, ours) in self.input {
            let is_unknown = self.is_partial && is_json_text(ours);
            if ours.is_null() || is_secret_name(name) || is_unknown {
                continue;
            }
            match shown.get(name) {
                Some(theirs) if is_same(ours, theirs) => {}
                Some(theirs) if may_be_replaced(ours, theirs) => likeness = Likeness::Unclear,
                Some(_) => return Likeness::Different,
                None => likeness = Likeness::Unclear,
            }
        }
        likeness
    }
}

fn is_json_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.starts_with(['{', '[']))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Likeness {
    Same,
    Different,
    /// The provider shows something else in a place where it may have replaced ours.
    Unclear,
}

/// A number may come back in another form: 5 as 5.0.
fn is_same(ours: &Value, theirs: &Value) -> bool {
    ours == theirs || ours.as_f64().is_some_and(|number| Some(number) == theirs.as_f64())
}

fn may_be_replaced(ours: &Value, theirs: &Value) -> bool {
    let is_file =
        |text: &str| ["data:", "http://", "https://"].iter().any(|start| text.starts_with(start));
    match (ours, theirs) {
        (_, Value::Null) => true,
        (_, Value::String(theirs)) if theirs.contains("REDACTED") => true,
        (Value::String(ours), Value::String(theirs)) => {
            (is_file(ours) && is_file(theirs)) || ours.trim() == theirs.trim()
        }
        // Of lists and objects a part may be replaced, and a number may come back as a text.
        (Value::Array(_) | Value::Object(_) | Value::Number(_), _) => {
            matches!(theirs, Value::Array(_) | Value::Object(_) | Value::String(_))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(fields) = value else { panic!("an object") };
        fields
    }

    fn candidate(id: &str, input: Value) -> Candidate {
        let input = Some(input).filter(Value::is_object).map(object);
        let (provider_job_id, model) = (id.to_owned(), Some("a/trainer".to_owned()));
        Candidate { provider_job_id, submission: None, model, input, is_suspect: false }
    }

    fn wanted<'a>(job_id: &'a JobId, input: &'a Map<String, Value>) -> Wanted<'a> {
        let (model, is_partial, has_twin) = (Some("a/trainer"), false, false);
        Wanted { job_id, model, input, is_partial, has_twin }
    }

    fn judged(candidates: &[Candidate]) -> Verdict {
        let input = object(json!({"config_json": "{}", "steps": 5.0, "hf_token": "x"}));
        wanted(&JobId("ours".to_owned()), &input).judge(candidates)
    }

    fn ours() -> Value {
        json!({"config_json": "{}", "steps": 5, "hf_token": "**********", "seed": 1})
    }

    #[test]
    fn a_job_that_says_whose_it_is_decides() {
        let said = |job: &str, id: &str| Candidate {
            submission: Some(JobId(job.to_owned())),
            ..candidate(id, ours())
        };
        let both = [candidate("p1", ours()), said("ours", "p2"), said("other", "p3")];
        assert_eq!(judged(&both), Verdict::Taken("p2".to_owned()));
        assert_eq!(judged(&both[2..]), Verdict::Absent);
    }

    #[test]
    fn without_that_the_only_one_with_the_same_input_is_it() {
        let other = candidate("p1", json!({"config_json": "{1}", "steps": 5}));
        let other_model =
            Candidate { model: Some("a/other".to_owned()), ..candidate("p3", ours()) };
        let candidates = [other.clone(), candidate("p2", ours()), other_model];
        assert_eq!(judged(&candidates), Verdict::Taken("p2".to_owned()));
        assert_eq!(judged(&[other]), Verdict::Absent);
        assert_eq!(judged(&[]), Verdict::Absent);
    }

    #[test]
    fn what_could_be_ours_and_cannot_be_told_from_it_leaves_it_open() {
        let undecided =
            |ids: &[&str]| Verdict::Undecided(ids.iter().map(|id| (*id).to_owned()).collect());
        assert_eq!(
            judged(&[candidate("p1", ours()), candidate("p2", ours())]),
            undecided(&["p1", "p2"])
        );
        for hidden in [
            json!(null),
            json!({}),
            json!({"config_json": "[REDACTED]", "steps": 5}),
            json!({"config_json": "{}", "steps": "5"}),
        ] {
            assert_eq!(judged(&[candidate("p1", hidden)]), undecided(&["p1"]));
        }
        let (id, input) = (JobId("ours".to_owned()), object(json!({"steps": 5})));
        let only = [candidate("p1", json!({"steps": 5}))];
        let wanted = wanted(&id, &input);
        assert_eq!(wanted.judge(&only), Verdict::Taken("p1".to_owned()));
        let suspect = [Candidate { is_suspect: true, ..only[0].clone() }];
        assert_eq!(wanted.judge(&suspect), undecided(&["p1"]));
        assert_eq!(Wanted { has_twin: true, ..wanted }.judge(&only), undecided(&["p1"]));
        assert_eq!(Wanted { is_partial: true, ..wanted }.judge(&only), undecided(&["p1"]));
    }
}
