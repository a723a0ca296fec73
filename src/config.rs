//! The configuration: TOML in, checked settings out, or all that is wrong with it at once.
//!
//! Nothing here reads a file, the environment or a clock: the daemon hands in text and names. There is no falling
//! back: one finding, and there is no [`Config`].

mod duration;
mod finding;
mod keys;
mod print;
pub mod ranges;
mod read;
mod section;
mod settings;
mod value;

pub use duration::{format_duration, parse_duration};
pub use finding::{Finding, Findings};
pub use keys::parse_keys;
use serde::Serialize;
pub use settings::{
    Access, Broadcast, Clients, Directory, Guests, Level, Limits, Listen, Log, State, Sync, Text,
};

/// The configuration file that is shipped: every setting with its default and a word on it.
pub const DEFAULT_TOML: &str = include_str!("../config/pigeond.toml");

/// Every setting, checked. The default holds the built-in defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Config {
    /// Where the hub listens.
    pub listen: Listen,
    /// Who may join and for how long.
    pub clients: Clients,
    /// What plain text is answered with.
    pub text: Text,
    /// What keeps one client from taking everything.
    pub limits: Limits,
    /// How the hub is found on the LAN.
    pub broadcast: Broadcast,
    /// What outlives a restart.
    pub state: State,
    /// Who may ask what.
    pub access: Access,
    /// What is logged.
    pub log: Log,
}

impl Config {
    /// Reads one file; what it does not set keeps its default.
    ///
    /// # Errors
    ///
    /// All that is wrong with it, if anything is. Findings name the file as `file_name`.
    pub fn parse(toml: &str, file_name: &str) -> Result<Self, Findings> {
        Self::parse_all(&[(file_name, toml)])
    }

    /// Reads several files, each with its name first. For each setting the last file that sets it wins: its value
    /// takes the place of the earlier one as a whole, also where it is a list or a table. What must hold between
    /// settings must hold for the outcome.
    ///
    /// # Errors
    ///
    /// All that is wrong with any of the files: a value that a later file replaces is checked too.
    pub fn parse_all(files: &[(&str, &str)]) -> Result<Self, Findings> {
        Self::parse_with(files, false)
    }

    /// The same where keys may be `given` in another way than by `access.keys_file`.
    ///
    /// # Errors
    ///
    /// As [`Self::parse_all`].
    pub fn parse_with(files: &[(&str, &str)], given: bool) -> Result<Self, Findings> {
        let mut config = Self::default();
        let mut reading = section::Reading::default();
        for (name, text) in files {
            reading.file(name, text, |file| read::file(file, &mut config));
        }
        read::relations(&mut reading, &config, given);
        reading.findings(files).map_or(Ok(config), Err)
    }

    /// The settings as TOML, which parses back to the same settings if they came from [`Config::parse`].
    #[must_use]
    pub fn to_toml(&self) -> String {
        // Only numbers beyond i64 cannot be written, and no range permits them.
        toml::to_string(self).unwrap_or_else(|error| format!("# These settings cannot be written: {error}\n"))
    }
}

#[cfg(test)]
mod tests;
