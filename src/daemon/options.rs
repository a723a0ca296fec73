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

/// One option: the parser, the usage and the manual all read it here.
#[derive(Clone, Debug)]
pub struct Flag {
    /// The letter behind one dash.
    pub short: Option<char>,
    /// The word behind two dashes.
    pub long: &'static str,
    /// What its value is called, if it takes one.
    pub value: Option<&'static str>,
    /// What it does.
    pub help: &'static str,
    /// What is to be done if it is given; `None`: what would be done without it.
    task: Option<Task>,
}

/// Every option.
pub const FLAGS: [Flag; 5] = [
    Flag {
        short: Some('c'),
        long: "config",
        value: Some("FILE"),
        help: "read FILE, then conf.d/*.toml beside it (default: /etc/pigeond/pigeond.toml)",
        task: None,
    },
    Flag {
        short: None,
        long: "check-config",
        value: None,
        help: "say whether the configuration is good, and end",
        task: Some(Task::CheckConfig),
    },
    Flag {
        short: None,
        long: "print-config",
        value: None,
        help: "print the settings that would be in force, and the files read, and end",
        task: Some(Task::PrintConfig),
    },
    Flag {
        short: Some('V'),
        long: "version",
        value: None,
        help: "print the version, and end",
        task: Some(Task::Version),
    },
    Flag {
        short: Some('h'),
        long: "help",
        value: None,
        help: "print this help, and end",
        task: Some(Task::Help),
    },
];

/// How the daemon is called.
pub(super) fn usage() -> String {
    let written = |flag: &Flag| {
        let short = flag.short.map_or_else(|| "   ".to_owned(), |short| format!("-{short},"));
        let value = flag.value.map(|value| format!(" {value}")).unwrap_or_default();
        format!("  {short} --{}{value}", flag.long)
    };
    let width = FLAGS.iter().map(|flag| written(flag).len()).max().unwrap_or_default();
    let lines: Vec<String> =
        FLAGS.iter().map(|flag| format!("{:width$}   {}", written(flag), flag.help)).collect();
    format!(
        "\
pigeond: a hub that any plain UDP or TCP socket can talk to

usage: pigeond [--config FILE] [--check-config | --print-config | --version | --help]

{}

signals: SIGTERM and SIGINT end it cleanly, SIGHUP reads the configuration anew
",
        lines.join("\n")
    )
}

impl Options {
    /// Reads the command line, without the program's name.
    ///
    /// # Errors
    ///
    /// A sentence about what was wrong with it.
    pub(super) fn parse(
        arguments: impl IntoIterator<Item = std::ffi::OsString>,
    ) -> Result<Self, lexopt::Error> {
        use lexopt::prelude::{Long, Short, Value};
        let mut options = Self { task: Task::Run, config: None };
        let mut parser = lexopt::Parser::from_args(arguments);
        while let Some(argument) = parser.next()? {
            let flag = FLAGS.iter().find(|flag| match &argument {
                Short(letter) => flag.short == Some(*letter),
                Long(word) => flag.long == *word,
                Value(_) => false,
            });
            match flag {
                Some(Flag { task: Some(task), .. }) => options.task = task.clone(),
                Some(Flag { task: None, .. }) => options.config = Some(parser.value()?.into()),
                None => return Err(argument.unexpected()),
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
        assert!(parse("--version=5").is_err(), "a value that nobody asked for");
    }

    #[test]
    fn every_option_is_read_under_both_names_and_stands_in_the_usage() {
        for flag in FLAGS {
            let value = flag.value.map(|_| " a.toml").unwrap_or_default();
            let long = parse(&format!("--{}{value}", flag.long)).unwrap();
            assert_eq!(long.task, flag.task.clone().unwrap_or(Task::Run), "{}", flag.long);
            assert_eq!(long.config.is_some(), flag.value.is_some(), "{}", flag.long);
            if let Some(short) = flag.short {
                assert_eq!(parse(&format!("-{short}{value}")).unwrap(), long);
            }
            assert!(usage().contains(&format!("--{}", flag.long)));
        }
        assert!(usage().lines().all(|line| line.len() <= 100), "{}", usage());
    }
}
