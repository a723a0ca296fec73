//! The `pigeon` program: everything one wants to do with a hub from a terminal or a script.
//!
//! Every request is tagged and sent again until it is answered ([`crate::courier`]), so that it is done exactly
//! once; `say`, `raw`, `ping` and `bench` speak as a program without tags does. One file a command family, on
//! top of a few shared pieces: where the hub is (`address`, `settings`), the socket (`link`), the socket with a
//! courier behind it (`client`), what is printed (`output`), and how the program ends (`exit`).

mod address;
mod answer;
mod arguments;
mod ask;
mod bench;
mod chat;
mod child;
mod client;
mod clock;
mod discover;
mod doctor;
mod duration;
mod exit;
mod facts;
mod find;
mod histogram;
mod input;
mod key;
mod link;
mod listen;
mod messages;
mod output;
mod ping;
mod place;
mod secret;
mod session_name;
mod settings;
mod signals;
mod values;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use arguments::{Arguments, Command};
use client::Client;
use exit::{Exit, Failure};
use output::Output;
use settings::Settings;

/// Runs the program on the process's arguments, streams and environment.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    let ended = run(arguments);
    match ended {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => {
            failure.report();
            failure.exit.into()
        }
    }
}

/// The command line as a description: the manual and the completions are made from it.
#[must_use]
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Help and version are no errors; whatever cannot be printed any more is none either.
fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    if error.use_stderr() { Exit::Usage.into() } else { Exit::Ok.into() }
}

/// Whether a hub has to be found first: some commands look for hubs themselves or need none, and two are
/// refused without a code.
fn needs_hub(command: &Command, has_code: bool) -> bool {
    match command {
        Command::Discover { .. } | Command::Doctor | Command::Key { .. } => false,
        Command::Send { .. } | Command::All { .. } => has_code,
        Command::Chat
        | Command::Say { .. }
        | Command::Raw { .. }
        | Command::Ask { .. }
        | Command::Answer(_)
        | Command::Listen { .. }
        | Command::Watch { .. }
        | Command::Get { .. }
        | Command::Set { .. }
        | Command::Inc { .. }
        | Command::Dec { .. }
        | Command::Del { .. }
        | Command::Keys { .. }
        | Command::Who
        | Command::Info
        | Command::Stats
        | Command::Ping(_)
        | Command::Bench(_) => true,
    }
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    let mut out = Output::new(arguments.json, arguments.color);
    if let Command::Key { command } = &arguments.command {
        return key::key(&mut out, command);
    }
    let mut settings = Settings::gather(&arguments)?;
    let is_question = matches!(arguments.command, Command::Ask { .. });
    let patience = if is_question { settings.ask_timeout } else { settings.timeout };
    if !settings.is_given && needs_hub(&arguments.command, settings.code.is_some()) {
        settings.hub = find::hub(&settings, patience, !arguments.json)?;
    }
    match arguments.command {
        Command::Chat => chat::chat(&settings, &mut out),
        Command::Say { text } => messages::say(&settings, &mut out, &text),
        Command::Raw { line } => messages::raw(&settings, &mut out, &line),
        Command::Send { code, text } => messages::send(&settings, &mut out, &code, &text),
        Command::All { text } => messages::all(&settings, &mut out, &text),
        Command::Ask { code, text } => ask::ask(&settings, &mut out, &code, &text),
        Command::Answer(options) => answer::answer(&settings, &mut out, &options),
        Command::Listen { keep } => listen::listen(&settings, &mut out, keep),
        Command::Watch { pattern } => listen::watch(&settings, &mut out, &pattern),
        Command::Get { key } => values::get(&settings, &mut out, &key),
        Command::Set { key, text } => values::set(&settings, &mut out, &key, &text),
        Command::Inc { words } => values::count(&settings, &mut out, "INC", &words),
        Command::Dec { words } => values::count(&settings, &mut out, "DEC", &words),
        Command::Del { key } => values::del(&settings, &mut out, &key),
        Command::Keys { pattern } => values::keys(&settings, &mut out, pattern.as_deref()),
        Command::Who => facts::who(&settings, &mut out),
        Command::Info => facts::pairs(&settings, &mut out, "INFO"),
        Command::Stats => facts::pairs(&settings, &mut out, "STATS"),
        Command::Ping(options) => ping::ping(&settings, &mut out, &options),
        Command::Discover { wait } => discover::discover(&settings, &mut out, wait),
        Command::Doctor => doctor::doctor(&settings, &mut out),
        Command::Bench(options) => bench::bench(&settings, &mut out, &options),
        Command::Key { command } => key::key(&mut out, &command),
    }
}
