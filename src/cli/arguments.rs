//! What can be written on the command line.

use std::ffi::OsString;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

use super::duration;
use crate::names::{Code, Key, Pattern};

/// How the program ends, for scripts.
const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 a check of doctor failed, 64 wrong usage or several hubs, 65 the hub refuses the data (no such key, not a number, too long ...), \
69 no hub answers, 70 something unforeseen (ask: the answer is an error), 75 no answer in time, 77 denied (also: full, join first), \
78 bad configuration.

The hub's address is taken from --hub, else PIGEON_HUB, else ~/.config/pigeon/config.toml (keys: hub, as, tcp, \
timeout, key_file). Without any of them it is looked for: where it was used last, then on this machine, then on the \
networks that this machine is on, until --timeout is over. Another hub than the last is never used unasked.

Where the operator gave a code a secret, it is taken from --key-file, else PIGEON_KEY_FILE, else PIGEON_KEY, which is \
the secret itself, else key_file in config.toml. With a secret every request is proved, and so must be its answer; each \
command joins first. say, raw, ping and bench prove nothing.

A request is sent again until it is answered or the time is over, and done exactly once; \
say, raw, ping and bench send plain lines, once. \
Where TEXT or LINE is -, each line of the standard input is a request.";

/// Talk to a pigeon hub.
#[derive(Debug, Parser)]
#[command(name = "pigeon", version, after_help = AFTER_HELP, subcommand_required = true)]
pub(super) struct Arguments {
    /// Where the hub is: a name or an address, with or without a port
    #[arg(long, global = true, value_name = "HOST[:PORT]", value_hint = ValueHint::Hostname, env = "PIGEON_HUB", hide_env = true)]
    pub(super) hub: Option<String>,

    /// The hub's port, where its address names none or nobody has said where it is [default: 10125]
    #[arg(long, global = true, value_name = "PORT", value_hint = ValueHint::Other, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) port: Option<u16>,

    /// Talk over TCP instead of UDP
    #[arg(long, global = true)]
    pub(super) tcp: bool,

    /// The client code to join under
    // The name differs from that of any command's argument: clap would take the two for one.
    #[arg(long = "as", global = true, value_name = "CODE", value_hint = ValueHint::Other, value_parser = code)]
    pub(super) own_code: Option<String>,

