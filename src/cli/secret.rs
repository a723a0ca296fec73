//! A code's secret, as `pigeon key new` prints it: made, kept in a file or the environment, and never shown again.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::Deserialize;

use super::exit::{Exit, Failure, complain};
use super::session_name::random;
use crate::names::Code;

/// The fewest hexadecimal digits of a secret: 128 bits, beyond guessing.
const LEAST_DIGITS: usize = 32;

/// The longest file that is read: thousands of keys.
const FILE_BYTES: u64 = 1024 * 1024;

/// Hexadecimal digits that only a client and its hub know.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl TryFrom<String> for Secret {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_secret = text.len() >= LEAST_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_secret { Ok(Self(text)) } else { Err("a secret is 32 hexadecimal digits or more") }
    }
}

impl Secret {
    /// A new one, of 256 bits from the system's source of chance.
    pub(super) fn new() -> Result<Self, Failure> {
        let halves = random::<32>()?.into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
        Ok(Self(halves.filter_map(|half| char::from_digit(half.into(), 16)).collect()))
    }

    /// What the proofs are made with.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The digits, for the one who asked for a new secret.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

/// The secrets that this program may use, and where they stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Keys {
    secrets: Secrets,
    /// For messages.
    source: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Secrets {
    /// Whatever the code is.
    Any(Secret),
    OfCodes(BTreeMap<String, Secret>),
}

/// A keys file, of which only the secrets are of interest here.
#[derive(Deserialize)]
struct Table {
    #[serde(default)]
    code: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    secret: Secret,
}

impl Keys {
    /// Reads a file that holds a secret, or tables of codes as the hub's file does.
    pub(super) fn of_file(path: &Path) -> Result<Self, Failure> {
        let shown = path.display().to_string();
        let cannot = |error| Failure::new(Exit::Config, format!("cannot read the key file {shown}: {error}"));
        let file = File::open(path).map_err(cannot)?;
        let metadata = file.metadata().map_err(cannot)?;
        if metadata.is_file() && metadata.mode() & 0o007 != 0 {
            complain(&format!("everybody here may read the key file {shown}; write: chmod o-rwx {shown}"));
        }
        let mut text = String::new();
        file.take(FILE_BYTES).read_to_string(&mut text).map_err(cannot)?;
        Self::parse(&text, &shown)
    }

    /// The secret that stands in an environment variable.
    pub(super) fn of_variable(name: &str, text: &str) -> Result<Self, Failure> {
        Self::parse(text, name)
    }

    fn parse(text: &str, source: &str) -> Result<Self, Failure> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let secrets = match (lines.next(), lines.next()) {
            (Some(line), None) => {
                let why =
                    |why| Failure::new(Exit::Config, format!("{source}: {why}; `pigeon key new` makes one"));
                Secrets::Any(line.to_owned().try_into().map_err(why)?)
            }
            (Some(_) | None, _) => Secrets::OfCodes(parse_tables(text, source)?),
        };
        Ok(Self { secrets, source: source.to_owned() })
    }

    /// The code that the key can only be for.
    pub(super) fn only_code(&self) -> Option<&str> {
        let Secrets::OfCodes(secrets) = &self.secrets else { return None };
        let mut codes = secrets.keys();
        codes.next().filter(|_| codes.next().is_none()).map(String::as_str)
    }

    /// The secret of a code.
    pub(super) fn secret(&self, code: &str) -> Result<&Secret, Failure> {
        match &self.secrets {
            Secrets::Any(secret) => Ok(secret),
            Secrets::OfCodes(secrets) => secrets.get(code).ok_or_else(|| {
                let codes: Vec<&str> = secrets.keys().map(String::as_str).collect();
                let why = format!("{} has no secret for {code}, only for: {}", self.source, codes.join(", "));
                Failure::new(Exit::Config, why)
            }),
        }
    }
}

/// What is wrong is told without a word of the text, which may be a secret.
fn parse_tables(text: &str, source: &str) -> Result<BTreeMap<String, Secret>, Failure> {
    let right = "it holds a secret alone, or a table [code.NAME] with `secret = \"...\"` of 32 hexadecimal digits or more, \
                 as `pigeon key new` prints it";
    let wrong = |at: String| Failure::new(Exit::Config, format!("{source}{at} is no key; {right}"));
    let table: Table = toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        wrong(format!(":{}", before.matches('\n').count() + 1))
    })?;
    let is_code = |code: &String| Code::parse(code.as_bytes()).is_some();
    if table.code.is_empty() || !table.code.keys().all(is_code) {
        return Err(wrong(String::new()));
    }
    Ok(table.code.into_iter().map(|(code, entry)| (code, entry.secret)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "00112233445566778899aabbccddeeff";

    #[test]
    fn a_key_is_a_secret_alone_or_the_tables_of_codes() {
        let secret = Secret(SECRET.to_owned());
        for text in [SECRET.to_owned(), format!("# mine\n\n {SECRET} \n")] {
            let keys = Keys::parse(&text, "f").unwrap();
            assert_eq!((keys.secret("ann"), keys.only_code()), (Ok(&secret), None));
        }
        let one = format!("# c\n[code.\"a/b\"]\nsecret = \"{SECRET}\"\nallow_set = [\"a/*\"]\n");
        let keys = Keys::parse(&one, "f").unwrap();
        assert_eq!((keys.secret("a/b"), keys.only_code()), (Ok(&secret), Some("a/b")));
        let refusal = keys.secret("ann").unwrap_err();
        assert!(refusal.exit == Exit::Config && refusal.message.contains("for ann, only for: a/b"));
        let two = format!("{one}[code.ann]\nsecret = \"{SECRET}\"\n[others]\nallow_set = []\n");
        let keys = Keys::parse(&two, "f").unwrap();
        assert_eq!((keys.secret("ann"), keys.only_code()), (Ok(&secret), None));
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_shown() {
        let short = &SECRET[1..];
        for (text, position) in [
            (String::new(), "f is"),
            (short.to_owned(), "f: "),
            (format!("{SECRET}\n{SECRET}\n"), "f:1 "),
            (format!("[code.a]\nsecret = \"{short}\"\n"), "f:2 "),
            (format!("[code.a]\nsecret = {short}\n"), "f:2 "),
            (format!("[code.a.b]\nsecret = \"{SECRET}\"\n"), "f:1 "),
            (format!("[code.\"a b\"]\nsecret = \"{SECRET}\"\n"), "f is"),
            (format!("[codes.a]\nsecret = \"{SECRET}\"\n"), "f is"),
        ] {
            let refusal = Keys::parse(&text, "f").unwrap_err();
            assert_eq!(refusal.exit, Exit::Config);
            assert!(refusal.message.starts_with(position), "{text}: {}", refusal.message);
            assert!(refusal.message.contains("pigeon key new"), "{}", refusal.message);
            assert!(!refusal.message.contains("2233"), "{}", refusal.message);
        }
    }

    #[test]
    fn a_new_secret_is_one_and_another_each_time_and_debug_does_not_show_it() {
        let (one, two) = (Secret::new().unwrap(), Secret::new().unwrap());
        assert_ne!(one, two);
        assert_eq!((one.reveal().len(), Secret::try_from(one.reveal().to_owned())), (64, Ok(one.clone())));
        let keys = Keys { secrets: Secrets::Any(one.clone()), source: "f".to_owned() };
        assert!(!format!("{one:?} {keys:?}").contains(&one.reveal()[..8]));
    }
}
