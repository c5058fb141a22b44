//! Recognises a log that merely grew, by a little of what was seen of it before.

/// How many bytes at the start and at the end are kept. Both are needed: a rewritten log may agree in
/// either.
const FINGERPRINT_BYTES: usize = 4 * 1024;

/// What a log is, compared with what was seen of it before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended<'a> {
    /// What it was, but perhaps for its trailing blanks, or empty: a log that the provider deleted says
    /// nothing.
    Nothing,
    /// What it was, and this.
    Bytes(&'a [u8]),
    /// Another one.
    Rewritten,
}

/// What is kept of a log to recognise it: 8 KiB at most.
#[derive(Debug, Clone, Default)]
pub struct GrowingLog {
    head: Vec<u8>,
    tail: Vec<u8>,
    bytes: u64,
}

impl GrowingLog {
    /// How many bytes were seen.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Compares the whole log as it is now with what was seen.
    pub fn compare<'a>(&self, whole_log: &'a [u8]) -> Appended<'a> {
        if whole_log.is_empty() || self.is_same_but_for_blanks(whole_log) {
            return Appended::Nothing;
        }
        self.beyond(whole_log).map_or(Appended::Rewritten, Appended::Bytes)
    }

    /// Remembers bytes that were appended.
    pub fn append(&mut self, appended: &[u8]) {
        let missing = FINGERPRINT_BYTES.saturating_sub(self.head.len()).min(appended.len());
        self.head.extend_from_slice(&appended[..missing]);
        let newest = &appended[appended.len().saturating_sub(FINGERPRINT_BYTES)..];
        let surplus = (self.tail.len() + newest.len()).saturating_sub(FINGERPRINT_BYTES);
        self.tail.drain(..surplus);
        self.tail.extend_from_slice(newest);
        self.bytes += appended.len() as u64;
    }

    /// What `whole_log` has beyond the bytes that were seen, if it begins with them.
    fn beyond<'a>(&self, whole_log: &'a [u8]) -> Option<&'a [u8]> {
        let known = usize::try_from(self.bytes).ok()?;
        let (before, appended) = whole_log.split_at_checked(known)?;
        (before.starts_with(&self.head) && before.ends_with(&self.tail)).then_some(appended)
    }

    /// Archived logs lose their last newline; that is no other log.
    fn is_same_but_for_blanks(&self, whole_log: &[u8]) -> bool {
        let Some(lost) =
            usize::try_from(self.bytes).ok().and_then(|known| known.checked_sub(whole_log.len()))
        else {
            return false;
        };
        let Some((kept, blanks)) =
            self.tail.len().checked_sub(lost).and_then(|at| self.tail.split_at_checked(at))
        else {
            return false;
        };
        let head = &self.head[..self.head.len().min(whole_log.len())];
        blanks.iter().all(u8::is_ascii_whitespace)
            && whole_log.starts_with(head)
            && whole_log.ends_with(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seen(log: &[u8]) -> GrowingLog {
        let mut growing = GrowingLog::default();
        growing.append(log);
        growing
    }

    #[test]
    fn a_log_that_lost_its_last_newline_is_the_same() {
        let known = seen(b"one\ntwo\n");
        assert_eq!(known.compare(b"one\ntwo"), Appended::Nothing);
        assert_eq!(known.compare(b""), Appended::Nothing);
        assert_eq!(known.compare(b"one\ntwo\n"), Appended::Nothing);
    }

    #[test]
    fn a_log_that_became_shorter_or_other_is_rewritten() {
        let known = seen(b"one\ntwo\n");
        for other in [&b"one\ntw"[..], b"one\n", b"six\ntwo\n", b"one\nsix\nmore\n"] {
            assert_eq!(known.compare(other), Appended::Rewritten);
        }
    }

    #[test]
    fn a_long_log_must_agree_at_its_start_and_at_its_end() {
        let long: Vec<u8> = (0..20_000_u32).map(|at| b'a' + (at % 23) as u8).collect();
        let known = seen(&long);
        let with = |changed: usize| {
            let mut other = [&long[..], b"more"].concat();
            other[changed] = b'!';
            other
        };
        assert_eq!(known.compare(&[&long[..], b"more"].concat()), Appended::Bytes(b"more"));
        assert_eq!(known.compare(&with(0)), Appended::Rewritten);
        assert_eq!(known.compare(&with(19_999)), Appended::Rewritten);
    }

    proptest! {
        #[test]
        fn what_was_appended_is_what_is_beyond(
            log in proptest::collection::vec(any::<u8>(), 1..20_000),
            more in proptest::collection::vec(any::<u8>(), 1..100),
            cut in any::<proptest::sample::Index>(),
        ) {
            let (first, second) = log.split_at(cut.index(log.len() + 1));
            let mut known = seen(first);
            known.append(second);
            let whole = [&log[..], &more].concat();
            prop_assert_eq!(known.compare(&whole), Appended::Bytes(&more));
            prop_assert_eq!(known.bytes(), log.len() as u64);
        }
    }
}
