//! The forms in which services take a message.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use url::Url;

use super::fit::{Fit, escaped, units};
use super::{Message, Topic};
use crate::domain::job::UnknownWord;

/// The text of a section in a message of Slack, after escaping.
const SLACK_SECTION_MAX: usize = 3_000;
/// The title in it: room is left for a link and for more text.
const SLACK_TITLE_MAX: usize = 500;
/// The title of an embed in a message of Discord.
const DISCORD_TITLE_MAX: usize = 256;
/// The description of an embed: with the title less than the 6,000 of a whole message.
const DISCORD_DESCRIPTION_MAX: usize = 4_000;
/// A message of ntfy.
const NTFY_MESSAGE_BYTES_MAX: usize = 4_096;
/// A title of ntfy: it travels in a header, encoded a third longer.
const NTFY_TITLE_BYTES_MAX: usize = 1_024;
/// An encoded word has at most 75 characters, 12 of which are its frame.
const ENCODED_WORD_BYTES_MAX: usize = 45;
/// The longest address that is linked; Discord takes 2,048.
const LINK_BYTES_MAX: usize = 2_000;

/// The form that a channel wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Plain JSON, for programs: `{"type", "timestamp", "data"}`, as Standard Webhooks suggests.
    Json,
    /// Slack's incoming webhooks.
    Slack,
    /// Discord's webhooks.
    Discord,
    /// A topic of ntfy.
    Ntfy,
}

/// A message as it goes over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The body.
    pub body: String,
    /// Of which type it is.
    pub content_type: &'static str,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
}

impl Format {
    /// Every format with its name.
    pub const ALL: [(&'static str, Self); 4] = [
        ("json", Self::Json),
        ("slack", Self::Slack),
        ("discord", Self::Discord),
        ("ntfy", Self::Ntfy),
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        let mut all = Self::ALL.into_iter();
        all.find(|(_, format)| *format == self).map_or("json", |(name, _)| name)
    }

    /// The message in this form.
    pub fn render(self, message: &Message) -> Rendered {
        let json = |body: Value| Rendered {
            body: body.to_string(),
            content_type: "application/json",
            headers: Vec::new(),
        };
        match self {
            Self::Json => json(json!({
                "type": message.kind,
                "timestamp": message.at,
                "title": message.title,
                "data": message.data,
            })),
            Self::Slack => json(slack(message)),
            Self::Discord => json(discord(message)),
            Self::Ntfy => ntfy(message),
        }
    }
}

impl std::str::FromStr for Format {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        UnknownWord::look_up(word, &Self::ALL)
    }
}

fn slack(message: &Message) -> Value {
    let one_line = message.title.replace(char::is_control, " ");
    let title = Fit::in_units(SLACK_TITLE_MAX).fit(&one_line, slack_mark);
    let heading = match link(message) {
        // A bar would end the address.
        Some(url) if !url.contains(['|', '>']) => {
            let url = escaped(url, slack_mark);
            format!("*<{url}|{title}>*")
        }
        _ => format!("*{title}*"),
    };
    let room = SLACK_SECTION_MAX.saturating_sub(units(&heading) + 1);
    let text = Fit::in_units(room).fit(&message.text, slack_mark);
    let shown = if text.is_empty() { heading } else { format!("{heading}\n{text}") };
    json!({
        // What a notification on a phone shows, and readers of screens.
        "text": title,
        "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": shown}}],
    })
}

/// Slack reads three characters as the beginning of something else.
fn slack_mark(c: char) -> Option<&'static str> {
    match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        _ => None,
    }
}

fn discord(message: &Message) -> Value {
    let colour = match message.topic {
        Topic::Completed => 0x002e_7d32,
        Topic::Failed | Topic::LossNotFinite | Topic::Gone => 0x00c6_2828,
        Topic::Stalled | Topic::Budget => 0x00ef_6c00,
        Topic::Cancelled => 0x0060_7d8b,
    };
    // Discord refuses a whole message of which one part is longer than its limit.
    let mut embed = json!({
        "title": Fit::in_units(DISCORD_TITLE_MAX).fit(&message.title, |_| None),
        "color": colour,
        "timestamp": message.at,
    });
    if !message.text.trim().is_empty() {
        let text = Fit::in_units(DISCORD_DESCRIPTION_MAX).fit(&message.text, |_| None);
        embed["description"] = text.into();
    }
    if let Some(url) = link(message) {
        embed["url"] = url.into();
    }
    // A name that says @everyone must not call everyone.
    json!({"embeds": [embed], "allowed_mentions": {"parse": []}})
}

