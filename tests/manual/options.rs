//! Options and commands as the parsers know them.

use clap::{Arg, Command};
use clap_mangen::Man;
use pigeond::daemon::FLAGS;

use super::roff::{Page, code};

/// The options that every command of `pigeon` takes.
pub fn common(page: &mut Page, command: &Command) {
    page.roff(&options(command.clone()));
}

/// Every command of `pigeon`, with its own options.
pub fn commands(page: &mut Page, command: &Command) {
    for (name, command) in command.get_subcommands().flat_map(named) {
        page.subsection(&format!("{name} {}", synopsis(command)));
        let about = command.get_long_about().or(command.get_about()).expect("what it does").to_string();
        for (index, paragraph) in about.split("\n\n").enumerate() {
            let is_title = index == 0 && !paragraph.ends_with('.');
            page.paragraph(&format!("{}{}", paragraph.replace('\n', " "), if is_title { "." } else { "" }));
        }
        page.roff(&options(command.clone().disable_help_flag(true)));
    }
}

/// A command, or those that it is made of, under their whole names.
fn named(command: &Command) -> Vec<(String, &Command)> {
    let name = command.get_name().to_owned();
    if !command.has_subcommands() {
        return vec![(name, command)];
    }
    command.get_subcommands().map(|below| (format!("{name} {}", below.get_name()), below)).collect()
}

/// The options of the daemon.
pub fn daemon(page: &mut Page) {
    for flag in FLAGS {
        let short = flag.short.map(|short| format!("\\fB\\-{short}\\fR, ")).unwrap_or_default();
        let value = flag.value.map(|value| format!(" \\fI{value}\\fR")).unwrap_or_default();
        let help = format!("{}{}.", flag.help[..1].to_uppercase(), &flag.help[1..]);
        page.tagged_roff(&format!("{short}\\fB\\-\\-{}\\fR{value}", code(flag.long)), &[&help]);
    }
}

/// What stands behind the name of a command.
fn synopsis(command: &Command) -> String {
    let has_options = command.get_arguments().any(|arg| !arg.is_positional());
    let positionals = command.get_positionals().map(|arg| {
        let dots = if arg.get_num_args().is_some_and(|range| range.max_values() > 2) { "..." } else { "" };
        let lead = if arg.is_last_set() { "-- " } else { "" };
        let name = format!("{lead}*{}*{dots}", names(arg));
        if arg.is_required_set() || name.contains('[') { name } else { format!("[{name}]") }
    });
    let options = has_options.then(|| "[*OPTIONS*]".to_owned());
    options.into_iter().chain(positionals).collect::<Vec<_>>().join(" ")
}

fn names(arg: &Arg) -> String {
    arg.get_value_names().map_or_else(|| arg.get_id().as_str().to_uppercase(), |names| names.join(" "))
}

/// The options as `clap_mangen` writes them, with what it sets apart told in the sentence.
fn options(command: Command) -> String {
    let mut roff = Vec::new();
    let man = Man::new(command.mut_args(told));
    man.render_options_section(&mut roff).expect("a vector takes it");
    let roff = String::from_utf8(roff).expect("UTF-8");
    let lines = roff.lines().skip_while(|line| !line.starts_with(".SH OPTIONS")).skip(1);
    let mut out = String::new();
    let mut is_tag = false;
    for line in lines {
        let line = line.replace("\\*(Aq", "\\(aq").replace('`', "");
        // Clap's own sentences have no end.
        let is_sentence = line.starts_with(char::is_alphanumeric) && !line.ends_with('.');
        out += &if is_tag { tag(&line) } else { line.clone() + if is_sentence { "." } else { "" } };
        out.push('\n');
        is_tag = line == ".TP";
    }
    out
}

/// A value stands for itself in italics; brackets only where something may be left out.
fn tag(line: &str) -> String {
    let line = line.replace("\\fI<", "\\fI").replace(">\\fR", "\\fR").replace(">...\\fR", "\\fR...");
    let inner = |open: &str, close: &str| Some(line.strip_prefix(open)?.strip_suffix(close)?.to_owned());
    inner("<", ">").or_else(|| inner("[", "]")).unwrap_or(line)
}

/// Possible values and the default become part of the help.
fn told(arg: Arg) -> Arg {
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let values: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|_| arg.get_action().takes_values())
        .map(|value| {
            let name = value.get_name();
            let help = value.get_help().map(|help| lower(&help.to_string())).filter(|help| help != name);
            help.map_or_else(|| name.to_owned(), |help| format!("{name} ({help})"))
        })
        .collect();
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let values = if values.is_empty() { String::new() } else { format!(": {}", values.join(", ")) };
    let default =
        if defaults.is_empty() { String::new() } else { format!(" Default: {}.", defaults.join(", ")) };
    let help = help.trim_end_matches('.');
    let is_switch = !arg.get_action().takes_values();
    let arg = arg.help(format!("{help}{values}.{default}")).long_help(None::<&str>);
    if is_switch { arg } else { arg.hide_possible_values(true).hide_default_value(true) }
}

fn lower(text: &str) -> String {
    let first = text.chars().next().map(|first| first.to_lowercase().to_string()).unwrap_or_default();
    first + text.get(1..).unwrap_or_default()
}
