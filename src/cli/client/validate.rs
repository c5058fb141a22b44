//! `jobsyncd validate`: whether the daemon's token for a provider is good.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::job_text::word;
use super::{ClientError, Common};

/// Which provider is asked.
#[derive(Debug, Args)]
pub(in super::super) struct ValidateOptions {
    /// The provider.
    #[arg(default_value = "replicate")]
    provider: String,
    #[command(flatten)]
    common: Common,
}

/// Asks, and ends with 1 where the token is not good.
pub(in super::super) async fn run(options: &ValidateOptions) -> Result<ExitCode, ClientError> {
    let api = options.common.api()?;
    let url = api.url(&["cloud", "providers", &options.provider, "validate"], &[]);
    let answer = api.get(&url).await?;
    options.common.print(&answer, |answer| written(&options.provider, answer))?;
    let is_valid = answer.json["valid"] == true;
    Ok(if is_valid { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn written(provider: &str, answer: &Value) -> String {
    if answer["valid"] == true {
        format!("{provider}: valid, the account of {}", word(&answer["username"]))
    } else {
        format!("{provider}: not valid: {}", word(&answer["error"]))
    }
}
