//! JSON as programs really send it.
//!
//! JavaScript and Python send half a character (`"\ud83d"`), Python sends `NaN` and `Infinity`, proxies and
//! runtimes cut what they pass on, and somebody sends bytes that are no text. None of that may hide what
//! stands beside it. So an object is read field by field, a field that nobody asks for is not read at all,
//! and what is not JSON to the letter is read as what it was meant to be.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// Reads `bytes`; where they are not JSON to the letter, as [`mended`].
///
/// # Errors
/// Where they cannot be read so either.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(bytes)
        .or_else(|error| serde_json::from_slice(&mended(bytes)).map_err(|_| error))
}

/// The fields of an object, each as the text that it was sent as. Of several of one name the last counts, as
/// in JavaScript and Python.
#[derive(Debug, Default)]
pub(super) struct Fields {
    texts: HashMap<String, Box<RawValue>>,
    unreadable: Vec<String>,
    is_cut: bool,
}

impl Fields {
    /// The fields of the object in `bytes`, as far as it goes: what follows something that cannot be read, or
    /// is cut off, is missing. None where there is not even the beginning of an object.
    pub(super) fn salvage(bytes: &[u8]) -> Option<Self> {
        let whole = Self::found_in(bytes).filter(|fields| !fields.is_cut);
        whole.or_else(|| Self::found_in(&mended(bytes)))
    }

    fn found_in(bytes: &[u8]) -> Option<Self> {
        if bytes.trim_ascii_start().first() != Some(&b'{') {
            return None;
        }
        let mut fields = Self::default();
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        let read = Collect(&mut fields).deserialize(&mut reader).and_then(|()| reader.end());
        fields.is_cut = read.is_err();
        Some(fields)
    }

    /// Whether more fields may have been sent than are there.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Whether there is a field of this name, be it null.
    pub(super) fn names(&self, name: &str) -> bool {
        self.texts.contains_key(name)
    }

    /// The value of a field. None where it is missing or null, or cannot be read as a `T`, which is noted.
    pub(super) fn take<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let text = self.texts.get(name)?.get();
        match read::<Option<T>>(text.as_bytes()) {
            Ok(value) => value,
            Err(_) => {
                self.unreadable.push(name.to_owned());
                None
            }
        }
    }

    /// The value of a field of at most so many bytes, where that can be read.
    pub(super) fn peek<T: DeserializeOwned>(&self, name: &str, bytes_max: usize) -> Option<T> {
        let text = self.texts.get(name)?.get();
        if text.len() > bytes_max {
            return None;
        }
        read::<Option<T>>(text.as_bytes()).ok()?
    }

    /// The object, with the fields that can be read.
    pub(super) fn into_value(self) -> Value {
        let read_one = |(name, text): (String, Box<RawValue>)| {
            read(text.get().as_bytes()).ok().map(|value| (name, value))
        };
        Value::Object(self.texts.into_iter().filter_map(read_one).collect())
    }

    /// The names of the fields that were asked for and could not be read.
    pub(super) fn unreadable(self) -> Vec<String> {
        self.unreadable
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut fields = Self::default();
        Collect(&mut fields).deserialize(deserializer)?;
        Ok(fields)
    }
}

/// Collects the fields of an object one by one, so that those before an error are had.
struct Collect<'a>(&'a mut Fields);

impl<'de> DeserializeSeed<'de> for Collect<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Collect<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            self.0.texts.insert(name, map.next_value()?);
        }
        Ok(())
    }
}

/// What stands for something that cannot be shown.
const REPLACEMENT: &[u8] = br"\ufffd";

/// The same as JSON to the letter: half a character becomes U+FFFD, as do bytes that are no text; control
/// characters and backslashes within strings are escaped; words that JSON has not (`NaN`, `undefined`, `+1`)
/// become null, and a comma before the end of a list goes.
pub(super) fn mended(bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes));
    let mut rest = text.as_bytes();
    let mut mended = Vec::with_capacity(rest.len());
    let mut in_string = false;
    while let Some(&byte) = rest.first() {
        let (instead, length): (Cow<'_, [u8]>, usize) = match byte {
            b'"' => {
                in_string = !in_string;
                (Cow::Borrowed(&rest[..1]), 1)
            }
            b'\\' if in_string => escape(rest),
            0..=0x1f if in_string => (format!("\\u{byte:04x}").into_bytes().into(), 1),
            b',' if !in_string && ends_a_list(&rest[1..]) => (Cow::Borrowed(&[]), 1),
            _ if !in_string && is_of_a_word(byte) => word(rest),
            _ => (Cow::Borrowed(&rest[..1]), 1),
        };
        mended.extend_from_slice(&instead);
        rest = &rest[length..];
    }
    mended
}

