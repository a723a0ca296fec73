//! What the command line, the environment and the configuration file say together.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::address::HubAddress;
use super::arguments::Arguments;
use super::duration;
use super::exit::{Exit, Failure};
use super::secret::{Keys, Secret};
use crate::limits::DEFAULT_PORT;
use crate::names::Code;

/// How long to wait for an answer unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The same for an answer that another client is to give: longer than a hub waits for one by default.
const ASK_TIMEOUT: Duration = Duration::from_secs(15);

/// Where the hub is and how to talk to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// Where the hub is; the default until it is found, if nobody has said.
    pub(super) hub: HubAddress,
    /// Whether somebody has said where the hub is.
    pub(super) is_given: bool,
    /// Whether somebody has said on which port the hub is.
    pub(super) is_port_given: bool,
    /// Where to look for a hub if nobody has said.
    pub(super) port: u16,
    pub(super) tcp: bool,
    pub(super) code: Option<String>,
    /// Secrets of codes, if any were given.
    pub(super) keys: Option<Keys>,
    pub(super) timeout: Duration,
    /// For what another client answers.
    pub(super) ask_timeout: Duration,
}

/// The configuration file; everything in it may be left out.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    hub: Option<HubAddress>,
    #[serde(rename = "as")]
    code: Option<CodeText>,
    tcp: Option<bool>,
    timeout: Option<Timeout>,
    #[serde(rename = "key_file")]
    key: Option<PathBuf>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct CodeText(String);

impl TryFrom<String> for CodeText {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let ok = Code::parse(text.as_bytes()).is_some();
        if ok { Ok(Self(text)) } else { Err("a code is 1 to 64 letters, digits and . _ / -") }
    }
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Timeout(Duration);

impl TryFrom<String> for Timeout {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        duration::parse(&text).map(Self)
    }
}

impl Settings {
    /// The secret of a code, if one was given.
    pub(super) fn secret(&self, code: &str) -> Result<Option<&Secret>, Failure> {
        self.keys.as_ref().map(|keys| keys.secret(code)).transpose()
    }

    /// What the command line says, else the environment, else the file, else the defaults.
    pub(super) fn gather(arguments: &Arguments) -> Result<Self, Failure> {
        let file = match file_path() {
            Some(path) => read(&path)?,
            None => File::default(),
        };
        let hub = match arguments.hub.as_deref().filter(|hub| !hub.is_empty()) {
            Some(hub) => Some(HubAddress::parse(hub).map_err(|why| Failure::new(Exit::Usage, why))?),
            None => file.hub,
        };
        let port = arguments.port.unwrap_or(DEFAULT_PORT);
        let timeout = arguments.timeout.or(file.timeout.map(|timeout| timeout.0));
        let keys = keys(arguments.key_file.as_deref().map(Path::new), file.key.as_deref())?;
        let code = arguments.own_code.clone().or(file.code.map(|code| code.0));
        let only_code = || keys.as_ref().and_then(Keys::only_code).map(str::to_owned);
        Ok(Self {
            is_given: hub.is_some(),
            hub: hub.unwrap_or_default().or_port(port),
            is_port_given: arguments.port.is_some(),
            port,
            tcp: arguments.tcp || file.tcp.unwrap_or_default(),
            code: code.or_else(only_code),
            keys,
            timeout: timeout.unwrap_or(TIMEOUT),
            ask_timeout: timeout.unwrap_or(ASK_TIMEOUT),
        })
    }
}

/// Where a secret stands, if one is given: in a file that was named, else in the environment, else in the configured file.
fn keys(named: Option<&Path>, configured: Option<&Path>) -> Result<Option<Keys>, Failure> {
    if let Some(path) = named.filter(|path| !path.as_os_str().is_empty()) {
        return Keys::of_file(path).map(Some);
    }
    let variable = std::env::var_os("PIGEON_KEY").filter(|value| !value.is_empty());
    match (variable, configured) {
        (Some(text), _) => Keys::of_variable("PIGEON_KEY", &text.to_string_lossy()).map(Some),
        (None, Some(path)) => Keys::of_file(path).map(Some),
        (None, None) => Ok(None),
    }
}

fn file_path() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let config = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(config.join("pigeon").join("config.toml"))
}

fn read(path: &Path) -> Result<File, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(path, &text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(File::default()),
        Err(error) => Err(Failure::new(Exit::Config, format!("cannot read {}: {error}", path.display()))),
    }
}

fn parse(path: &Path, text: &str) -> Result<File, Failure> {
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let why = error.message().replace('\n', " ");
        Failure::new(Exit::Config, format!("{}:{line}:{column}: {why}", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_say_everything_or_nothing() {
        let file =
            parse(Path::new("c"), "hub = \"pi:99\"\nas = \"ann\"\ntcp = true\ntimeout = \"2s\"\n").unwrap();
        assert_eq!(file.hub, HubAddress::parse("pi:99").ok());
        assert_eq!(file.timeout, Some(Timeout(Duration::from_secs(2))));
        assert_eq!(parse(Path::new("c"), ""), Ok(File::default()));
    }

    #[test]
    fn a_bad_file_is_refused_with_its_position() {
        for (text, position) in [
            ("tcp = true\nhost = \"pi\"\n", "c:2:1: "),
            ("tcp = true\n\nhub = \"pi:x\"\n", "c:3:7: "),
            ("timeout = \"soon\"", "c:1:11: "),
            ("as = \"a b\"", "c:1:6: "),
            ("tcp = maybe", "c:1:7: "),
        ] {
            let failure = parse(Path::new("c"), text).expect_err(text);
            assert!(failure.message.starts_with(position), "{}", failure.message);
            assert_eq!(failure.exit, Exit::Config);
        }
    }
}
