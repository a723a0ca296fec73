//! The keys file: TOML in, checked keys out, or all that is wrong with it at once. No finding holds a secret.

use core::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::finding::{self, Finding, Findings, Source};
use super::ranges::{ALLOWED, KEYS, SECRET_DIGITS};
use super::section::meant;
use crate::hub::{Allowed, CodeKey, Keys, Secret};
use crate::names::{Code, Pattern};

/// What a table may hold.
const OF_A_CODE: [&str; 3] = ["secret", "allow_set", "allow_watch"];
const OF_OTHERS: [&str; 2] = ["allow_set", "allow_watch"];
const TABLES: [&str; 2] = ["code", "others"];

/// Reads a keys file; findings name it as `file_name`.
///
/// # Errors
///
/// All that is wrong with it, if anything is.
pub fn parse_keys(toml: &str, file_name: &str) -> Result<Keys, Findings> {
    let (root, errors) = DeTable::parse_recoverable(toml);
    let mut reading = Reading { source: Source::new(file_name, toml), findings: Vec::new() };
    let mut keys = Keys::default();
    for error in &errors {
        reading.at(
            &error.span().unwrap_or(toml.len()..toml.len()),
            format!("not valid TOML: {}", error.message()),
        );
    }
    // What follows from a slip is not told beside it.
    if errors.is_empty() {
        reading.root(root.get_ref(), &mut keys);
    }
    finding::sort(&mut reading.findings, &[]);
    reading.findings.dedup();
    Findings::new(reading.findings).map_or(Ok(keys), Err)
}

struct Reading<'a> {
    source: Source<'a>,
    findings: Vec<Finding>,
}

