//! A reader of server-sent events, by the rules of the HTML standard: pure, and fed with bytes as they
//! come.

use std::time::Duration;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SseEvent {
    /// Its name; `message` where it has none.
    pub(super) event: String,
    /// Its lines of data, with line ends between them.
    pub(super) data: String,
    /// The last id that was told, with this event or before it.
    pub(super) id: Option<String>,
}

/// Reads a stream.
#[derive(Debug, Default)]
pub(super) struct SseReader {
    /// The line that is not complete yet.
    line: Vec<u8>,
    /// Whether the last byte ended a line by CR, so that an LF after it is a part of the same end.
    is_after_cr: bool,
    /// Whether a line has been read already: only the first may begin with a byte order mark.
    is_under_way: bool,
    event: String,
    data: Option<String>,
    id: Option<String>,
    retry: Option<Duration>,
}

impl SseReader {
    /// How long the server wants a client to wait before it comes back, where it has said so.
    pub(super) fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Forgets the last id that was told.
    pub(super) fn forget_id(&mut self) {
        self.id = None;
    }

    /// Reads on, and answers the events that have become complete.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Vec<SseEvent> {
        let mut events = Vec::new();
        for byte in bytes {
            let is_rest_of_end = std::mem::take(&mut self.is_after_cr) && *byte == b'\n';
            match byte {
                b'\n' if is_rest_of_end => {}
                b'\r' | b'\n' => {
                    self.is_after_cr = *byte == b'\r';
                    events.extend(self.end_line());
                }
                byte => self.line.push(*byte),
            }
        }
        events
    }

    fn end_line(&mut self) -> Option<SseEvent> {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        let is_first = !std::mem::replace(&mut self.is_under_way, true);
        let text = if is_first { text.trim_start_matches('\u{feff}') } else { &text };
        if text.is_empty() {
            return self.dispatch();
        }
        let (field, value) = text.split_once(':').unwrap_or((text, ""));
        self.take_field(field, value.strip_prefix(' ').unwrap_or(value));
        None
    }

    /// Takes what a line says. One that begins with a colon is a comment: its field has no name.
    fn take_field(&mut self, field: &str, value: &str) {
        match field {
            "event" => value.clone_into(&mut self.event),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retry = value.parse().ok().map(Duration::from_millis).or(self.retry);
            }
            _ => {}
        }
    }

    /// The event that an empty line ends; none where there was no line of data.
    fn dispatch(&mut self) -> Option<SseEvent> {
        let event = std::mem::take(&mut self.event);
        let data = self.data.take()?;
        let event = if event.is_empty() { "message".to_owned() } else { event };
        Some(SseEvent { event, data, id: self.id.clone() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn read(text: &str) -> Vec<SseEvent> {
        SseReader::default().read(text.as_bytes())
    }

    fn event(event: &str, data: &str, id: Option<&str>) -> SseEvent {
        SseEvent { event: event.into(), data: data.into(), id: id.map(str::to_owned) }
    }

    #[rstest]
    #[case::lf("data: a\n\n")]
    #[case::crlf("data: a\r\n\r\n")]
    #[case::cr("data: a\r\r")]
    #[case::mixed("data: a\r\n\n")]
    #[case::without_a_space("data:a\n\n")]
    #[case::byte_order_mark("\u{feff}data: a\n\n")]
    #[case::comment_and_unknown_field(": hello\nx: y\ndata: a\n\n")]
    #[case::comment_alone(":\n\ndata: a\n\n")]
    fn an_event_is_read_whatever_ends_its_lines(#[case] text: &str) {
        assert_eq!(read(text), [event("message", "a", None)]);
    }

    #[test]
    fn lines_of_data_are_joined_and_an_empty_one_is_a_line() {
        assert_eq!(read("data: a\ndata\ndata:  b\n\n"), [event("message", "a\n\n b", None)]);
        assert_eq!(read("data:\n\n"), [event("message", "", None)]);
        assert_eq!(read("event: x\n\ndata: a\n\n"), [event("message", "a", None)]);
    }

    #[test]
    fn a_name_is_of_one_event_and_an_id_lasts() {
        let told = read("event: done\nid: 7\ndata: a\n\ndata: b\n\nid\ndata: c\n\n");
        let expected = [
            event("done", "a", Some("7")),
            event("message", "b", Some("7")),
            event("message", "c", Some("")),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_is_not_complete_is_not_told() {
        assert_eq!(read("data: a\n"), []);
        assert_eq!(read("data: a"), []);
    }

    #[test]
    fn the_time_to_come_back_is_read_and_nonsense_is_not() {
        let mut reader = SseReader::default();
        reader.read(b"retry: 2000\nretry: soon\nretry: -1\n");
        assert_eq!(reader.retry(), Some(Duration::from_secs(2)));
    }

    proptest! {
        #[test]
        fn wherever_a_stream_is_cut_it_tells_the_same(
            text in "(data|id|event|retry|:|é|1| |\r|\n|\r\n|\u{feff}){0,40}",
            cut in any::<prop::sample::Index>(),
        ) {
            let cut = cut.index(text.len() + 1);
            let mut reader = SseReader::default();
            let mut told = reader.read(&text.as_bytes()[..cut]);
            told.extend(reader.read(&text.as_bytes()[cut..]));
            prop_assert_eq!(told, read(&text));
        }
    }
}