/// What an escape at the start of `text` stands for, and how long it is.
fn escape(text: &[u8]) -> (Cow<'_, [u8]>, usize) {
    match text.get(1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => (text[..2].into(), 2),
        Some(b'u') => match (code_unit(text), text.get(6..).and_then(code_unit)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (text[..12].into(), 12),
            (Some(0xd800..=0xdfff), _) => (REPLACEMENT.into(), 6),
            (Some(_), _) => (text[..6].into(), 6),
            (None, _) => (br"\\".into(), 1),
        },
        // There is no such escape, so the backslash was meant as one.
        _ => (br"\\".into(), 1),
    }
}

/// The UTF-16 code unit that `\uXXXX` at the start of `text` writes.
fn code_unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(br"\u")?.get(..4)?;
    let is_hexadecimal = digits.iter().all(u8::is_ascii_hexdigit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| is_hexadecimal)?;
    u16::from_str_radix(digits, 16).ok()
}

/// Whether a byte outside of strings belongs to a number or a word.
fn is_of_a_word(byte: u8) -> bool {
    !byte.is_ascii_whitespace() && !b"{}[]:,\"".contains(&byte)
}

/// The number or word at the start of `text` where JSON has it; else what it was meant to be, or null.
fn word(text: &[u8]) -> (Cow<'_, [u8]>, usize) {
    let length = text.iter().position(|byte| !is_of_a_word(*byte)).unwrap_or(text.len());
    let word = &text[..length];
    let meant = match word {
        b"True" => &b"true"[..],
        b"False" => b"false",
        word if serde_json::from_slice::<IgnoredAny>(word).is_ok() => word,
        _ => b"null",
    };
    (meant.into(), length)
}

/// Whether nothing follows in a list or an object: a comma before that is one too many.
fn ends_a_list(rest: &[u8]) -> bool {
    matches!(rest.trim_ascii_start().first(), Some(b'}' | b']'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_programs_send_is_read_as_it_was_meant() {
        for (sent, meant) in [
            (&br#""a \ud83d b""#[..], json!("a \u{fffd} b")),
            (br#""a \ude00 b""#, json!("a \u{fffd} b")),
            (br#""\ud83d\ud83d\ude00""#, json!("\u{fffd}\u{1f600}")),
            (br#""\ud83d\u0041""#, json!("\u{fffd}A")),
            (b"[NaN, -Infinity, Infinity, -1]", json!([null, null, null, -1])),
            (br#"["NaN", "-Infinity"]"#, json!(["NaN", "-Infinity"])),
            (
                b"[nan, -NaN, undefined, None, +1, .5, 01, 1.]",
                json!([null, null, null, null, null, null, null, null]),
            ),
            (b"[True, False, true, -1.5e3]", json!([true, false, true, -1500.0])),
            (b"{\"a\": [1, 2, ], }", json!({"a": [1, 2]})),
            (b"\"a\x01b\nc\"", json!("a\u{1}b\nc")),
            (b"\"a\xffb\"", json!("a\u{fffd}b")),
            (br#""C:\Users \x41 \u12""#, json!(r"C:\Users \x41 \u12")),
            (b"\xef\xbb\xbf{\"a\": 1}", json!({"a": 1})),
        ] {
            let shown = String::from_utf8_lossy(sent);
            assert_eq!(read::<Value>(sent).expect(&shown), meant, "{shown}");
        }
    }

    #[test]
    fn a_strange_field_hides_no_other() {
        let deep = format!(
            r#"{{"id": "p1", "output": {}{}, "status": "ok"}}"#,
            "[".repeat(500),
            "]".repeat(500)
        );
        let mut fields = Fields::salvage(deep.as_bytes()).expect("an object");
        assert_eq!(fields.take::<Value>("output"), None);
        assert_eq!(fields.take::<String>("status").as_deref(), Some("ok"));
        assert_eq!(fields.unreadable(), ["output"]);
    }

    #[test]
    fn what_stands_before_a_cut_is_read() {
        let mut fields =
            Fields::salvage(br#"{"id": "p1", "status": "ok", "logs": "lo"#).expect("some");
        assert_eq!(fields.take::<String>("id").as_deref(), Some("p1"));
        assert_eq!((fields.names("status"), fields.names("logs")), (true, false));
    }

    #[test]
    fn of_several_fields_of_one_name_the_last_counts() {
        let mut fields = Fields::salvage(br#"{"id": "p1", "id": "p2"}"#).expect("an object");
        assert_eq!(fields.take::<String>("id").as_deref(), Some("p2"));
    }

    proptest! {
        #[test]
        fn what_is_json_already_means_the_same_mended(text in ".*", number in -1e9..1e9f64) {
            let value = json!({"a": [text, number, null, true], text.clone(): {}});
            let sent = value.to_string();
            prop_assert_eq!(serde_json::from_slice::<Value>(&mended(sent.as_bytes())).expect("JSON"), value);
        }

        #[test]
        fn any_bytes_in_a_string_can_be_mended(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let inner: Vec<u8> = bytes.into_iter().filter(|byte| *byte != b'"' && *byte != b'\\').collect();
            let sent = [b"\"", &inner[..], b"\""].concat();
            prop_assert!(serde_json::from_slice::<String>(&mended(&sent)).is_ok());
        }
    }
}
