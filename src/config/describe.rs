//! The effective configuration for people: YAML with the source of each value beside it.

use super::Setting;

/// The settings as nested YAML. They come grouped by section.
pub(super) fn as_yaml(settings: &[Setting]) -> String {
    let mut yaml = String::new();
    let mut open: Vec<&str> = Vec::new();
    for setting in settings {
        let (sections, name) = split(&setting.key);
        let common = open.iter().zip(&sections).take_while(|(a, b)| a == b).count();
        for (depth, section) in sections.iter().enumerate().skip(common) {
            yaml += &format!("{}{section}:\n", indent(depth));
        }
        let indent = indent(sections.len());
        yaml += &format!("{indent}{name}: {}  # {}\n", setting.value, setting.source);
        open = sections;
    }
    yaml
}

fn split(key: &str) -> (Vec<&str>, &str) {
    let (sections, name) = key.rsplit_once('.').unwrap_or(("", key));
    (sections.split('.').filter(|section| !section.is_empty()).collect(), name)
}

fn indent(depth: usize) -> String {
    "  ".repeat(depth)
}