impl Reading<'_> {
    fn at(&mut self, span: &Range<usize>, message: String) {
        self.findings.push(self.source.finding(span, message));
    }

    fn root(&mut self, root: &DeTable<'_>, keys: &mut Keys) {
        self.known("the file", root, &TABLES);
        if let Some(codes) = self.table(root, "code", "a table for each code, begun by a line [code.NAME]") {
            for (code, value) in codes {
                self.code(code, value, keys);
            }
            if keys.codes.len() > KEYS
                && let Some((first, _)) = codes.iter().next()
            {
                let (are, most) = (keys.codes.len(), KEYS);
                self.at(&first.span(), format!("there are {are} codes with a secret; there may be {most}"));
            }
        }
        if let Some(others) = self.table(root, "others", "a table, begun by a line [others]") {
            self.known("[others]", others, &OF_OTHERS);
            keys.others = Some(self.allowed("others", others));
        }
    }

    /// A table below the root, if it is there.
    fn table<'t, 'i>(&mut self, root: &'t DeTable<'i>, name: &str, right: &str) -> Option<&'t DeTable<'i>> {
        let (key, value) = root.get_key_value(name)?;
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.at(&key.span(), format!("`{name}` is {}; it must be {right}", kind(value.get_ref())));
        }
        table
    }

    fn code(
        &mut self,
        name: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
        keys: &mut Keys,
    ) {
        let code = name.get_ref().as_ref();
        let shown = quoted(code);
        if Code::parse(code.as_bytes()).is_none() {
            let right = "1 to 64 letters, digits and . _ / - characters (in quotes if it has . or /)";
            return self.at(&name.span(), format!("{shown} is no code; a code is {right}"));
        }
        let Some(table) = value.get_ref().as_table() else {
            let is = kind(value.get_ref());
            let right = "a table with its `secret`; quote a code with dots or slashes: [code.\"a/b\"]";
            return self.at(&name.span(), format!("code {shown} is {is}; it must be {right}"));
        };
        self.known(&format!("code {shown} (quoted if it has a dot)"), table, &OF_A_CODE);
        let secret = table.get("secret").and_then(|secret| self.secret(&shown, secret));
        if !table.contains_key("secret") {
            self.at(&name.span(), format!("code {shown} has no `secret`; {}", right_secret()));
        }
        let allowed = self.allowed(code, table);
        if let Some(secret) = secret {
            keys.codes.insert(code.into(), CodeKey { secret, allowed });
        }
    }

    fn secret(&mut self, shown: &str, value: &Spanned<DeValue<'_>>) -> Option<Secret> {
        let Some(text) = value.get_ref().as_str() else {
            let is = kind(value.get_ref());
            self.at(&value.span(), format!("the secret of {shown} is {is}; {}", right_secret()));
            return None;
        };
        if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            self.at(
                &value.span(),
                format!("the secret of {shown} holds what is no hexadecimal digit; {}", right_secret()),
            );
        } else if !SECRET_DIGITS.contains(&text.len()) {
            let has = text.len();
            self.at(&value.span(), format!("the secret of {shown} has {has} digits; {}", right_secret()));
        } else {
            return Some(Secret::new(text.as_bytes()));
        }
        None
    }

    fn allowed(&mut self, owner: &str, table: &DeTable<'_>) -> Allowed {
        let Allowed { set, watch } = Allowed::default();
        let set = self.patterns(owner, "allow_set", table).unwrap_or(set);
        let watch = self.patterns(owner, "allow_watch", table).unwrap_or(watch);
        Allowed { set, watch }
    }

    fn patterns(&mut self, owner: &str, name: &str, table: &DeTable<'_>) -> Option<Vec<Box<str>>> {
        let value = table.get(name)?;
        let right = "a list of patterns of keys such as [\"kitchen/*\"]";
        let Some(list) = value.get_ref().as_array() else {
            let (of, is) = (quoted(owner), kind(value.get_ref()));
            self.at(&value.span(), format!("`{name}` of {of} is {is}; it must be {right}"));
            return None;
        };
        if list.len() > ALLOWED {
            let (of, has) = (quoted(owner), list.len());
            self.at(&value.span(), format!("`{name}` of {of} has {has} patterns; it may have {ALLOWED}"));
        }
        let mut patterns = Vec::new();
        for element in list.as_ref() {
            let text = element.get_ref().as_str();
            if let Some(pattern) = text.and_then(|text| Pattern::parse(text.as_bytes())) {
                patterns.push(pattern.as_str().into());
            } else {
                let (of, is) =
                    (quoted(owner), text.map_or_else(|| kind(element.get_ref()).to_owned(), quoted));
                let right = "1 to 64 letters, digits and . _ / - * characters in quotes";
                self.at(&element.span(), format!("`{name}` of {of} holds {is}; a pattern is {right}"));
            }
        }
        Some(patterns)
    }

    /// Tells of what means nothing there.
    fn known(&mut self, place: &str, table: &DeTable<'_>, names: &[&'static str]) {
        for key in table.keys().filter(|key| !names.contains(&key.get_ref().as_ref())) {
            let name = key.get_ref();
            let advice = meant(name, names.iter().copied(), || format!("it may hold {}", names.join(", ")));
            self.at(&key.span(), format!("{place} holds the unknown {}{advice}", quoted(name)));
        }
    }
}

/// A name or text of the file, unless it may be a secret that was put in the wrong place.
fn quoted(text: &str) -> String {
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
    if digits >= *SECRET_DIGITS.start() {
        "(not shown: it may be a secret)".to_owned()
    } else {
        super::finding::quoted(text)
    }
}

fn right_secret() -> String {
    let (from, to) = (SECRET_DIGITS.start(), SECRET_DIGITS.end());
    format!("it must be {from} to {to} hexadecimal digits in quotes, which `pigeon key new` makes")
}

