//! Any text is a configuration or a list of what is wrong with it; a configuration prints as one that reads the same.

use pigeond::config::{Config, Findings, parse_keys};

/// What stands between two files in one input.
const NEXT_FILE: &str = "\n----\n";

/// Files that one input holds at most.
const FILES: usize = 4;

/// Checks one input; panics if something is wrong.
pub fn check(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let files: Vec<(&str, &str)> =
        ["a.toml", "b.toml", "c.toml", "d.toml"].into_iter().zip(text.splitn(FILES, NEXT_FILE)).collect();
    match Config::parse_all(&files) {
        Ok(config) => {
            let printed = config.to_toml();
            let again = Config::parse(&printed, "printed").unwrap_or_else(|findings| {
                panic!("what was printed is no configuration: {findings}\n{printed}")
            });
            assert_eq!(again, config, "{printed}");
            assert_eq!(again.to_toml(), printed);
        }
        Err(findings) => {
            assert!(!findings.as_slice().is_empty());
            findings_have_places(&findings, &files);
        }
    }
    if let Err(findings) = parse_keys(text, "keys.toml") {
        findings_have_places(&findings, &[("keys.toml", text)]);
        no_finding_holds_a_secret(&findings, text);
    }
}

fn findings_have_places(findings: &Findings, files: &[(&str, &str)]) {
    for finding in findings.as_slice() {
        let (_, text) = files.iter().find(|(name, _)| *name == finding.file).expect("one of the files");
        // The last line of a file may be empty, and a column may lie behind the last character.
        let line = text.split('\n').nth(finding.line.checked_sub(1).expect("lines begin at 1"));
        let length = line.expect("a line of the file").chars().count();
        assert!((1..=length + 1).contains(&finding.column), "{finding}");
        assert!(!finding.message.is_empty() && !finding.message.contains(char::is_control), "{finding}");
    }
}

/// What stands where a secret should is shown to nobody, as long as it stands nowhere else.
fn no_finding_holds_a_secret(findings: &Findings, text: &str) {
    for secret in text.split("secret = \"").skip(1).filter_map(|rest| rest.split('"').next()) {
        let is_secret = secret.len() >= 8 && secret.bytes().all(|b| b.is_ascii_alphanumeric());
        if is_secret && text.matches(secret).count() == 1 {
            assert!(!findings.to_string().contains(secret), "{findings}");
        }
    }
}
