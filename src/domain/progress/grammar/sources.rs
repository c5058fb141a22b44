//! Where a line comes from, where the logs of several programs are mixed.

/// The container that `docker compose` names before a line, `trainer-1  | Step 5`: its name with the number.
pub(in super::super) fn prefix(line: &[u8]) -> Option<&[u8]> {
    let end = line.iter().position(|byte| *byte == b' ')?;
    let (name, rest) = line.split_at(end);
    let is_name = name.first().is_some_and(u8::is_ascii_alphabetic);
    let is_numbered =
        is_name && name.last().is_some_and(u8::is_ascii_digit) && name.contains(&b'-');
    (is_numbered && rest.trim_ascii_start().starts_with(b"| ")).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_names_of_containers_are_sources() {
        assert_eq!(prefix(b"trainer-1  | Step 5"), Some(b"trainer-1".as_slice()));
        assert_eq!(prefix(b"trainer  | Step 5"), None);
        assert_eq!(prefix(b"2026-03-01 10:00:00 | Step 5"), None);
    }
}