/// What a value is, without saying what it holds: it may be a secret in the wrong place.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "00112233445566778899aabbccddeeff";

    fn wrong(toml: &str) -> String {
        parse_keys(toml, "k").unwrap_err().to_string()
    }

    #[test]
    fn a_good_file_is_read_whole() {
        let toml = format!(
            "[code.kitchen]\nsecret = \"{SECRET}\"\nallow_set = [\"kitchen/*\", \"x\"]\n\
             [code.\"house/attic.2\"]\nsecret = \"{SECRET}\"\n[others]\nallow_set = []\n"
        );
        let keys = parse_keys(&toml, "k").unwrap();
        let allowed = |set: &[&str]| Allowed {
            set: set.iter().map(|&pattern| pattern.into()).collect(),
            ..Allowed::default()
        };
        let secret = Secret::new(SECRET.as_bytes());
        let expected = [
            ("kitchen", CodeKey { secret: secret.clone(), allowed: allowed(&["kitchen/*", "x"]) }),
            ("house/attic.2", CodeKey { secret, allowed: Allowed::default() }),
        ];
        assert_eq!(keys.codes, expected.into_iter().map(|(code, key)| (code.into(), key)).collect());
        assert_eq!(keys.others, Some(allowed(&[])));
        assert_eq!(parse_keys("", "k"), Ok(Keys::default()));
    }

    #[test]
    fn all_findings_are_told_at_their_places() {
        let toml = "[code.a]\nsecret = \"0011\"\nalow_set = []\n[code.\"b c\"]\n[code.d]\nsecret = 5\n\
                    allow_watch = \"*\"\n[code.e]\n[othes]\n[others]\nsecret = \"x\"\nallow_set = [\"a b\", 1]\n";
        let starts = [
            "k:2:10: the secret of \"a\" has 4 digits; it must be 32 to 128 hexadecimal digits",
            "k:3:1: code \"a\" (quoted if it has a dot) holds the unknown \"alow_set\"; did you mean `allow_set`?",
            "k:4:7: \"b c\" is no code;",
            "k:6:10: the secret of \"d\" is a number;",
            "k:7:15: `allow_watch` of \"d\" is a text;",
            "k:8:7: code \"e\" has no `secret`;",
            "k:9:2: the file holds the unknown \"othes\"; did you mean `others`?",
            "k:11:1: [others] holds the unknown \"secret\"",
            "k:12:14: `allow_set` of \"others\" holds \"a b\";",
            "k:12:21: `allow_set` of \"others\" holds a number;",
        ];
        let told = wrong(toml);
        assert_eq!(told.lines().count(), starts.len(), "{told}");
        for (line, start) in told.lines().zip(starts) {
            assert!(line.starts_with(start), "{line}\n{start}");
        }
        assert!(wrong("[code.a\n").starts_with("k:1:"));
        assert!(wrong("code = 5").starts_with("k:1:1: `code` is a number; it must be a table"));
    }

    #[test]
    fn bounds_hold_at_their_edges() {
        let with = |digits: usize| parse_keys(&format!("code.a.secret = \"{}\"", "0".repeat(digits)), "k");
        let (from, to) = (*SECRET_DIGITS.start(), *SECRET_DIGITS.end());
        assert!(with(from).is_ok() && with(to).is_ok() && with(from - 1).is_err() && with(to + 1).is_err());
        let with = |patterns: usize| {
            parse_keys(&format!("others.allow_set = [{}]", "\"a\",".repeat(patterns)), "k").is_ok()
        };
        assert!(with(ALLOWED) && !with(ALLOWED + 1));
        let with = |codes: usize| {
            let codes: Vec<_> = (0..codes).map(|n| format!("code.c{n}.secret = \"{SECRET}\"")).collect();
            parse_keys(&codes.join("\n"), "k").is_ok()
        };
        assert!(with(KEYS) && !with(KEYS + 1));
    }

    #[test]
    fn no_finding_holds_a_secret() {
        let secret = "5ec7e75ec7e75ec7e7";
        for toml in [
            format!("[code.a]\nsecret = \"{secret}\""),
            format!("[code.a]\nsecret = \"{secret}{secret}x\""),
            format!("[code.a]\nsecret = {secret}"),
            format!("[code.a]\nsecret = \"{secret}"),
            format!("[code]\na = \"{secret}\""),
            format!("code = \"{secret}\""),
            format!("[code.a]\nsecret = [\"{secret}\"]"),
            format!("others = \"{secret}\""),
        ] {
            let told = wrong(&toml);
            assert!(!told.contains("5ec7e7"), "{told}");
        }
    }
}
