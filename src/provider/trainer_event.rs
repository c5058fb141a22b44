//! Events of the trainer inside a job, as SimpleTuner sends them: a `type`, and by it `data`, `stage` and
//! `progress`. The short ones of Cog (`completed`, `failed`, `canceled`) are of the same form.

use serde_json::Value;

use super::replicate;
use crate::domain::job::JobStatus;
use crate::domain::observation::{Observation, Source};
use crate::domain::progress::Stage;
use crate::domain::timestamp::{self, Timestamp};
use crate::domain::trainers_word::{Counts, Told, TrainersWord};

/// A count beyond this is none: JSON's numbers are exact up to here.
const COUNT_MAX: f64 = 9_007_199_254_740_992.0;

/// What an event says; None where it names no job.
pub(super) fn read(provider: &str, body: &Value, now: Timestamp) -> Option<Observation> {
    let event = Event { body };
    let job_id = event.text(&["/job_id", "/prediction_id"]);
    let job_id = job_id.filter(|id| replicate::is_plausible_id(id))?;
    let status = event.status();
    let has_failed = status == Some(JobStatus::Failed);
    let error = event.text(&["/error", "/message", "/data/error", "/data/message"]);
    let word =
        event.word(event.told_at(now), has_failed.then_some(error).map(Option::unwrap_or_default));
    Some(Observation {
        by_provider: false,
        status,
        error_message: error.filter(|_| has_failed).map(str::to_owned),
        output_url: body.get("output").and_then(replicate::output_url),
        trainer: (!word.is_silent()).then(|| Box::new(word)),
        ..Observation::silent(provider, job_id, Source::Webhook, now)
    })
}

struct Event<'a> {
    body: &'a Value,
}

impl<'a> Event<'a> {
    /// The first text that is there and not blank.
    fn text(&self, pointers: &[&str]) -> Option<&'a str> {
        let mut found = pointers.iter().filter_map(|pointer| self.body.pointer(pointer)?.as_str());
        found.find(|text| !text.trim().is_empty())
    }

    /// What kind of event it is, in lower case.
    fn kind(&self) -> String {
        let kind = self.text(&["/event_type", "/type", "/message_type"]);
        kind.unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// When it was sent, by the trainer's clock; now where it does not say so, or cannot be.
    fn told_at(&self, now: Timestamp) -> Timestamp {
        let told = self.text(&["/timestamp"]).and_then(timestamp::parse);
        told.filter(|told| *told < now + chrono::Duration::days(1)).unwrap_or(now)
    }

    /// The state that it stands for.
    fn status(&self) -> Option<JobStatus> {
        match self.kind().as_str() {
            "completed" => Some(JobStatus::Completed),
            "failed" | "error" => Some(JobStatus::Failed),
            "canceled" | "cancelled" => Some(JobStatus::Cancelled),
            "training.checkpoint" => None,
            // Neither the end of a stage nor its failure is that of the job.
            "lifecycle.stage" => {
                let said = self.text(&["/stage/status", "/status", "/data/status"]);
                said.and_then(status_of).filter(|status| status.is_active())
            }
            "training.status" | "training.progress" | "training.summary" => {
                self.text(&["/data/status", "/status"]).and_then(status_of)
            }
            _ => self.text(&["/status"]).and_then(status_of),
        }
    }

    /// What it tells of the run. `failure` has the words of a failure of the whole.
    fn word(&self, at: Timestamp, failure: Option<&str>) -> TrainersWord {
        let kind = self.kind();
        let is_stage = kind == "lifecycle.stage";
        let key = self.text(&["/stage/key"]).unwrap_or_default().to_ascii_lowercase();
        let stage_status = self.text(&["/stage/status", "/status"]).and_then(status_of);
        let stage_failure = (is_stage && stage_status == Some(JobStatus::Failed))
            .then(|| self.text(&["/message", "/stage/label"]).unwrap_or_default());
        let failure = failure.or(stage_failure);
        let mut word = TrainersWord {
            failure: failure.map(|words| Told::new(at, words.to_owned())),
            ..TrainersWord::default()
        };
        let is_of_run = match kind.as_str() {
            "training.status" | "training.progress" | "training.metric" => true,
            _ => is_stage && is_training(&key),
        };
        // What counts images or prompts counts no steps.
        if is_of_run {
            self.counts(at, &mut word);
        }
        let runs = stage_status != Some(JobStatus::Completed) && stage_failure.is_none();
        let stage = match (is_stage, is_of_run) {
            (true, _) => stage_of(&key).filter(|_| runs),
            (false, true) => (self.status() == Some(JobStatus::Running) && word.counts.is_some())
                .then_some(Stage::Training),
            (false, false) => None,
        };
        word.stage = stage.map(|stage| Told::new(at, stage));
        word
    }

    fn counts(&self, at: Timestamp, word: &mut TrainersWord) {
        let step = self.number("current", &["/data/global_step"]).and_then(count);
        let total_steps = self.number("total", &["/data/total_num_steps"]).and_then(count);
        let percent = self.number("percent", &[]).map(|percent| percent.clamp(0.0, 100.0));
        let eta_seconds = self.number("eta_seconds", &[]).filter(|seconds| *seconds >= 0.0);
        let counts = Counts { step, total_steps, percent, eta_seconds };
        word.counts = (counts != Counts::default()).then(|| Told::new(at, counts));
        let metric = |names: &[&str]| {
            let told = |name: &&str| self.number(&format!("metrics/{name}"), &[]);
            names.iter().find_map(told)
        };
        let told = |value: Option<f64>| value.map(|value| Told::new(at, value));
        let at_data = |pointers| self.at_first(pointers);
        word.loss = told(metric(&["loss", "train_loss", "step_loss"]));
        word.learning_rate = told(metric(&["learning_rate", "lr"]));
        word.epoch = told(metric(&["epoch"]).or_else(|| at_data(&["/data/current_epoch"])))
            .filter(|epoch| epoch.value >= 0.0);
        let total_epochs = metric(&["total_epochs"])
            .or_else(|| at_data(&["/data/final_epoch", "/data/total_num_epochs"]));
        word.total_epochs = total_epochs.and_then(count).map(|total| Told::new(at, total));
    }

    /// A number of the progress, wherever the event carries that.
    fn number(&self, name: &str, others: &[&str]) -> Option<f64> {
        let places = ["/progress", "/stage/progress", "/data/progress"];
        let told = places
            .iter()
            .find_map(|place| self.body.pointer(&format!("{place}/{name}")).and_then(finite));
        told.or_else(|| self.at_first(others))
    }

    fn at_first(&self, pointers: &[&str]) -> Option<f64> {
        pointers.iter().find_map(|pointer| self.body.pointer(pointer).and_then(finite))
    }
}

