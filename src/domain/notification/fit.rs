//! Texts within the limits of the services that show them.

/// How the length of a text is counted.
#[derive(Debug, Clone, Copy)]
enum Measure {
    /// UTF-16 units, at least as many as characters by any other count: services do not say what they count.
    Units,
    /// Bytes of UTF-8.
    Bytes,
}

/// A limit on a text as it is sent, after escaping.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fit {
    limit: usize,
    measure: Measure,
}

impl Fit {
    /// A limit in characters.
    pub(super) fn in_units(limit: usize) -> Self {
        Self { limit, measure: Measure::Units }
    }

    /// A limit in bytes.
    pub(super) fn in_bytes(limit: usize) -> Self {
        Self { limit, measure: Measure::Bytes }
    }

    /// The text with each character that `mark` knows replaced by its mark, cut with `…` where that is longer
    /// than the limit. No character and no mark is cut in two.
    pub(super) fn fit(self, text: &str, mark: impl Fn(char) -> Option<&'static str>) -> String {
        let mut fitting = String::new();
        let mut length = 0;
        // Up to where the cut would leave room for its sign.
        let mut cut_at = 0;
        let sign = self.length_of("…");
        for c in text.chars() {
            let mut buffer = [0; 4];
            let shown = mark(c).unwrap_or_else(|| c.encode_utf8(&mut buffer));
            length += self.length_of(shown);
            if length > self.limit {
                fitting.truncate(cut_at);
                if sign <= self.limit {
                    fitting.push('…');
                }
                return fitting;
            }
            fitting.push_str(shown);
            if length + sign <= self.limit {
                cut_at = fitting.len();
            }
        }
        fitting
    }

    fn length_of(self, text: &str) -> usize {
        match self.measure {
            Measure::Units => units(text),
            Measure::Bytes => text.len(),
        }
    }
}

/// The whole text with each character that `mark` knows replaced by its mark.
pub(super) fn escaped(text: &str, mark: impl Fn(char) -> Option<&'static str>) -> String {
    Fit::in_bytes(usize::MAX).fit(text, mark)
}

/// How long a text is at most, by whatever a service counts as a character.
pub(super) fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_whole_and_what_does_not_ends_in_a_sign() {
        let ampersand = |c| (c == '&').then_some("&amp;");
        for (limit, text, expected) in [
            (3, "abc", "abc"),
            (3, "abcd", "ab…"),
            (6, "&a", "&amp;a"),
            (6, "&&", "&amp;…"),
            (5, "&&", "…"),
            (1, "ab", "…"),
            (0, "ab", ""),
            (3, "😀😀", "😀…"),
        ] {
            assert_eq!(Fit::in_units(limit).fit(text, ampersand), expected, "{limit} {text}");
        }
        assert_eq!(Fit::in_bytes(4).fit("ééé", |_| None), "…");
        assert_eq!(Fit::in_bytes(5).fit("ééé", |_| None), "é…");
    }
}