    /// A file with the secret of the client code: the secret alone, or what `pigeon key new` printed
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath, env = "PIGEON_KEY_FILE", hide_env = true)]
    pub(super) key_file: Option<OsString>,

    /// How long to wait for an answer, such as 5s, 300ms or 2m
    #[arg(long, global = true, value_name = "TIME", value_hint = ValueHint::Other, value_parser = duration::parse)]
    pub(super) timeout: Option<Duration>,

    /// Print one JSON object a line
    #[arg(long, global = true)]
    pub(super) json: bool,

    /// When to colour what is printed
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(super) color: Color,

    #[command(subcommand)]
    pub(super) command: Command,
}

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Join, send what is typed to everyone, and show what comes: @CODE TEXT sends to one, BYE ends
    ///
    /// What comes is acknowledged when it is shown, and survives restarts of the hub. At the end the mailbox is deleted.
    ///
    /// JSON: `{"from":"bob","text":"hi"}` for what others send, {"reached":2} or {"reply":"sent"} for replies.
    Chat,
    /// Send plain text, as a program without tags does, and print the reply
    ///
    /// JSON: `{"reply":"hello"}`
    Say {
        #[command(flatten)]
        text: Text,
    },
    /// Join and send a text to one client
    ///
    /// JSON: `{"reply":"sent"}` or {"reply":"queued"}
    Send {
        /// Whom to send to
        #[arg(value_hint = ValueHint::Other, value_parser = code)]
        code: String,
        #[command(flatten)]
        text: Text,
    },
    /// Join and send a text to every other client
    ///
    /// JSON: `{"reached":2}`
    All {
        #[command(flatten)]
        text: Text,
    },
    /// Ask one client and print its answer
    ///
    /// Waits 15 s for the answer unless --timeout says otherwise; the hub itself waits for 10 s unless its operator
    /// says otherwise. An answer that begins with "ERR " is a failure: it is printed to standard error without that
    /// word, and the exit code is 70.
    ///
    /// JSON: `{"answer":"21.5"}`; if the answer is not UTF-8 also `"bytes":[104,255]`
    Ask {
        /// Whom to ask
        #[arg(value_hint = ValueHint::Other, value_parser = code)]
        code: String,
        #[command(flatten)]
        text: Text,
    },
    /// Join and answer each question with what a command prints, until Ctrl+C
    ///
    /// The command is started anew for each question, never through a shell. It reads the question as its standard
    /// input and as `PIGEON_QUESTION`, and the code of who asks as `PIGEON_FROM`. What it prints is the answer, one line
    /// of at most 8032 bytes: line ends at its end are dropped, each other one becomes a space. What it writes to
    /// standard error appears here.
    ///
    /// If it fails, takes too long (then it is killed, with all that it started) or prints too much, the answer is
    /// "ERR " and the reason. A command may print such an answer itself.
    ///
    /// A question counts as taken before its command starts: if this program is killed meanwhile, the question is lost
    /// rather than the command run a second time. Questions beyond those that may run at once wait in order, up to 256;
    /// whoever asks more gets an error at once.
    ///
    /// JSON: `{"from":"bob","question":"hi","answer":"21.5"}` for each that was answered
    Answer(AnswerOptions),
    /// Join and print what others send, until Ctrl+C
    ///
    /// What comes is acknowledged when it is printed, and survives restarts of the hub. At Ctrl+C, SIGTERM or SIGHUP
    /// the mailbox is deleted, so that senders learn that nobody is there, unless --keep is given. If the program is
    /// killed it stays, too: then mail waits at the hub for whoever listens next with the same --as CODE, and the last
    /// lines may be printed again.
    ///
    /// JSON: `{"from":"bob","text":"hi"}`; if the text is not UTF-8 also `"bytes":[104,255]`. A question that nobody
    /// here will answer: `{"from":"bob","question":"hi","ticket":"..."}`
    Listen {
        /// At the end leave the mailbox at the hub (for a week), so that mail waits for the next listener
        #[arg(long)]
        keep: bool,
    },
    /// Print a value
    ///
    /// JSON: `{"value":"5"}`; if the value is not UTF-8 also `"bytes":[104,255]`
    Get {
        /// Which value
        #[arg(value_hint = ValueHint::Other, value_parser = key)]
        key: String,
    },
    /// Set a value
    ///
    /// JSON: `{"set":"key"}`
    Set {
        /// Which value
        #[arg(value_hint = ValueHint::Other, value_parser = key)]
        key: String,
        #[command(flatten)]
        text: Text,
    },
    /// Count up and print the new value: the key `counter` by 1, unless said otherwise
    ///
    /// JSON: `{"value":"5"}`
    Inc {
        /// The key, the amount, or both
        #[arg(value_name = "[KEY] [N]", num_args = 0..=2, value_hint = ValueHint::Other, value_parser = word, allow_negative_numbers = true)]
        words: Vec<String>,
    },
    /// Count down and print the new value: the key `counter` by 1, unless said otherwise
    ///
    /// JSON: `{"value":"5"}`
    Dec {
        /// The key, the amount, or both
        #[arg(value_name = "[KEY] [N]", num_args = 0..=2, value_hint = ValueHint::Other, value_parser = word, allow_negative_numbers = true)]
        words: Vec<String>,
    },
    /// Delete a value
    ///
    /// JSON: `{"deleted":"key"}`
    Del {
        /// Which value
        #[arg(value_hint = ValueHint::Other, value_parser = key)]
        key: String,
    },
    /// List keys, one a line
    ///
    /// JSON: `{"key":"a"}` for each
    Keys {
        /// Only keys that match; * stands for any run of characters
        #[arg(value_hint = ValueHint::Other, value_parser = pattern)]
        pattern: Option<String>,
    },
    /// Print matching values and each change of them, until Ctrl+C
    ///
    /// Each value that is printed was the newest when it left the hub: of changes in quick succession some are left
    /// out, but never the last.
    ///
    /// JSON: `{"key":"a","value":"5"}`, or {"key":"a","gone":true} when it is deleted
    Watch {
        /// Which keys; * stands for any run of characters
        #[arg(value_hint = ValueHint::Other, value_parser = pattern)]
        pattern: String,
    },
    /// List the codes that are joined, one a line
    ///
    /// JSON: `{"code":"ann"}` for each
    Who,
    /// Measure how long the hub takes to answer, until Ctrl+C or for a count
    ///
    /// JSON: `{"seq":1,"ms":0.123}` for each answer, at the end
    /// `{"sent":4,"answered":4,"loss":0.0,"min_ms":0.1,"median_ms":0.1,"p99_ms":0.2,"max_ms":0.2}`
    Ping(PingOptions),
    /// Say what hub this is
    ///
    /// JSON: `{"name":"value",...}`
    Info,
    /// Show the hub's figures
    ///
    /// JSON: `{"name":"value",...}`
    Stats,
    /// Send one line without a tag, as it is, and print the reply
    ///
    /// JSON: `{"reply":"..."}`
    Raw {
        #[command(flatten)]
        line: Text,
    },
    /// List the hubs on the networks that this machine is on, as they answer
    ///
    /// Asks by broadcast on each interface and, over IPv6, all nodes of each link, several times. A hub that answers
    /// from several addresses is one hub.
    ///
    /// JSON: `{"name":"pi","address":"192.168.1.5:10125","addresses":["192.168.1.5:10125"],"version":"0.1.0","clients":3,"limit":100,"ms":1.234}`
    /// for each
    Discover {
        /// How long to wait for answers
        #[arg(long, value_name = "TIME", default_value = "1s", value_hint = ValueHint::Other, value_parser = duration::parse)]
        wait: Duration,
    },
    /// Look for what keeps hub and client apart, and print what is wrong with the command that mends it
    ///
    /// Each check is one line: ok, warn, FAIL, or skip where it cannot be made. With --hub it looks at what can be seen
    /// of that hub from here. Run as root it sees more. The exit code is 1 if anything fails.
    ///
    /// JSON: `{"check":"service","state":"fail","what":"pigeond.service is not running","fix":"sudo systemctl start pigeond"}`
    /// for each
    Doctor,
    /// Load the hub and print requests per second and latencies
    ///
    /// JSON: one object with `requests`, `seconds`, `per_second`, `lost`, `p50_us`, `p90_us`, `p99_us`,
    /// `p999_us`, `max_us`; with --joined first one with `joined`, `refused` and, with --pid, `bytes_per_client`
    Bench(BenchOptions),
    /// Make a key for a client code
    // The name of the field differs from that of any command.
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
}

