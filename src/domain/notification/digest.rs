//! Many messages as one: what a receiver is told that could not be told in time.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Message, Topic};

/// How many messages a digest names one by one to people; programs are told all of them.
const NAMED_MAX: usize = 20;
/// How much of the title of each it repeats, in characters.
const TITLE_CHARS_MAX: usize = 120;

impl Message {
    /// What a digest is called by programs.
    pub const DIGEST_KIND: &'static str = "digest";

    /// All of `messages` as one, in their order: how many of each kind there are, the first of them by their
    /// titles, and each of them whole for programs.
    pub fn digest(messages: &[Self], at: String) -> Self {
        let mut counts = BTreeMap::<&str, usize>::new();
        for message in messages {
            *counts.entry(&message.kind).or_default() += 1;
        }
        let words = |(kind, count): (&&str, &usize)| format!("{count} {}", in_words(kind));
        let by_kind = counts.iter().map(words).collect::<Vec<_>>().join(", ");
        let gravest =
            messages.iter().map(|message| message.topic).max_by_key(|topic| gravity(*topic));
        Self {
            topic: gravest.unwrap_or(Topic::Completed),
            kind: Self::DIGEST_KIND.to_owned(),
            at,
            title: format!("{} messages: {by_kind}", messages.len()),
            text: titles(messages),
            url: None,
            data: Map::from_iter([
                ("count".to_owned(), json!(messages.len())),
                ("counts".to_owned(), json!(counts)),
                ("messages".to_owned(), messages.iter().map(whole).collect()),
            ]),
        }
    }
}

/// `job.loss_not_finite` as a person says it.
fn in_words(kind: &str) -> String {
    let words = kind.strip_prefix("job.").unwrap_or(kind);
    words.replace(['.', '_'], " ")
}

fn titles(messages: &[Message]) -> String {
    let named = messages.iter().take(NAMED_MAX);
    let mut lines: Vec<_> = named.map(|message| short(&message.title)).collect();
    let others = messages.len().saturating_sub(NAMED_MAX);
    if others > 0 {
        lines.push(format!("and {others} more"));
    }
    lines.join("\n")
}

fn short(title: &str) -> String {
    match title.char_indices().nth(TITLE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &title[..end]),
        None => title.to_owned(),
    }
}

fn whole(message: &Message) -> Value {
    json!({
        "type": message.kind,
        "timestamp": message.at,
        "title": message.title,
        "data": message.data,
    })
}

/// Which of several things a person looks after first.
fn gravity(topic: Topic) -> u8 {
    match topic {
        Topic::Failed => 6,
        Topic::LossNotFinite => 5,
        Topic::Gone => 4,
        Topic::Stalled => 3,
        Topic::Budget => 2,
        Topic::Cancelled => 1,
        Topic::Completed => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(n: usize, topic: Topic, kind: &str) -> Message {
        Message {
            topic,
            kind: kind.to_owned(),
            title: format!("Job {n} {kind}"),
            ..Message::test("2026-03-01T10:00:00Z".to_owned())
        }
    }

    #[test]
    fn a_digest_counts_names_the_first_and_holds_all() {
        let failed = (0..3).map(|n| message(n, Topic::Failed, "job.failed"));
        let done = (3..30).map(|n| message(n, Topic::Completed, "job.completed"));
        let messages: Vec<_> = failed.chain(done).collect();
        let digest = Message::digest(&messages, "2026-03-01T11:00:00Z".to_owned());
        assert_eq!(digest.title, "30 messages: 27 completed, 3 failed");
        assert_eq!((digest.topic, digest.kind.as_str()), (Topic::Failed, "digest"));
        let lines: Vec<_> = digest.text.lines().collect();
        assert_eq!((lines.len(), lines[0], lines[20]), (21, "Job 0 job.failed", "and 10 more"));
        assert_eq!(digest.data["counts"], json!({"job.completed": 27, "job.failed": 3}));
        assert_eq!(digest.data["messages"].as_array().map(Vec::len), Some(30));
    }
}
