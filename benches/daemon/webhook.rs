//! Webhooks as the provider sends them, signed beforehand: signing is the sender's work.

use jobsyncd::domain::signature::SigningKey;
use jobsyncd::domain::timestamp::now;
use serde_json::json;

use crate::client::post;

/// The secret of the daemons that take these webhooks.
pub(crate) const SECRET: &str = "whsec_c2ltdWxhdG9yLXdlYmhvb2stc2VjcmV0";
/// How a daemon is told of it.
pub(crate) const SECRET_SETTING: (&str, &str) =
    ("JOBSYNCD__PROVIDERS__REPLICATE__WEBHOOK_SECRET", SECRET);
/// A log of a few lines, as the last webhook of a job carries it.
const LOG: &str = "Setting up the trainer\nLoading the model\n\
    \rEpoch 1/21, Steps:   1%|  | 20/2000 [00:01<00:41, 47.96it/s, lr=9.5e-5, step_loss=0.0534]\
    \rEpoch 9/21, Steps:  50%|# | 1000/2000 [00:21<00:21, 47.9it/s, lr=9.5e-5, step_loss=0.0234]\
    \rEpoch 21/21, Steps: 100%|##| 2000/2000 [00:41<00:00, 48.1it/s, lr=1e-6, step_loss=0.0198]\n\
    Saving the model\n";

/// What a webhook tells of its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tells {
    /// It has started.
    Start,
    /// It has ended.
    Completed,
}

/// The body of a webhook: the provider's whole object.
pub(crate) fn body(id: &str, tells: Tells) -> String {
    let created_at = now() - chrono::Duration::minutes(1);
    let ended = tells == Tells::Completed;
    json!({
        "id": id,
        "model": "simpletuner/advanced-trainer",
        "version": "0123456789abcdef".repeat(4),
        "input": {"max_train_steps": 2000, "learning_rate": 0.0001, "train_batch_size": 4},
        "output": ended.then(|| format!("https://replicate.delivery/xezq/{id}/output.zip")),
        "logs": if ended { LOG } else { "" },
        "error": null,
        "status": if ended { "succeeded" } else { "processing" },
        "source": "api",
        "data_removed": false,
        "created_at": created_at,
        "started_at": created_at + chrono::Duration::seconds(5),
        "completed_at": ended.then(now),
        "metrics": if ended { json!({"predict_time": 50.25}) } else { json!({}) },
        "urls": {
            "get": format!("https://api.replicate.com/v1/predictions/{id}"),
            "cancel": format!("https://api.replicate.com/v1/predictions/{id}/cancel"),
            "web": format!("https://replicate.com/p/{id}"),
        },
    })
    .to_string()
}

/// The whole signed request.
pub(crate) fn request(key: &SigningKey, id: &str, tells: Tells) -> Vec<u8> {
    let body = body(id, tells);
    let message = format!("msg_{id}_{tells:?}");
    let timestamp = now().timestamp().to_string();
    let signature = key.sign(&message, &timestamp, body.as_bytes());
    let headers = format!(
        "webhook-id: {message}\r\nwebhook-timestamp: {timestamp}\r\n\
         webhook-signature: v1,{signature}\r\n"
    );
    post("/api/webhooks/replicate", &headers, &body)
}

/// The key that belongs to the secret.
pub(crate) fn key() -> SigningKey {
    SigningKey::from_secret(SECRET).expect("the secret is a key")
}