fn ntfy(message: &Message) -> Rendered {
    let (priority, tag) = match message.topic {
        Topic::Completed => ("3", "white_check_mark"),
        Topic::Failed | Topic::LossNotFinite => ("4", "x"),
        Topic::Gone | Topic::Stalled => ("4", "warning"),
        Topic::Budget => ("4", "moneybag"),
        Topic::Cancelled => ("2", "no_entry_sign"),
    };
    let title = Fit::in_bytes(NTFY_TITLE_BYTES_MAX).fit(&message.title, |_| None);
    let mut headers = vec![
        ("title", header_text(&title)),
        ("priority", priority.to_owned()),
        ("tags", tag.to_owned()),
    ];
    if let Some(url) = link(message).filter(|url| is_header_text(url)) {
        headers.push(("click", url.to_owned()));
    }
    // ntfy makes a file of what is longer, and the word "triggered" of nothing.
    let text = if message.text.trim().is_empty() { &message.title } else { &message.text };
    let body = Fit::in_bytes(NTFY_MESSAGE_BYTES_MAX).fit(text, |_| None);
    Rendered { body, content_type: "text/plain; charset=utf-8", headers }
}

/// The page about it, where every service takes its address: a strange or long one has the whole message
/// refused.
fn link(message: &Message) -> Option<&str> {
    let url = message.url.as_deref().filter(|url| url.len() <= LINK_BYTES_MAX)?;
    let parsed = Url::parse(url).ok()?;
    let is_plain = !url.contains(|c: char| c.is_whitespace() || c.is_control());
    (matches!(parsed.scheme(), "http" | "https") && is_plain).then_some(url)
}

