//! Completions for bash, zsh and fish, in the file names that they look for.

use clap::{Arg, ArgAction, Command, ValueHint};
use clap_complete::{Shell, generate};
use pigeond::daemon::FLAGS;

/// Every file below `packaging/completions`, with its text.
pub fn files() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for (shell, before, after) in
        [(Shell::Bash, "bash/", ""), (Shell::Zsh, "zsh/_", ""), (Shell::Fish, "fish/", ".fish")]
    {
        for (name, command) in [("pigeon", client(shell)), ("pigeond", daemon())] {
            files.push((format!("{before}{name}{after}"), completions(shell, name, command)));
        }
    }
    files
}

fn completions(shell: Shell, name: &str, mut command: Command) -> String {
    let mut text = Vec::new();
    generate(shell, &mut command, name, &mut text);
    let text = String::from_utf8(text).expect("UTF-8");
    if shell == Shell::Fish { for_fish(name, &text) } else { text }
}

/// The command line of `pigeon`, without what a shell would take amiss.
fn client(shell: Shell) -> Command {
    // In the name of a value zsh takes brackets and a colon for its own; bash knows no hosts and would offer files.
    let hint = if shell == Shell::Bash { ValueHint::Other } else { ValueHint::Hostname };
    pigeond::cli::command().mut_arg("hub", |hub| hub.value_name("HOST").value_hint(hint))
}

/// What is generated for fish, mended: file names are offered only where they belong, and values also behind an
/// option that stands before the command.
fn for_fish(name: &str, text: &str) -> String {
    let parse = format!("argparse -s (__fish_{name}_global_optspecs) -- $cmd 2>/dev/null\n    or return\n");
    let mended = text.replace(&parse, &parse.replace("or return", "or return 0"));
    assert!(
        name == "pigeond" || mended != text,
        "what is generated has changed: look whether this is still needed"
    );
    let answer = "complete -c pigeon -n \"__fish_pigeon_using_subcommand answer\" -F\n";
    format!("complete -c {name} -f\n{mended}{}", if name == "pigeon" { answer } else { "" })
}

/// The daemon's options as a description that completions can be made from.
fn daemon() -> Command {
    let args = FLAGS.map(|flag| {
        let arg = Arg::new(flag.long).long(flag.long).help(flag.help);
        let arg = flag.short.map_or(arg.clone(), |short| arg.short(short));
        match flag.value {
            Some(value) => arg.value_name(value).value_hint(ValueHint::FilePath),
            None => arg.action(ArgAction::SetTrue),
        }
    });
    Command::new("pigeond").disable_help_flag(true).disable_version_flag(true).args(args)
}
