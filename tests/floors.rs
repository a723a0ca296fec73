//! The structure of the house: a room may use only rooms below its own, and the core stays pure.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and lives outside the core"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The floor of each room. Rooms of one floor do not know each other, but for the programs' own wiring.
const FLOORS: &[(&str, u32)] = &[
    ("limits", 0),
    ("moment", 0),
    ("names", 0),
    ("wire", 1),
    ("proof", 1),
    ("hub", 3),
    ("courier", 2),
    ("config", 4),
    ("machine", 5),
    ("daemon", 6),
    ("cli", 6),
];

/// Names that no room below floor 4 may mention, and where they belong.
const IMPURE: &[&str] = &[
    "tokio",
    "std::net",
    "std::time",
    "std::fs",
    "std::io",
    "std::env",
    "std::thread",
    "std::process",
    "std::sync",
    "Instant",
    "SystemTime",
    "UdpSocket",
    "TcpStream",
    "Mutex",
    "RwLock",
    "nix::",
    "socket2",
    "rand",
];

/// The names of floor 0 may use each other in this order only.
const GROUND: &[&str] = &["limits", "moment", "names"];

fn sources() -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = fs::read_to_string(&path).expect("a source file");
                all.insert(path, text);
            }
        }
    }
    all
}

/// The room a file belongs to: the first part of its path below src.
fn room(path: &Path) -> String {
    let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).expect("below src");
    let first = below.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// Code without comments and without the tests at the end of the file.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn floor(room: &str) -> Option<u32> {
    FLOORS.iter().find(|(name, _)| *name == room).map(|(_, floor)| *floor)
}

/// Rooms that a file mentions as `crate::room`.
fn used(code: &str) -> Vec<&str> {
    code.split("crate::")
        .skip(1)
        .map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default())
        .collect()
}

#[test]
fn every_room_has_a_floor() {
    for path in sources().keys() {
        let room = room(path);
        assert!(floor(&room).is_some() || room == "lib" || room == "bin", "{} has no floor", path.display());
    }
}

#[test]
fn a_room_uses_only_rooms_below_it() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let own = room(&path);
        let Some(own_floor) = floor(&own) else { continue };
        for other in used(&code(&text)) {
            let Some(other_floor) = floor(other) else { continue };
            let ground = |room: &str| GROUND.iter().position(|name| *name == room);
            let fine = own == other || other_floor < own_floor || ground(other) < ground(&own);
            if !fine {
                wrong.push(format!("{} uses {other}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_core_knows_no_clock_socket_file_or_thread() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        if floor(&room(&path)).is_none_or(|floor| floor > 4) {
            continue;
        }
        let code = code(&text);
        for name in IMPURE {
            // The configuration may speak of addresses and paths, which are plain data.
            if code.contains(name) && !(room(&path) == "config" && *name == "std::net") {
                wrong.push(format!("{} mentions {name}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_core_iterates_over_no_hash_map_and_nothing_is_unsafe() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let code = code(&text);
        let maps = ["HashMap", "HashTable", "HashSet"].iter().any(|name| code.contains(name));
        let iterates =
            ["self.0.iter()", ".values()", ".drain(", "index.iter()", "by_peer.iter()", "sources.iter()"];
        let pure = floor(&room(&path)).is_some_and(|floor| floor < 4);
        if pure && maps && iterates.iter().any(|call| code.contains(call)) {
            wrong.push(format!("{} may iterate over a hash map", path.display()));
        }
        // systemd hands descriptors over as numbers.
        let may = usize::from(path.ends_with("daemon/descriptors.rs"));
        if code.matches("unsafe ").count() > may || code.contains("allow(unsafe") {
            wrong.push(format!("{} is unsafe", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn files_stay_short_enough_to_read() {
    let long: Vec<_> = sources()
        .into_iter()
        .map(|(path, text)| {
            (path, text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().lines().count())
        })
        .filter(|(_, lines)| *lines > 400)
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn the_checks_would_notice() {
    assert_eq!(used("use crate::daemon::run; crate::hub::Hub"), ["daemon", "hub"]);
    assert!(
        code("let a = 1; // tokio\n#[cfg(test)]\nmod tests { use tokio; }")
            .trim_end()
            .ends_with("let a = 1;")
    );
    assert!(floor("daemon") > floor("hub") && floor("hub") > floor("wire"));
}
