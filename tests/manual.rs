//! The manual pages and the completions are what the parsers, the shipped configuration and the protocol page say.
//!
//! They are kept in `packaging/`, so that a package needs no program to be run. `PIGEON_WRITE_MANUAL=1 cargo test
//! --test manual` writes them anew.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and lives outside the core"
)]

#[path = "manual/markdown.rs"]
mod markdown;
#[path = "manual/options.rs"]
mod options;
#[path = "manual/roff.rs"]
mod roff;
#[path = "manual/settings.rs"]
mod settings;
#[path = "manual/shells.rs"]
mod shells;

use std::fs;
use std::path::Path;
use std::process::Command;

use roff::Page;

/// Printed at the foot of each page: when their text was last gone over. It changes by hand only.
const DATE: &str = "2026-11-21";

const PIGEON: &str = include_str!("manual/pigeon.1.md");
const PIGEOND: &str = include_str!("manual/pigeond.8.md");
const TOML: &str = include_str!("manual/pigeond.toml.5.md");
const PROTOCOL: &str = include_str!("manual/pigeon-protocol.7.md");
const PROTOCOL_PAGE: &str = include_str!("../docs/protocol.md");

/// A page made of its text and what stands for the `{names}` in it.
fn page(name: &str, section: u8, manual: &str, text: &str) -> (String, String) {
    let mut page = Page::new(name, section, DATE, manual);
    markdown::write(&mut page, text, |page, name| match name {
        "options" => options::common(page, &pigeond::cli::command()),
        "commands" => options::commands(page, &pigeond::cli::command()),
        "daemon options" => options::daemon(page),
        "settings" => settings::write(page),
        "protocol" => {
            let (_, text) = PROTOCOL_PAGE.split_once("\n\n").expect("a title and a text");
            markdown::write(page, text, |_, name| panic!("nothing stands for {{{name}}}"));
        }
        _ => panic!("nothing stands for {{{name}}}"),
    });
    (format!("man/{name}.{section}"), page.finish())
}

/// Every file below `packaging/` that is made, with its text.
fn made() -> Vec<(String, String)> {
    let completions = shells::files().into_iter().map(|(name, text)| (format!("completions/{name}"), text));
    [
        page("pigeon", 1, "User Commands", PIGEON),
        page("pigeond", 8, "System Administration", PIGEOND),
        page("pigeond.toml", 5, "File Formats", TOML),
        page("pigeon-protocol", 7, "Protocols", PROTOCOL),
    ]
    .into_iter()
    .chain(completions)
    .collect()
}

#[test]
fn the_pages_and_completions_in_packaging_are_up_to_date() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging");
    let write = std::env::var_os("PIGEON_WRITE_MANUAL").is_some_and(|value| !value.is_empty());
    let mut stale = Vec::new();
    for (name, text) in made() {
        let path = folder.join(&name);
        if write {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
        } else {
            let kept = fs::read_to_string(&path).unwrap_or_default();
            let differ = |(_, (kept, new)): &(usize, (&str, &str))| kept != new;
            let lines = kept.lines().chain(std::iter::repeat("")).zip(text.lines());
            if let Some((number, (_, new))) = (1..).zip(lines).find(differ) {
                stale.push(format!("packaging/{name}:{number}: should be: {new}"));
            } else if kept != text {
                stale.push(format!("packaging/{name}: has lines too many"));
            }
        }
    }
    assert!(
        stale.is_empty(),
        "what these are made from has changed; write them anew with\n\n    \
         PIGEON_WRITE_MANUAL=1 cargo test --test manual\n\nand look at the difference before you commit it:\n{}",
        stale.join("\n")
    );
}

#[test]
fn the_formatters_that_are_here_find_nothing_to_warn_of() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/man");
    let groff = ["groff", "-t", "-man", "-Tutf8", "-ww"];
    let mandoc = ["mandoc", "-T", "lint", "-W", "warning"];
    for formatter in [&groff[..], &mandoc] {
        for page in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let Ok(run) = Command::new(formatter[0]).args(&formatter[1..]).arg(&page).output() else {
                println!("{} is not here: left out", formatter[0]);
                break;
            };
            // The page itself is what groff prints; mandoc prints what it finds.
            let found = if formatter[0] == "mandoc" { run.stdout } else { run.stderr };
            assert!(found.is_empty(), "{}", String::from_utf8_lossy(&found));
        }
    }
}

#[test]
fn markdown_becomes_what_a_manual_page_means_by_it() {
    let mut page = Page::new("x", 1, DATE, "m");
    let text = "\
## One-two
A `--a 'b'` **b `c?` d** *e* [f](g.md) \\* 2 * 3.
.next it's → é. New
line

1. first
   more
2. second
- third
- `four`, `five`: six

    .code  \\n

    end

| a | b |
| --- | --- |
| `x` | y |

{here}
";
    markdown::write(&mut page, text, Page::paragraph);
    let page = page.finish();
    let body: Vec<&str> = page.lines().skip(6).collect();
    let expected = r#".SH "ONE-TWO"
A \fB\-\-a \(aqb\(aq\fR \fBb \fBc?\&\fB d\fR \fIe\fR f * 2 * 3.
\&.next it's \(-> \[u00E9].
New line
.IP 1. 4
first more
.IP 2. 4
second
.IP \(bu 2
third
.TP
\fBfour\fR, \fBfive\fR
six
.PP
.RS 2
.EX
\&.code  \en
\&
end
.EE
.nh
.RE
.PP
.TS
lbw(1n) lbw(1n)
lw(1n) lw(1n).
T{
a
T}	T{
b
T}
T{
\fBx\fR
T}	T{
y
T}
.TE
.PP
here"#;
    assert_eq!(body.join("\n"), expected);
}
