//! The texts of a job that others wrote, and how much of them goes along with it.
//!
//! A provider passes on what ran: an error of megabytes, an image as a `data:` URI. A job is in every list,
//! event and page, so it carries as much of such a text as serves to recognise it, and how long it is; the
//! whole text is kept once, and has a route of its own.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::words::grouped;

/// The longest error that a job carries, in bytes of JSON.
pub const ERROR_BYTES_MAX: usize = 800;
/// What an error always has, however long the other texts are, in bytes of JSON.
pub const ERROR_BYTES_MIN: usize = 130;
/// The longest URL of a result that a job carries, in bytes of JSON. A longer one is left out: half a URL
/// leads nowhere.
pub const OUTPUT_URL_BYTES_MAX: usize = 500;
/// The longest URL of a page that a job carries, in bytes of JSON. A longer one is left out.
pub const WEB_URL_BYTES_MAX: usize = 160;
/// The longest name of a model, in bytes of JSON.
pub const MODEL_BYTES_MAX: usize = 100;
/// The longest name of a run, in bytes of JSON.
pub const RUN_NAME_BYTES_MAX: usize = 100;
/// The longest name of a version, in bytes of JSON: one at Replicate has 64 behind the model's name.
pub const VERSION_BYTES_MAX: usize = 140;
/// The longest word for a state, in bytes of JSON.
pub const STATUS_BYTES_MAX: usize = 60;
/// The most that all these have together in one answer, in bytes of JSON: an error gives way to the others.
pub const TOGETHER_BYTES_MAX: usize = 1_100;

/// A text that is kept whole where a job carries a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobText {
    /// What went wrong.
    ErrorMessage,
    /// Where the result is, or the result itself as a `data:` URI.
    OutputUrl,
}

impl JobText {
    /// Every such text.
    pub const ALL: [Self; 2] = [Self::ErrorMessage, Self::OutputUrl];

    /// The name of the field, on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ErrorMessage => "error_message",
            Self::OutputUrl => "output_url",
        }
    }

    /// As much of it as a job carries; None where that is all of it.
    pub fn bounded(self, whole: &str) -> Option<String> {
        match self {
            Self::ErrorMessage => shortened(whole, ERROR_BYTES_MAX),
            Self::OutputUrl => {
                let is_long = json_bytes(whole) > OUTPUT_URL_BYTES_MAX;
                is_long.then(|| first(whole, OUTPUT_URL_BYTES_MAX).to_owned())
            }
        }
    }
}

/// How long the texts are of which a job carries a part, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CutTexts {
    /// The error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<u64>,
    /// The URL of the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_url: Option<u64>,
}

impl CutTexts {
    /// How long this one is; None where the job carries all of it.
    pub fn bytes(&self, text: JobText) -> Option<u64> {
        match text {
            JobText::ErrorMessage => self.error_message,
            JobText::OutputUrl => self.output_url,
        }
    }

    /// Whether the job carries every text whole.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A name, at most so long in JSON.
pub fn bounded_name(name: &str, bytes_max: usize) -> Cow<'_, str> {
    if json_bytes(name) <= bytes_max {
        return Cow::Borrowed(name);
    }
    Cow::Owned(format!("{}…", first(name, bytes_max.saturating_sub(ELLIPSIS_BYTES))))
}

const ELLIPSIS_BYTES: usize = '…'.len_utf8();

/// The beginning and, for the most part, the end of a text, at most so long in JSON; None where that is all of
/// it. What an error comes to stands at its end.
pub fn shortened(text: &str, bytes_max: usize) -> Option<String> {
    if json_bytes(text) <= bytes_max {
        return None;
    }
    let note_bytes_max = note(text.len()).len() + 2;
    let room = bytes_max.saturating_sub(note_bytes_max);
    let start = first(text, room / 4);
    let end = last(text, room - room / 4);
    let left_out = text.len() - start.len() - end.len();
    Some(format!("{start}{}{end}", note(left_out)))
}

fn note(bytes: usize) -> String {
    format!("\n… {} bytes left out …\n", grouped(bytes as u64))
}

/// As much of the start of a text as has so many bytes in JSON.
fn first(text: &str, bytes_max: usize) -> &str {
    let fitting = fitting(text.chars(), bytes_max);
    &text[..fitting]
}

/// As much of the end of a text as has so many bytes in JSON.
fn last(text: &str, bytes_max: usize) -> &str {
    let fitting = fitting(text.chars().rev(), bytes_max);
    &text[text.len() - fitting..]
}

/// How many bytes those characters have which fit.
fn fitting(characters: impl Iterator<Item = char>, json_bytes_max: usize) -> usize {
    let mut room = json_bytes_max;
    let fit = characters.map_while(|character| {
        room = room.checked_sub(escaped_bytes(character))?;
        Some(character.len_utf8())
    });
    fit.sum()
}

/// How many bytes a text has in JSON, without its quotes.
pub fn json_bytes(text: &str) -> usize {
    text.chars().map(escaped_bytes).sum()
}

fn escaped_bytes(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        other => other.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_long_error_keeps_its_start_and_its_end_and_says_what_is_left_out() {
        let error = format!("Traceback\n{}\nCUDA out of memory", "frame\n".repeat(1_000));
        let shown = shortened(&error, ERROR_BYTES_MAX).expect("a part");
        assert!(shown.starts_with("Traceback\n") && shown.ends_with("CUDA out of memory"));
        let left_out = error.len() - (shown.len() - note(5_000).len());
        assert!(shown.contains(&note(left_out)), "{left_out}: {shown}");
        assert_eq!(shortened("short", ERROR_BYTES_MAX), None);
    }

    #[test]
    fn a_long_name_ends_with_an_ellipsis() {
        assert_eq!(bounded_name("owner/name", 120), "owner/name");
        assert_eq!(bounded_name("owner/name", 8), "owner…");
    }

    proptest! {
        #[test]
        fn the_bytes_are_those_that_json_has(text in "\\PC*|[\\x00-\\x7f]*") {
            let written = serde_json::to_string(&text).expect("a text").len() - 2;
            // DEL is written as it is.
            prop_assert_eq!(json_bytes(&text), written);
        }

        #[test]
        fn what_is_shortened_is_as_short_as_was_asked(text in "(\\PC|[\\x00-\\x1f]){0,400}", bytes_max in 80..300_usize) {
            let shown = shortened(&text, bytes_max).unwrap_or(text);
            prop_assert!(json_bytes(&shown) <= bytes_max, "{}", json_bytes(&shown));
        }
    }
}
