//! Every setting, with its default and what the shipped file says of it.

use pigeond::config::DEFAULT_TOML;

use super::roff::{Page, code};

/// Every section of the shipped file, and every setting in it.
pub fn write(page: &mut Page) {
    let (_, sections) = DEFAULT_TOML.split_once("\n\n").expect("a head");
    let mut comment: Vec<&str> = Vec::new();
    let mut count = 0;
    for line in sections.lines() {
        if line.starts_with('[') {
            page.subsection(line);
        } else if let Some((key, value)) = setting(line) {
            let value = code(value);
            let tag = if line.starts_with('#') {
                format!("\\fB{}\\fR (not set; as in \\fB{value}\\fR)", code(key))
            } else {
                format!("\\fB{}\\fR = \\fB{value}\\fR", code(key))
            };
            page.tagged_roff(&tag, &[&comment.join(" ")]);
            comment.clear();
            count += 1;
        } else if let Some(text) = line.strip_prefix("# ") {
            comment.push(text);
        } else {
            assert!(line.is_empty() && comment.is_empty(), "no setting and no comment: {line}");
        }
    }
    let known: toml::Table = pigeond::config::Config::default().to_toml().parse().expect("TOML");
    let known: usize = known.values().filter_map(toml::Value::as_table).map(toml::Table::len).sum();
    assert_eq!(count, known + 1, "every setting and the one that is not set");
}

/// A setting and its value, also if it is commented out.
fn setting(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.strip_prefix("# ").unwrap_or(line).split_once(" = ")?;
    key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_').then_some((key, value))
}