fn is_header_text(text: &str) -> bool {
    text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

/// A text as a header takes it: what is not ASCII, or looks encoded, in words by RFC 2047, which ntfy reads.
fn header_text(text: &str) -> String {
    let one_line = text.replace(char::is_control, " ");
    if is_header_text(&one_line) && !one_line.contains("=?") {
        return one_line;
    }
    let mut words = Vec::new();
    let mut rest = one_line.as_str();
    while !rest.is_empty() {
        // A word holds whole characters.
        let (word, behind) = rest.split_at(rest.floor_char_boundary(ENCODED_WORD_BYTES_MAX));
        words.push(format!("=?UTF-8?B?{}?=", BASE64.encode(word)));
        rest = behind;
    }
    // Between two such words a reader drops the blank.
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message {
            topic: Topic::Failed,
            kind: "job.failed".to_owned(),
            at: "2026-03-01T10:00:00Z".to_owned(),
            title: "Job <cats> & dogs failed".to_owned(),
            text: "a < b".to_owned(),
            url: Some("https://x.example/j?a=1&b=2".to_owned()),
            data: serde_json::Map::from_iter([("job_id".to_owned(), json!("j1"))]),
        }
    }

    fn body(format: Format, message: &Message) -> Value {
        serde_json::from_str(&format.render(message).body).expect("JSON")
    }

    #[test]
    fn programs_get_the_whole_of_it() {
        let expected = json!({
            "type": "job.failed", "timestamp": "2026-03-01T10:00:00Z",
            "title": "Job <cats> & dogs failed", "data": {"job_id": "j1"},
        });
        assert_eq!(body(Format::Json, &message()), expected);
    }

    #[test]
    fn slack_is_not_told_to_read_names_as_marks() {
        let slack = body(Format::Slack, &message());
        assert_eq!(slack["text"], "Job &lt;cats&gt; &amp; dogs failed");
        assert_eq!(
            slack["blocks"][0]["text"]["text"],
            "*<https://x.example/j?a=1&amp;b=2|Job &lt;cats&gt; &amp; dogs failed>*\na &lt; b"
        );
    }

    #[test]
    fn slack_gets_no_more_than_it_takes_after_escaping() {
        for filling in ["&", "<", "é", "a & b\n", "😀"] {
            let long = Message {
                title: filling.repeat(2_000),
                text: filling.repeat(3_000),
                url: Some(format!("https://x.example/{}", "&".repeat(300))),
                ..message()
            };
            let slack = body(Format::Slack, &long);
            let shown = slack["blocks"][0]["text"]["text"].as_str().expect("a text");
            assert!(units(shown) <= 3_000 && units(shown) > 2_900, "{}", units(shown));
            assert!(shown.ends_with('…'), "it is told that more was cut");
            let marks = shown.matches('&').count();
            let whole = ["&amp;", "&lt;", "&gt;"].map(|mark| shown.matches(mark).count());
            assert_eq!(marks, whole.iter().sum::<usize>(), "no mark is cut in two");
            assert!(shown.contains(">*\n"), "the heading is whole");
        }
    }

    #[test]
    fn an_address_that_a_service_refuses_is_left_out() {
        let long = format!("https://x.example/{}", "a".repeat(4_000));
        for url in ["javascript:alert(1)", "x", "https://x.example/a b", &long] {
            let message = Message { url: Some(url.to_owned()), ..message() };
            assert_eq!(body(Format::Discord, &message)["embeds"][0].get("url"), None, "{url}");
            let slack = body(Format::Slack, &message).to_string();
            assert!(!slack.contains("|Job"), "{slack}");
            let headers = Format::Ntfy.render(&message).headers;
            assert!(headers.iter().all(|(name, _)| *name != "click"), "{url}");
        }
    }

    #[test]
    fn discord_calls_nobody_and_gets_no_more_than_it_takes() {
        let long =
            Message { title: "@everyone".repeat(100), text: "é".repeat(9_000), ..message() };
        let discord = body(Format::Discord, &long);
        assert_eq!(discord["allowed_mentions"], json!({"parse": []}));
        let chars = |key: &str| discord["embeds"][0][key].as_str().map(|text| text.chars().count());
        assert_eq!((chars("title"), chars("description")), (Some(256), Some(4_000)));
    }

    #[test]
    fn ntfy_gets_headers_that_are_headers() {
        let strange = Message { title: "Größe\r\nX-Evil: 1".to_owned(), ..message() };
        let rendered = Format::Ntfy.render(&strange);
        let header = |name: &str| {
            let found = rendered.headers.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| value.as_str()).unwrap_or_default()
        };
        assert!(header("title").starts_with("=?UTF-8?B?") && is_header_text(header("title")));
        assert_eq!((header("priority"), header("tags")), ("4", "x"));
        assert_eq!(header("click"), "https://x.example/j?a=1&b=2");
        assert_eq!(rendered.body, "a < b");
    }

    #[test]
    fn ntfy_gets_long_titles_in_words_of_a_legal_length_and_texts_that_stay_messages() {
        let long =
            Message { title: "Größe 😀 ".repeat(40), text: "é".repeat(5_000), ..message() };
        let rendered = Format::Ntfy.render(&long);
        let title = &rendered.headers[0].1;
        let decoded: Vec<u8> = title
            .split(' ')
            .flat_map(|word| {
                assert!(word.len() <= 75, "{word}");
                let inner = word.strip_prefix("=?UTF-8?B?").and_then(|w| w.strip_suffix("?="));
                BASE64.decode(inner.expect("an encoded word")).expect("base64")
            })
            .collect();
        assert_eq!(String::from_utf8(decoded).expect("UTF-8"), long.title);
        assert!(rendered.body.len() <= 4_096 && rendered.body.ends_with('…'));
        let empty = Message { text: " \n".to_owned(), ..message() };
        assert_eq!(Format::Ntfy.render(&empty).body, message().title);
        let sly = Message { title: "=?UTF-8?B?aGk=?=".to_owned(), ..message() };
        assert!(!Format::Ntfy.render(&sly).headers[0].1.contains("aGk="));
    }

    #[test]
    fn every_format_is_known_by_its_name() {
        for (name, format) in Format::ALL {
            assert_eq!((name.parse(), format.as_str()), (Ok(format), name));
        }
    }
}
