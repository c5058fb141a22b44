//! What providers, and what runs at them, were seen to send although no description mentions it.

use chrono::DateTime;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::view::JobView;

/// A strange thing about a job. It shows in answers, lists and webhooks alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Oddity {
    /// The input has half an emoji, as JavaScript and Python send it.
    HalfEmojiInput,
    /// The error has half an emoji.
    HalfEmojiError,
    /// The list has an entry without an identifier in the place of the job.
    NoIdInLists,
    /// Offsets from UTC are `+0000`.
    OffsetWithoutColon,
    /// The error, the name of the model and each of five outputs are megabytes long.
    GiganticTexts,
    /// What ran wrote text, piece by piece.
    OutputInChunks,
    /// The time of computing is one that cannot be.
    EndlessPredictTime,
    /// The data is deleted right after the end.
    DataRemoved,
}

impl Oddity {
    /// Every oddity.
    pub const ALL: [Self; 8] = [
        Self::HalfEmojiInput,
        Self::HalfEmojiError,
        Self::NoIdInLists,
        Self::OffsetWithoutColon,
        Self::GiganticTexts,
        Self::OutputInChunks,
        Self::EndlessPredictTime,
        Self::DataRemoved,
    ];
}

/// How long a gigantic text is, in bytes.
const GIGANTIC_BYTES: usize = 6_000_000;

/// Shows a job with its oddities; `has_ended` is whether it has.
pub(super) fn disfigure(view: &mut JobView, oddities: &[Oddity], has_ended: bool, in_list: bool) {
    for oddity in oddities {
        match oddity {
            Oddity::HalfEmojiInput => view.input = raw(r#"{"trigger": "a \ud83d cat"}"#.to_owned()),
            Oddity::HalfEmojiError if has_ended => {
                view.error = raw(r#""went wrong \ud83d""#.to_owned())
            }
            Oddity::NoIdInLists if in_list => view.id = Value::Null,
            Oddity::OffsetWithoutColon => {
                for time in [
                    Some(&mut view.created_at),
                    view.started_at.as_mut(),
                    view.completed_at.as_mut(),
                ]
                .into_iter()
                .flatten()
                {
                    *time = without_colon(time);
                }
            }
            Oddity::GiganticTexts => {
                view.model = format!("simpletuner/{}", "x".repeat(GIGANTIC_BYTES));
                if has_ended {
                    let image = format!("data:image/png;base64,{}", "A".repeat(GIGANTIC_BYTES));
                    view.output = json!(vec![image; 5]);
                    view.error =
                        raw(json!("\u{1b}[31mNo. ".repeat(GIGANTIC_BYTES / 9)).to_string());
                }
            }
            Oddity::OutputInChunks if has_ended => view.output = json!(["The", " answer"]),
            Oddity::EndlessPredictTime if has_ended => {
                view.metrics = json!({"predict_time": 1e300, "total_time": 1e300});
            }
            Oddity::DataRemoved if has_ended => {
                view.data_removed = true;
                view.output = Value::Null;
                view.logs = view.logs.as_ref().map(|_| Value::Null);
            }
            _ => {}
        }
    }
}

/// JSON as it is to be sent, which need not be text.
pub(super) fn raw(json: String) -> Box<RawValue> {
    RawValue::from_string(json).unwrap_or_default()
}

fn without_colon(time: &str) -> String {
    let at = DateTime::parse_from_rfc3339(time);
    at.map_or_else(|_| time.to_owned(), |at| at.format("%Y-%m-%dT%H:%M:%S%.f%z").to_string())
}
