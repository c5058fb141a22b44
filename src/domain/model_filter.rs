//! Which models' jobs are ours to track.

use std::fmt;

/// A set of patterns over `owner/name`, in which `*` stands for any characters but `/`.
///
/// The pattern `*` alone is every job, also one whose model is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFilter {
    patterns: Vec<Pattern>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Everything,
    Model { owner: String, name: String },
}

/// A text that is no pattern for models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidPattern;

impl fmt::Display for InvalidPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a pattern for models is `*` or `owner/name`")
    }
}

impl std::error::Error for InvalidPattern {}

impl ModelFilter {
    /// A filter that lets a model through if any of `patterns` matches it; none at all matches
    /// nothing.
    ///
    /// # Errors
    /// [`InvalidPattern`] if one of them is neither `*` nor `owner/name` in letters, digits, `.`,
    /// `_`, `-` and `*`.
    pub fn new<P: AsRef<str>>(patterns: &[P]) -> Result<Self, InvalidPattern> {
        let patterns = patterns.iter().map(|pattern| Pattern::parse(pattern.as_ref()));
        Ok(Self { patterns: patterns.collect::<Result<_, _>>()? })
    }

    /// A filter that lets everything through.
    pub fn everything() -> Self {
        Self { patterns: vec![Pattern::Everything] }
    }

    /// Whether a job of `model` (`owner/name`) is let through.
    pub fn matches(&self, model: Option<&str>) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(model))
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, InvalidPattern> {
        if text == "*" {
            return Ok(Self::Everything);
        }
        match text.split_once('/') {
            Some((owner, name)) if is_segment(owner) && is_segment(name) => {
                Ok(Self::Model { owner: owner.to_owned(), name: name.to_owned() })
            }
            _ => Err(InvalidPattern),
        }
    }

    fn matches(&self, model: Option<&str>) -> bool {
        match self {
            Self::Everything => true,
            Self::Model { owner, name } => model
                .and_then(|model| model.split_once('/'))
                .is_some_and(|(o, n)| segment_matches(owner, o) && segment_matches(name, n)),
        }
    }
}

fn is_segment(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-*".contains(c))
}

/// Whether `text` is `pattern`, each `*` of which stands for any characters.
fn segment_matches(pattern: &str, text: &str) -> bool {
    let Some((start, others)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut rest) = text.strip_prefix(start) else {
        return false;
    };
    let (middle, end) = others.rsplit_once('*').unwrap_or(("", others));
    // The leftmost place of each piece leaves the most to the pieces after it.
    for piece in middle.split('*') {
        let Some(at) = rest.find(piece) else {
            return false;
        };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(end)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("acme/flux", "acme/flux", true)]
    #[case("acme/flux", "acme/flux-dev", false)]
    #[case("acme/*", "acme/flux", true)]
    #[case("acme/*", "acme-labs/flux", false)]
    #[case("*/flux", "acme/flux", true)]
    #[case("*/*", "acme/flux", true)]
    #[case("acme/flux*", "acme/flux", true)]
    #[case("acme/*lora", "acme/flux-lora", true)]
    #[case("acme/*lora", "acme/flux-lora-2", false)]
    #[case("acme/f*x*o*", "acme/flux-lora", true)]
    #[case("acme/a*b*c", "acme/a-c-b", false)]
    #[case("acme/ab*ba", "acme/aba", false)]
    fn a_star_stands_for_any_characters_of_its_part(
        #[case] pattern: &str,
        #[case] model: &str,
        #[case] expected: bool,
    ) {
        let filter = ModelFilter::new(&[pattern]).expect("a pattern");
        assert_eq!(filter.matches(Some(model)), expected);
    }

    #[test]
    fn a_star_alone_matches_also_a_job_without_a_model() {
        let everything = ModelFilter::new(&["*"]).expect("a pattern");
        assert!(everything.matches(None));
        assert!(everything.matches(Some("acme/flux")));
    }

    #[test]
    fn a_job_without_a_model_is_not_of_a_named_owner() {
        let acme = ModelFilter::new(&["acme/*", "*/*"]).expect("patterns");
        assert!(!acme.matches(None));
        assert!(!acme.matches(Some("no-slash")));
    }

    #[test]
    fn one_matching_pattern_is_enough() {
        let two = ModelFilter::new(&["acme/flux", "other/*"]).expect("patterns");
        assert!(two.matches(Some("other/sdxl")));
        assert!(!two.matches(Some("acme/sdxl")));
    }

    #[rstest]
    #[case("")]
    #[case("flux")]
    #[case("acme/")]
    #[case("/flux")]
    #[case("acme/flux/dev")]
    #[case("acme/flux dev")]
    #[case("acme/[ab]")]
    fn what_is_not_an_owner_and_a_name_is_refused(#[case] pattern: &str) {
        assert_eq!(ModelFilter::new(&[pattern]), Err(InvalidPattern));
    }
}
