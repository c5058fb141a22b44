//! How a job begins at Replicate, and how one is found again of which we never heard whether it did.

use actix_web::http::Method;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use super::prediction::{PredictionPage, cursor_of, lenient, plausible_id};
use super::{Kind, Replicate};
use crate::domain::job::JobId;
use crate::domain::submission::{
    Candidate, SUBMISSION_PARAMETER, Target, submission_of_input, tagged,
};
use crate::domain::timestamp::{self, Timestamp};
use crate::provider::caller::Urgency;
use crate::provider::json;
use crate::provider::{CandidatePage, NewJob, ProviderError};

impl Replicate {
    /// Where a job of this target is created, and the version to name there.
    pub(super) async fn address(
        &self,
        target: &Target,
    ) -> Result<(String, Option<String>), ProviderError> {
        let create = || self.kind.path().to_owned();
        match target {
            Target::Version(version) if self.kind == Kind::Trainings => {
                Ok((training_path(version)?, None))
            }
            Target::Version(version) => Ok((create(), Some(version.clone()))),
            Target::Resident => {
                Err(ProviderError::Unsupported("Replicate must be told what to run"))
            }
            Target::Deployment(name) => Ok((format!("/deployments/{name}/predictions"), None)),
            Target::Model(model) => {
                let path = format!("/models/{model}/versions");
                let versions: VersionPage =
                    self.account.caller.call(Method::GET, &path, Urgency::Urgent).await?;
                let newest = versions.results.into_iter().next();
                let newest = newest.map(|newest| format!("{model}:{}", newest.id));
                Ok(match (self.kind, newest) {
                    (Kind::Predictions, Some(newest)) => (create(), Some(newest)),
                    // The provider's own models have no versions to choose from.
                    (Kind::Predictions, None) => (format!("/models/{model}/predictions"), None),
                    (Kind::Trainings, Some(newest)) => (training_path(&newest)?, None),
                    (Kind::Trainings, None) => {
                        return Err(ProviderError::NotFound(format!("{model} has no version")));
                    }
                })
            }
        }
    }

    pub(super) fn create_body(&self, job: &NewJob, version: Option<String>) -> Value {
        let mut input = job.order.input(&job.job_id, &job.secrets);
        if let Some(token) = self.account.hub_token.as_ref().filter(|_| job.order.wants_hub_token())
        {
            let token = || token.expose_secret().into();
            input.entry("hf_token").or_insert_with(token);
        }
        if let Some(name) = &self.account.submission_input {
            input.insert(name.clone(), job.job_id.0.clone().into());
        }
        let mut body = json!({"input": input});
        if let Some(version) = version {
            body["version"] = version.into();
        }
        if let Some(destination) = &job.order.destination {
            body["destination"] = destination.clone().into();
        }
        if let Some(url) = &job.order.webhook_url {
            body["webhook"] = tagged(url, &job.job_id).as_str().into();
            // The others hold the whole log each time, and only the last is ever repeated.
            body["webhook_events_filter"] = json!(["start", "completed"]);
        }
        body
    }
}

/// Where a training of a version, `owner/name:version`, is created.
fn training_path(version: &str) -> Result<String, ProviderError> {
    match version.split_once(':') {
        Some((model, version)) => Ok(format!("/models/{model}/versions/{version}/trainings")),
        None => Err(ProviderError::NotFound(format!("nobody knows of which model {version} is"))),
    }
}

/// The versions of a model, newest first.
#[derive(Deserialize)]
struct VersionPage {
    results: Vec<WireVersion>,
}

#[derive(Deserialize)]
struct WireVersion {
    id: String,
}

/// As much of a prediction as tells whether it is a submission of ours.
#[derive(Deserialize)]
struct WireCandidate {
    #[serde(deserialize_with = "plausible_id")]
    id: String,
    #[serde(default, deserialize_with = "lenient")]
    model: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    input: Option<Map<String, Value>>,
    #[serde(default, deserialize_with = "lenient")]
    webhook: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    created_at: Option<String>,
}

impl WireCandidate {
    fn into_candidate(self, submission_input: Option<&str>) -> Candidate {
        let by_webhook = self.webhook.as_deref().and_then(submission_of_url);
        // Where every job of ours says whose it is, one that does not is not ours.
        let by_input = submission_input.zip(self.input.as_ref()).map(|(name, input)| {
            JobId(input.get(name).and_then(Value::as_str).unwrap_or_default().to_owned())
        });
        let by_mark = self.input.as_ref().and_then(submission_of_input);
        Candidate {
            provider_job_id: self.id,
            submission: by_webhook.or(by_mark).or(by_input),
            model: self.model,
            input: self.input,
            is_suspect: false,
        }
    }
}

/// The submission that a webhook's URL names.
fn submission_of_url(url: &str) -> Option<JobId> {
    let url = Url::parse(url).ok()?;
    let mut pairs = url.query_pairs();
    pairs.find(|(key, _)| key == SUBMISSION_PARAMETER).map(|(_, id)| JobId(id.into_owned()))
}

impl PredictionPage {
    /// The jobs on it among which a submission is looked for. What was created before `since` is left out,
    /// and ends the search, also where the provider does not know the filter.
    ///
    /// An entry that cannot be read could be the one, so it must not be left out.
    ///
    /// # Errors
    /// Where an entry cannot be read.
    pub fn into_candidates(
        self,
        cursor: Option<&str>,
        since: Option<Timestamp>,
        submission_input: Option<&str>,
    ) -> Result<CandidatePage, ProviderError> {
        let next = self.next.as_deref().and_then(cursor_of);
        let mut next = next.filter(|next| Some(next.as_str()) != cursor);
        let mut candidates = Vec::with_capacity(self.results.len());
        for item in self.results {
            let wire: WireCandidate = json::read(item.get().as_bytes())
                .map_err(|error| ProviderError::Garbled(error.to_string()))?;
            let created_at = wire.created_at.as_deref().and_then(timestamp::parse);
            if since.is_some_and(|since| created_at.is_some_and(|at| at < since)) {
                next = None;
                break;
            }
            candidates.push(wire.into_candidate(submission_input));
        }
        Ok(CandidatePage { candidates, next })
    }
}
