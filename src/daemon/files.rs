//! Reads the configuration and turns it into what the hub wants.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::{self, Config, Findings};
use crate::hub::Settings;
use crate::limits::HUB_NAME_BYTES;

/// Read if it is there and no other file was named.
const DEFAULT_FILE: &str = "/etc/pigeond/pigeond.toml";

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The file cannot be read.
    #[error("{}: cannot be read: {error}", file.display())]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file is not a good configuration.
    #[error("{0}")]
    Findings(Findings),
}

/// Reads the configuration: the file that was named, or the usual one if it is there, or built-in defaults.
pub(super) fn read(named: Option<&Path>) -> Result<Config, Error> {
    let file = named.unwrap_or(Path::new(DEFAULT_FILE));
    match fs::read_to_string(file) {
        Ok(text) => Config::parse(&text, &file.display().to_string()).map_err(Error::Findings),
        Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => Ok(Config::default()),
        Err(error) => Err(Error::Unreadable { file: file.to_owned(), error }),
    }
}

/// What the hub wants to know of the configuration. Its own addresses and its port are known only once its
/// sockets are bound.
pub(super) fn settings(config: &Config) -> Settings {
    let Config { clients, text, limits, access, broadcast, .. } = config;
    Settings {
        name: if broadcast.name.is_empty() { host_name() } else { broadcast.name.clone() },
        version: env!("CARGO_PKG_VERSION"),
        port: config.listen.port,
        own: Vec::new(),
        clients_limit: clients.limit,
        clients_idle: clients.idle,
        text_reply: text.reply.clone(),
        text_quiet: text.quiet,
        text_greeting: text.greeting.clone(),
        text_answers: text.answers.clone(),
        max_message_bytes: limits.max_message_bytes,
        tcp_connections: limits.tcp_connections,
        tcp_connections_per_address: limits.tcp_connections_per_address,
        text_per_second: limits.text_per_second,
        unread_bytes: limits.unread_bytes,
        guest_idle: limits.guest_idle,
        values: limits.values,
        value_bytes: limits.value_bytes,
        per_client_values: limits.per_client_values,
        watches_per_client: limits.watches_per_client,
        sessions: limits.sessions,
        sessions_per_address: limits.sessions_per_address,
        session_idle: limits.session_idle,
        ask_timeout: limits.ask_timeout,
        mailbox: clients.mailbox,
        mailboxes: limits.mailboxes,
        mailboxes_per_address: limits.mailboxes_per_address,
        networks: access.networks.clone(),
        guests: match &access.guests {
            config::Guests::All => None,
            config::Guests::Only(words) => Some(words.clone()),
        },
    }
}

/// The host's own name, as far as the protocol can carry it.
fn host_name() -> String {
    let name = nix::unistd::gethostname().unwrap_or_default();
    let name = name.to_string_lossy();
    let short = name.split('.').next().unwrap_or_default();
    let name: String = short
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        .take(HUB_NAME_BYTES)
        .collect();
    if name.is_empty() { "pigeond".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_defaults_are_the_hubs_own() {
        let settings = settings(&Config::default());
        assert_eq!(settings, Settings { name: settings.name.clone(), ..Settings::default() });
    }

    #[test]
    fn a_named_file_must_be_there() {
        let error = read(Some(Path::new("/nonexistent/p.toml"))).unwrap_err();
        assert!(
            error.to_string().starts_with("/nonexistent/p.toml: cannot be read: No such file"),
            "{error}"
        );
    }
}