/// What can be done about keys.
#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Print a new secret for a code, as a table for the hub's keys file, and what to do with it
    ///
    /// No hub is asked. What is printed is a secret: send it to a file, `umask 077; pigeon key new kitchen > kitchen.key`.
    ///
    /// JSON: `{"code":"kitchen","secret":"64 hexadecimal digits"}`, and `allow_set` and `allow_watch` if they were given
    New {
        /// Whose secret it is
        #[arg(value_hint = ValueHint::Other, value_parser = code)]
        code: String,
        /// Keys that the client may set, count and delete: any, unless said otherwise; none, if no pattern follows
        #[arg(long, value_name = "PATTERN", num_args = 0.., value_hint = ValueHint::Other, value_parser = pattern)]
        allow_set: Option<Vec<String>>,
        /// Keys that the client may get, list and watch: any, unless said otherwise; none, if no pattern follows
        #[arg(long, value_name = "PATTERN", num_args = 0.., value_hint = ValueHint::Other, value_parser = pattern)]
        allow_watch: Option<Vec<String>>,
    },
}

/// A text on the command line, or `-`.
#[derive(Debug, Args)]
pub(super) struct Text {
    /// The text; - reads it from the standard input, a request for each line
    #[arg(value_name = "TEXT", value_hint = ValueHint::Other, required = true, num_args = 1.., allow_negative_numbers = true)]
    pub(super) words: Vec<OsString>,
}

