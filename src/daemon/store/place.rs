//! Where the state is kept if nobody says so.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::config::{Directory, State};

/// The directory for the state; `None` if all is to be kept in memory, or if there is no place for it, which
/// gives a warning. `environment` is asked for variables.
pub(in crate::daemon) fn directory(
    config: &State,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Option<PathBuf> {
    match &config.directory {
        Directory::At(path) => Some(path.clone()),
        Directory::Memory => None,
        Directory::Automatic => {
            let found = automatic(environment);
            if found.is_none() {
                tracing::warn!(
                    "there is no place for the state: all is kept in memory and ends with the hub; \
                     set [state] directory to a path, or to \"\" if that is wanted"
                );
            }
            found
        }
    }
}

/// systemd's own place for the service, else the user's place for state.
fn automatic(environment: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    // A variable that is empty or no absolute path counts as not set.
    let path = |name| environment(name).map(PathBuf::from).filter(|path| path.is_absolute());
    // systemd lists several, separated by colons, if the service is given several.
    let first = environment("STATE_DIRECTORY").and_then(|list| {
        let first = std::env::split_paths(&list).next()?;
        first.is_absolute().then_some(first)
    });
    first
        .or_else(|| Some(path("XDG_STATE_HOME")?.join("pigeond")))
        .or_else(|| Some(path("HOME")?.join(Path::new(".local/state/pigeond"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(directory: Directory, variables: &[(&str, &str)]) -> Option<PathBuf> {
        let config = State { directory, ..State::default() };
        super::directory(&config, |name| {
            let variable = variables.iter().find(|(known, _)| *known == name);
            variable.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn what_is_set_counts_before_every_variable() {
        let variables = [("STATE_DIRECTORY", "/var/lib/pigeond"), ("HOME", "/home/pi")];
        assert_eq!(found(Directory::At("/srv/state".into()), &variables), Some("/srv/state".into()));
        assert_eq!(found(Directory::Memory, &variables), None);
    }

    #[test]
    fn systemd_counts_before_the_user_and_the_last_is_memory() {
        let all =
            [("STATE_DIRECTORY", "/var/lib/a:/var/lib/b"), ("XDG_STATE_HOME", "/x"), ("HOME", "/home/pi")];
        let expected = [Some("/var/lib/a"), Some("/x/pigeond"), Some("/home/pi/.local/state/pigeond"), None];
        for (skipped, expected) in expected.into_iter().enumerate() {
            assert_eq!(found(Directory::Automatic, &all[skipped..]), expected.map(PathBuf::from));
        }
    }

    #[test]
    fn a_variable_that_is_empty_or_relative_is_none() {
        let variables = [("STATE_DIRECTORY", ""), ("XDG_STATE_HOME", "state"), ("HOME", "/home/pi")];
        let expected = Some("/home/pi/.local/state/pigeond".into());
        assert_eq!(found(Directory::Automatic, &variables), expected);
        assert_eq!(found(Directory::Automatic, &variables[..2]), None);
    }
}