/// A number, also as a text: trainers write both.
fn finite(value: &Value) -> Option<f64> {
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    number.is_finite().then_some(number)
}

fn count(number: f64) -> Option<u64> {
    (0.0..=COUNT_MAX).contains(&number).then_some(number as u64)
}

/// The state that a trainer's word stands for.
fn status_of(word: &str) -> Option<JobStatus> {
    let word = word.trim().to_ascii_lowercase();
    match word.as_str() {
        "error" | "fatal" | "crashed" => Some(JobStatus::Failed),
        "complete" | "success" | "done" => Some(JobStatus::Completed),
        word => word.parse().ok().or_else(|| replicate::status_of(word)),
    }
}

/// Whether a stage is the training itself.
fn is_training(key: &str) -> bool {
    matches!(
        key,
        "train" | "training" | "training_progress" | "training_step" | "training_complete"
    )
}

/// What a run does in a stage of SimpleTuner.
fn stage_of(key: &str) -> Option<Stage> {
    // Of several words that fit, the first decides: validation prompts are encoded beforehand.
    const WORDS: [(&[&str], Stage); 5] = [
        (
            &[
                "init",
                "load",
                "cache",
                "caching",
                "encod",
                "prepar",
                "resume",
                "generation",
                "data",
            ],
            Stage::Preprocessing,
        ),
        (&["warmup", "warm_up"], Stage::Warmup),
        (&["validation", "benchmark", "eval", "sample"], Stage::Validation),
        (&["checkpoint", "save", "saving", "upload"], Stage::SavingCheckpoint),
        (&["train"], Stage::Training),
    ];
    if matches!(key, "training_complete" | "training_abort") {
        return None;
    }
    let fits = |(words, _): &&(&[&str], Stage)| words.iter().any(|word| key.contains(word));
    WORDS.iter().find(fits).map(|(_, stage)| *stage)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_event(event: Value) -> Observation {
        let now = timestamp::parse("2026-03-01T10:00:09Z").expect("an instant");
        read("replicate", &event, now).expect("it names a job")
    }

    fn word(event: Value) -> TrainersWord {
        read_event(event).trainer.map(|word| *word).unwrap_or_default()
    }

    #[test]
    fn a_status_carries_step_loss_and_time_left() {
        let word = word(json!({
            "type": "training.status", "job_id": "p1", "title": "Running", "severity": "info",
            "data": {"status": "running", "final_epoch": 10, "global_step": 40, "current_epoch": 2},
            "timestamp": "2026-03-01T10:00:00.5+00:00",
            "progress": {
                "current": 40, "total": 1000.0, "percent": 4.0, "eta_seconds": 1920.5,
                "metrics": {"loss": 0.125, "learning_rate": 1e-4, "epoch": 2, "grad_norm": 0.5},
            },
        }));
        let counts = word.counts.expect("counts").value;
        assert_eq!((counts.step, counts.total_steps), (Some(40), Some(1_000)));
        assert_eq!((counts.percent, counts.eta_seconds), (Some(4.0), Some(1_920.5)));
        assert_eq!(word.loss.as_ref().map(|told| told.value), Some(0.125));
        assert_eq!(word.total_epochs.map(|told| told.value), Some(10));
        assert_eq!(word.stage.map(|told| told.value), Some(Stage::Training));
        assert_eq!(word.loss.map(|told| told.at().timestamp()), Some(1_772_359_200));
    }

    #[test]
    fn a_clock_that_is_far_ahead_is_not_believed() {
        let event = json!({
            "type": "training.status", "job_id": "p1", "timestamp": "2036-03-01T10:00:00Z",
            "data": {"status": "running"}, "progress": {"current": 1},
        });
        let told = word(event).counts.map(|told| told.at().timestamp());
        assert_eq!(told, Some(1_772_359_209));
    }

    #[test]
    fn what_counts_images_counts_no_steps() {
        let said = read_event(json!({
            "type": "lifecycle.stage", "job_id": "p1",
            "stage": {"key": "init_vae_cache", "label": "VAE", "status": "running",
                      "progress": {"current": 5, "total": 9, "percent": 55}},
        }));
        let word = said.trainer.expect("a word");
        assert_eq!((said.status, word.counts), (Some(JobStatus::Running), None));
        assert_eq!(word.stage.map(|told| told.value), Some(Stage::Preprocessing));
    }

    #[test]
    fn simpletuners_stages_are_known() {
        for (key, stage) in [
            ("init_load_base_model", Some(Stage::Preprocessing)),
            ("init_data_backend", Some(Stage::Preprocessing)),
            ("vaecache", Some(Stage::Preprocessing)),
            ("init_cache_text_embeds_status_update", Some(Stage::Preprocessing)),
            ("validation_prompt_encoding", Some(Stage::Preprocessing)),
            ("init_resume_checkpoint", Some(Stage::Preprocessing)),
            ("benchmark_base_model", Some(Stage::Validation)),
            ("validation", Some(Stage::Validation)),
            ("final_validation", Some(Stage::Validation)),
            ("checkpoint_save", Some(Stage::SavingCheckpoint)),
            ("checkpoint_save_distiller", Some(Stage::SavingCheckpoint)),
            ("model_save", Some(Stage::SavingCheckpoint)),
            ("training", Some(Stage::Training)),
            ("training_complete", None),
            ("training_abort", None),
            ("something_else", None),
        ] {
            assert_eq!(stage_of(key), stage, "{key}");
        }
    }

    #[test]
    fn a_failed_stage_is_told_and_is_not_the_end_of_the_job() {
        let said = read_event(json!({
            "type": "lifecycle.stage", "job_id": "p1", "message": "no such bucket",
            "stage": {"key": "init_data_backend", "status": "failed"},
        }));
        assert_eq!((said.status, &said.error_message), (None, &None));
        let failure = said.trainer.and_then(|word| word.failure).map(|told| told.value);
        assert_eq!(failure.as_deref(), Some("no such bucket"));
    }

    #[test]
    fn strange_numbers_are_no_numbers() {
        let word = word(json!({
            "type": "training.status", "job_id": "p1", "data": {"status": "running"},
            "progress": {"current": "12", "total": 1e300, "percent": 400, "eta_seconds": -5,
                         "metrics": {"loss": "nan", "epoch": [], "learning_rate": null}},
        }));
        let counts = word.counts.expect("counts").value;
        let expected = Counts { step: Some(12), percent: Some(100.0), ..Counts::default() };
        assert_eq!((counts, word.loss, word.epoch), (expected, None, None));
    }
}
