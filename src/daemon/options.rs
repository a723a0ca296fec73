//! The daemon's command line.

use std::path::PathBuf;

/// What the daemon is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Run.
    Run,
    /// Say whether the configuration is good.
    CheckConfig,
    /// Print the settings that would be in force.
    PrintConfig,
    /// Print the version.
    Version,
    /// Print the usage.
    Help,
}

/// The options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    /// What to do.
    pub(super) task: Task,
    /// The configuration file, if one was named.
    pub(super) config: Option<PathBuf>,
}

/// How the daemon is called.
pub(super) const USAGE: &str = "\
pigeond: a hub that any plain UDP or TCP socket can talk to

usage: pigeond [--config FILE] [--check-config | --print-config | --version | --help]

  -c, --config FILE   read FILE; without it /etc/pigeond/pigeond.toml if there, else built-in defaults
      --check-config  say whether the configuration is good, and end
      --print-config  print the settings that would be in force, and end
  -V, --version       print the version, and end
  -h, --help          print this, and end

signals: SIGTERM and SIGINT end it cleanly, SIGHUP reads the configuration anew
";

impl Options {
    /// Reads the command line, without the program's name.
    ///
    /// # Errors
    ///
    /// A sentence about what was wrong with it.
    pub(super) fn parse(
        arguments: impl IntoIterator<Item = std::ffi::OsString>,
    ) -> Result<Self, lexopt::Error> {
        use lexopt::prelude::{Long, Short};
        let mut options = Self { task: Task::Run, config: None };
        let mut parser = lexopt::Parser::from_args(arguments);
        while let Some(argument) = parser.next()? {
            match argument {
                Short('c') | Long("config") => options.config = Some(parser.value()?.into()),
                Long("check-config") => options.task = Task::CheckConfig,
                Long("print-config") => options.task = Task::PrintConfig,
                Short('V') | Long("version") => options.task = Task::Version,
                Short('h') | Long("help") => options.task = Task::Help,
                Short(_) | Long(_) | lexopt::Arg::Value(_) => return Err(argument.unexpected()),
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(Into::into)).map_err(|error| error.to_string())
    }

    #[test]
    fn options_in_every_form() {
        assert_eq!(parse("").unwrap(), Options { task: Task::Run, config: None });
        for line in ["-c a.toml --check-config", "--config=a.toml --check-config", "--check-config -ca.toml"]
        {
            assert_eq!(
                parse(line).unwrap(),
                Options { task: Task::CheckConfig, config: Some("a.toml".into()) }
            );
        }
        assert!(parse("--port 1").unwrap_err().contains("--port"));
        assert!(parse("extra").is_err() && parse("--config").is_err());
    }
}
