//! A line as the rules of phases see it: its words in lower case, and nothing else.

/// How much of a line is looked at, in bytes. What is being done stands at its start; what follows
/// is dumps, paths and lines glued on.
const HEAD_LENGTH: usize = 320;

/// The start of a line in lower case with everything masked that is no word: identifiers, options
/// and paths become `~`, numbers and dates `0`, fractions `0/0`.
pub(in super::super) fn plain_words(line: &[u8]) -> Vec<u8> {
    let head = &line[..line.len().min(HEAD_LENGTH)];
    let narrow;
    let head = if head.is_ascii() {
        head
    } else {
        narrow = with_narrow_punctuation(head);
        narrow.as_slice()
    };
    let mut words = Vec::with_capacity(head.len());
    let mut rest = head;
    while let Some(&byte) = rest.first() {
        if is_separator(byte) {
            // One blank is as good as many, and keeps the rules readable.
            if byte != b' ' || words.last() != Some(&b' ') {
                words.push(if byte == b'\t' { b' ' } else { byte });
            }
            rest = &rest[1..];
            continue;
        }
        let length = rest.iter().position(|&byte| is_separator(byte)).unwrap_or(rest.len());
        push_masked(&rest[..length], &mut words);
        rest = &rest[length..];
    }
    words
}

/// The same with the punctuation of Chinese, Japanese and Korean as that of ASCII.
fn with_narrow_punctuation(text: &[u8]) -> Vec<u8> {
    const WIDE: [(&str, char); 6] =
        [("：", ':'), ("，", ','), ("（", '('), ("）", ')'), ("、", ','), ("。", ' ')];
    let text = String::from_utf8_lossy(text);
    let narrowed = WIDE
        .iter()
        .fold(text.into_owned(), |text, (wide, narrow)| text.replace(wide, &narrow.to_string()));
    narrowed.into_bytes()
}

fn is_separator(byte: u8) -> bool {
    matches!(
        byte,
        b' ' | b'\t'
            | b':'
            | b'|'
            | b','
            | b';'
            | b'('
            | b')'
            | b'['
            | b']'
            | b'{'
            | b'}'
            | b'<'
            | b'>'
            | b'"'
            | b'\''
            | b'`'
            | b'!'
            | b'?'
            | b'*'
            | b'#'
    )
}

fn push_masked(token: &[u8], words: &mut Vec<u8>) {
    // Dots after a word are the end of a sentence, not a part of a name.
    let core_length = token.iter().rposition(|&byte| byte != b'.').map_or(0, |last| last + 1);
    let (core, dots) = token.split_at(core_length);
    let has = |wanted: u8| core.contains(&wanted);
    let is_number = core.iter().any(u8::is_ascii_digit)
        && core.iter().all(|&byte| {
            matches!(byte, b'0'..=b'9' | b'.' | b'/' | b'%' | b'+' | b'-' | b'e' | b'E')
        });
    let is_lone_sign = core.len() == 1 && !core[0].is_ascii_alphanumeric();
    if is_number {
        words.extend_from_slice(if has(b'/') { b"0/0" } else { b"0" });
    } else if is_lone_sign || !core.iter().any(u8::is_ascii_alphabetic) {
        push_in_lower_case(core, words);
    } else if let [name @ .., b'/'] = core
        && name.iter().all(u8::is_ascii_alphabetic)
    {
        // The head of a group of metrics.
        push_in_lower_case(core, words);
    } else if core
        .iter()
        .any(|byte| matches!(byte, b'_' | b'/' | b'\\' | b'=' | b'@' | b'.' | b'0'..=b'9'))
        || core.starts_with(b"--")
    {
        words.push(b'~');
    } else {
        push_in_lower_case(core, words);
    }
    words.extend_from_slice(dots);
}

fn push_in_lower_case(word: &[u8], words: &mut Vec<u8>) {
    match std::str::from_utf8(word) {
        Ok(text) if !text.is_ascii() => words.extend_from_slice(text.to_lowercase().as_bytes()),
        _ => words.extend(word.iter().map(u8::to_ascii_lowercase)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> String {
        String::from_utf8(plain_words(line.as_bytes())).unwrap()
    }

    #[test]
    fn only_words_are_left_of_paths_options_and_numbers() {
        assert_eq!(words("Saving  to out/checkpoint-500: 12.5%"), "saving to ~: 0");
        assert_eq!(
            words("lr_warmup_steps=100, --validation-steps step 3/10..."),
            "~, ~ step 0/0..."
        );
    }

    #[test]
    fn words_of_other_alphabets_are_in_lower_case_too() {
        assert_eq!(words("Обучение: Эпоха 3/10"), "обучение: эпоха 0/0");
        assert_eq!(words("Début de l'entraînement"), "début de l'entraînement");
    }
}