/// Options of `answer`.
#[derive(Debug, Args)]
pub(super) struct AnswerOptions {
    /// Commands that may run at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(super) limit: u16,
    /// How long one may take
    #[arg(long, value_name = "TIME", default_value = "8s", value_parser = duration::parse)]
    pub(super) command_timeout: Duration,
    /// The command and its arguments
    #[arg(last = true, required = true, num_args = 1.., value_name = "COMMAND")]
    pub(super) command: Vec<OsString>,
}

/// Options of `ping`.
#[derive(Debug, Args)]
pub(super) struct PingOptions {
    /// Stop after so many
    #[arg(short = 'c', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,
    /// Time from one to the next
    #[arg(short = 'i', long, value_name = "TIME", default_value = "1s", value_parser = duration::parse)]
    pub(super) interval: Duration,
}

/// Options of `bench`.
#[derive(Debug, Args)]
pub(super) struct BenchOptions {
    /// How many sockets
    #[arg(long, value_name = "K", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) clients: u16,
    /// Requests under way on each socket
    #[arg(long, value_name = "W", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(super) window: u16,
    /// Requests in each datagram
    #[arg(long, value_name = "L", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) lines: u16,
    /// How long to load
    #[arg(long, value_name = "S", default_value_t = 2.0, value_parser = seconds)]
    pub(super) seconds: f64,
    /// The request, sent without a tag
    #[arg(long, value_name = "LINE", default_value = "INC")]
    pub(super) request: OsString,
    /// Join so many UDP clients first, each from a socket of its own
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=60_000))]
    pub(super) joined: u32,
    /// With --joined: the hub's process, to print its memory for each client
    #[arg(long, value_name = "P", requires = "joined")]
    pub(super) pid: Option<i32>,
}

fn code(text: &str) -> Result<String, &'static str> {
    let code = Code::parse(text.as_bytes()).ok_or("a code is 1 to 64 letters, digits and . _ / -")?;
    Ok(code.as_str().to_owned())
}

fn key(text: &str) -> Result<String, &'static str> {
    let key = Key::parse(text.as_bytes())
        .ok_or("a key is 1 to 64 letters, digits and . _ / -, but no whole number")?;
    Ok(key.as_str().to_owned())
}

fn pattern(text: &str) -> Result<String, &'static str> {
    let pattern = Pattern::parse(text.as_bytes())
        .ok_or("a pattern is 1 to 64 letters, digits and . _ / -, and * for any run")?;
    Ok(pattern.as_str().to_owned())
}

/// A key or an amount: the hub tells which, and whether the amount is a number.
fn word(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("a key is 1 to 64 letters, digits and . _ / -, an amount is a whole number");
    }
    Ok(text.to_owned())
}

fn seconds(text: &str) -> Result<f64, &'static str> {
    let seconds = text.parse().ok().filter(|seconds| (0.0..=3600.0).contains(seconds));
    seconds.ok_or("seconds are a number from 0 to 3600, such as 2 or 0.5")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn whom_to_send_to_is_not_who_sends() {
        let arguments = Arguments::try_parse_from(["pigeon", "--as", "ann", "send", "bob", "hi"]).unwrap();
        assert_eq!(arguments.own_code.as_deref(), Some("ann"));
        assert!(matches!(arguments.command, Command::Send { code, .. } if code == "bob"));
    }

    #[test]
    fn options_may_stand_behind_the_command_and_numbers_may_be_negative() {
        let arguments = Arguments::try_parse_from(["pigeon", "dec", "a", "-5", "--json"]).unwrap();
        assert!(arguments.json);
        assert!(matches!(arguments.command, Command::Dec { words } if words == ["a", "-5"]));
        assert!(Arguments::try_parse_from(["pigeon", "get", "a b"]).is_err());
    }

    #[test]
    fn the_help_says_how_long_an_answer_may_be() {
        let help = Arguments::command().find_subcommand_mut("answer").unwrap().render_long_help().to_string();
        let words: Vec<&str> = help.split_whitespace().collect();
        let longest = format!("at most {} bytes", super::super::child::ANSWER_BYTES);
        assert!(words.join(" ").contains(&longest), "{help}");
    }
}
