//! Reads the configuration and turns it into what the hub wants.

use std::ffi::OsStr;
use std::fmt::{self, Write as _};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::config::{self, Config, Findings};
use crate::hub::Settings;
use crate::limits::HUB_NAME_BYTES;

/// Read if it is there and no other file was named.
const DEFAULT_FILE: &str = "/etc/pigeond/pigeond.toml";

/// The directory beside the file, with more files.
const DIRECTORY: &str = "conf.d";

/// What the names of the files in [`DIRECTORY`] end in; editors and packages leave others there.
const ENDING: &str = ".toml";

/// The credential that holds the keys if no file is named for them, in the directory that systemd names.
const CREDENTIAL: &str = "pigeond.keys";
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// Of what the service is given a copy as that credential (`LoadCredential=` in its unit).
const SERVICE_KEYS: &str = "/etc/pigeond/keys";

/// The mode's bits that let anybody read, write or run a file.
const ANYBODY: u32 = 0o007;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// Files or the directory cannot be read, at least one of them.
    #[error("{}", one_a_line(.0))]
    Unreadable(Vec<Unreadable>),
    /// The files are no good configuration.
    #[error("{0}")]
    Findings(Findings),
}

/// A file or a directory that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    /// The system does not give it out.
    #[error("{}: cannot be read: {why}", shown(.path))]
    Refused {
        /// Which file or directory.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// It holds something else than text.
    #[error("{}:{line}:{column}: not UTF-8; save the file in that encoding", shown(.path))]
    NoText {
        /// Which file.
        path: PathBuf,
        /// The line of the first byte that is not UTF-8, from 1.
        line: usize,
        /// Its column, in characters from 1.
        column: usize,
    },
}

/// A configuration and where it is from.
#[derive(Debug)]
pub(super) struct Loaded {
    /// What the files say together.
    pub(super) config: Config,
    /// The files that were read, in this order.
    files: Vec<String>,
    /// What the operator should know of them.
    pub(super) warnings: Vec<String>,
}

impl Loaded {
    /// The settings in force as TOML, with the files that they are from.
    pub(super) fn to_toml(&self) -> String {
        let mut text = match self.files.as_slice() {
            [] => "# No file was read: these are the built-in defaults.\n".to_owned(),
            [_] => "# Read from:\n".to_owned(),
            [..] => "# Read in this order (a later setting replaces an earlier one):\n".to_owned(),
        };
        for file in &self.files {
            // Nothing can go wrong in writing to a text.
            let _ = writeln!(text, "#   {file}");
        }
        text + "\n" + &self.config.to_toml()
    }
}

/// Reads the configuration: the file that was named, or the usual one if it is there, and then those in the directory
/// beside it, by name. What none of them sets keeps its built-in default. Then reads the keys, if there are any.
pub(super) fn load(named: Option<&Path>) -> Result<Loaded, Error> {
    load_with(named, credential().as_deref(), None)
}

/// The same, only to be looked at. Outside of the service the keys are those that it would be given; to look at them
/// may take more rights than the configuration does, and is left out without.
pub(super) fn look(named: Option<&Path>) -> Result<Loaded, Error> {
    match credential() {
        Some(credential) => load_with(named, Some(&credential), None),
        None => load_with(named, None, Some(Path::new(SERVICE_KEYS))),
    }
}

fn credential() -> Option<PathBuf> {
    std::env::var_os(CREDENTIALS).map(|directory| Path::new(&directory).join(CREDENTIAL))
}

fn load_with(
    named: Option<&Path>,
    credential: Option<&Path>,
    looked_at: Option<&Path>,
) -> Result<Loaded, Error> {
    let file = named.unwrap_or(Path::new(DEFAULT_FILE));
    let mut unreadable = Vec::new();
    let mut texts = Vec::new();
    match read_text(file) {
        Ok(text) => texts.push((shown(file), text)),
        Err(Unreadable::Refused { why, .. }) if named.is_none() && why.kind() == io::ErrorKind::NotFound => {}
        Err(error) => unreadable.push(error),
    }
    let directory = file.with_file_name(DIRECTORY);
    let more = list(&directory).unwrap_or_else(|why| {
        unreadable.push(Unreadable::Refused { path: directory, why });
        Vec::new()
    });
    for path in more {
        match read_text(&path) {
            Ok(text) => texts.push((shown(&path), text)),
            Err(error) => unreadable.push(error),
        }
    }
    if !unreadable.is_empty() {
        return Err(Error::Unreadable(unreadable));
    }
    let sources: Vec<(&str, &str)> =
        texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let given = credential.or(looked_at).filter(|file| is_given(file));
    let mut config = Config::parse_with(&sources, given.is_some()).map_err(Error::Findings)?;
    let mut warnings = Vec::new();
    if let Some(file) = config.access.keys_file.as_deref().or(given) {
        let may_be_refused = config.access.keys_file.is_none() && looked_at.is_some();
        match read_text(file) {
            Ok(text) => {
                let keys = config::parse_keys(&text, &shown(file)).map_err(Error::Findings)?;
                warnings.extend(warn_of_mode(file));
                config.access.keys = keys;
            }
            Err(Unreadable::Refused { why, .. })
                if may_be_refused && why.kind() == io::ErrorKind::PermissionDenied =>
            {
                let file = shown(file);
                warnings.push(format!("the keys in {file} could not be looked at: {why}; ask as root"));
            }
            Err(error) => return Err(Error::Unreadable(vec![error])),
        }
    }
    Ok(Loaded { config, files: texts.into_iter().map(|(name, _)| name).collect(), warnings })
}

fn warn_of_mode(file: &Path) -> Option<String> {
    let is_open = fs::metadata(file).is_ok_and(|file| file.permissions().mode() & ANYBODY != 0);
    let file = shown(file);
    is_open.then(|| format!("everybody on this machine may open the keys in {file}: chmod o= {file}"))
}

/// Whether a credential is there and says anything: an empty one, as the unit gives if there is no other, stands for none.
fn is_given(file: &Path) -> bool {
    match fs::read(file) {
        Ok(bytes) => !bytes.trim_ascii().is_empty(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

fn read_text(path: &Path) -> Result<String, Unreadable> {
    let bytes = fs::read(path).map_err(|why| Unreadable::Refused { path: path.to_owned(), why })?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let before = String::from_utf8_lossy(valid);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Unreadable::NoText { path: path.to_owned(), line, column }
    })
}

/// The configuration files of a directory, by the bytes of their names; none if it is not there.
fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        // A link is followed: to a directory it is passed over, to nothing it is told when it is read.
        if is_configuration(&entry.file_name()) && !entry.path().is_dir() {
            files.push(entry.path());
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn is_configuration(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.ends_with(ENDING.as_bytes()) && !name.starts_with(b".")
}

/// A path as it is told: one line, whatever its name holds.
fn shown(path: &Path) -> String {
    path.display().to_string().replace(char::is_control, "\u{fffd}")
}

fn one_a_line(lines: &[impl fmt::Display]) -> String {
    lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// What the hub wants to know of the configuration. Its own addresses, the networks that it is on and its port
/// are known only once its sockets are bound.
pub(super) fn settings(config: &Config) -> Settings {
    let Config { clients, text, limits, access, broadcast, .. } = config;
    Settings {
        name: if broadcast.name.is_empty() { host_name() } else { broadcast.name.clone() },
        version: env!("CARGO_PKG_VERSION"),
        port: config.listen.port,
        own: Vec::new(),
        attached: Vec::new(),
        discovery: broadcast.discovery,
        announce_every: broadcast.announce_every,
        shout: broadcast.shout,
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
        first_line: limits.first_line,
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
        requests_per_second: access.requests_per_second,
        burst: access.burst,
        guests: match &access.guests {
            config::Guests::All => None,
            config::Guests::Only(words) => Some(words.clone()),
        },
        keys: access.keys.clone(),
        keys_required: access.required,
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
        let error = load(Some(Path::new("/nonexistent/p.toml"))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "/nonexistent/p.toml: cannot be read: No such file or directory (os error 2)"
        );
    }

    /// A directory with `p.toml` and these files beside it.
    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("conf.d")).unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn load_from(folder: &tempfile::TempDir) -> Result<Loaded, String> {
        load(Some(&folder.path().join("p.toml")))
            .map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))
    }

    #[test]
    fn the_directory_beside_the_file_is_read_in_the_order_of_names() {
        let folder = folder(&[
            ("p.toml", "clients = { limit = 1, mailbox = 1 }\ntext.greeting = \"kept\""),
            ("conf.d/9.toml", "clients.limit = 9"),
            ("conf.d/10.toml", "clients = { limit = 10, mailbox = 10 }"),
            ("conf.d/Z.toml", "log.level = \"warn\""),
            ("conf.d/a.toml", "log.level = \"debug\""),
        ]);
        let loaded = load_from(&folder).unwrap();
        let Config { clients, text, log, .. } = &loaded.config;
        assert_eq!((clients.limit, clients.mailbox, text.greeting.as_str()), (9, 10, "kept"));
        assert_eq!(log.level, config::Level::Debug);
        let names = ["p.toml", "conf.d/10.toml", "conf.d/9.toml", "conf.d/Z.toml", "conf.d/a.toml"];
        assert_eq!(loaded.files, names.map(|name| folder.path().join(name).display().to_string()));
    }

    #[test]
    fn other_files_hidden_files_and_directories_are_passed_over() {
        let bad = "this is not TOML";
        let folder = folder(&[
            ("p.toml", ""),
            ("conf.d/a.toml.dpkg-old", bad),
            ("conf.d/a.toml~", bad),
            ("conf.d/.hidden.toml", bad),
            ("conf.d/.toml", bad),
            ("conf.d/README", bad),
            ("conf.d/toml", bad),
        ]);
        fs::create_dir(folder.path().join("conf.d/directory.toml")).unwrap();
        std::os::unix::fs::symlink("/", folder.path().join("conf.d/link.toml")).unwrap();
        assert_eq!(load_from(&folder).unwrap().files.len(), 1);
    }

    #[test]
    fn no_directory_is_no_error() {
        let folder = folder(&[("p.toml", "")]);
        fs::remove_dir(folder.path().join("conf.d")).unwrap();
        let loaded = load_from(&folder).unwrap();
        assert_eq!(loaded.config, Config::default());
    }

    #[test]
    fn all_that_cannot_be_read_is_told_at_once() {
        let folder = folder(&[("conf.d/a.toml", ""), ("conf.d/latin.toml", "")]);
        fs::write(folder.path().join("conf.d/latin.toml"), b"#\n# caf\xe9").unwrap();
        std::os::unix::fs::symlink("nowhere", folder.path().join("conf.d/dangling.toml")).unwrap();
        let told = load_from(&folder).unwrap_err();
        let starts = [
            "p.toml: cannot be read: No such file",
            "conf.d/dangling.toml: cannot be read: No such file",
            "conf.d/latin.toml:2:6: not UTF-8",
        ];
        assert_eq!(told.lines().count(), starts.len(), "{told}");
        assert!(told.lines().zip(starts).all(|(line, start)| line.starts_with(start)), "{told}");
    }

    #[test]
    fn a_directory_that_cannot_be_read_is_told() {
        let folder = folder(&[("p.toml", "")]);
        fs::remove_dir(folder.path().join("conf.d")).unwrap();
        fs::write(folder.path().join("conf.d"), "").unwrap();
        let told = load_from(&folder).unwrap_err();
        assert!(told.starts_with("conf.d: cannot be read: Not a directory"), "{told}");
    }

    #[test]
    fn findings_of_all_files_are_told_at_once_and_relations_hold_for_the_whole() {
        let folder = folder(&[
            ("p.toml", "[limits]\nmax_message_bytes = 60000\n[clients]\nlimit = 0"),
            ("conf.d/10-a.toml", "\n[listen]\nprot = 5"),
            ("conf.d/20-b.toml", "[limits]\nunread_bytes = 100000"),
        ]);
        let told = load_from(&folder).unwrap_err();
        let starts = [
            "p.toml:4:9: `clients.limit` is the number 0;",
            "conf.d/10-a.toml:3:1: unknown setting \"prot\"",
            "conf.d/20-b.toml:2:16: `limits.unread_bytes` is 100000; it must be at least 2 times",
        ];
        assert_eq!(told.lines().count(), starts.len(), "{told}");
        assert!(told.lines().zip(starts).all(|(line, start)| line.starts_with(start)), "{told}");

        fs::write(folder.path().join("p.toml"), "limits.max_message_bytes = 60000").unwrap();
        fs::write(folder.path().join("conf.d/10-a.toml"), "limits.max_message_bytes = 50000").unwrap();
        assert!(load_from(&folder).is_ok(), "the file alone would not hold, the whole does");
    }

    const KEYS: &str = "[code.ann]\nsecret = \"00112233445566778899aabbccddeeff\"\n";

    fn load_keys(folder: &tempfile::TempDir) -> Result<Loaded, String> {
        load_with(Some(&folder.path().join("p.toml")), Some(&folder.path().join(CREDENTIAL)), None)
            .map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))
    }

    #[test]
    fn keys_come_from_the_file_that_is_named_or_else_from_the_credential() {
        let folder = folder(&[("p.toml", "access.required = true")]);
        let told = load_keys(&folder).unwrap_err();
        assert!(told.starts_with("p.toml:1:19: `access.required` is true, but"), "{told}");
        let credential = folder.path().join(CREDENTIAL);
        fs::write(&credential, "\n").unwrap();
        assert!(load_keys(&folder).is_err(), "what the unit gives where there is no file is none");
        fs::write(&credential, KEYS).unwrap();
        let codes = |loaded: &Loaded| loaded.config.access.keys.codes.keys().cloned().collect::<Vec<_>>();
        assert_eq!(codes(&load_keys(&folder).unwrap()), ["ann".into()]);

        let file = folder.path().join("keys");
        let config = format!("[access]\nrequired = true\nkeys_file = \"{}\"\n", file.display());
        fs::write(folder.path().join("p.toml"), config).unwrap();
        assert!(load_keys(&folder).unwrap_err().starts_with("keys: cannot be read: No such file"));
        fs::write(&file, KEYS.replace("ann", "bob")).unwrap();
        let loaded = load_keys(&folder).unwrap();
        assert_eq!(codes(&loaded), ["bob".into()]);
        assert!(!loaded.to_toml().contains("0011") && !format!("{loaded:?}").contains("0011"));
        assert_eq!(settings(&loaded.config).keys, loaded.config.access.keys);
        fs::write(&file, "[code.bob]\nsecret = 5").unwrap();
        assert!(load_keys(&folder).unwrap_err().starts_with("keys:2:10: the secret of \"bob\" is a number;"));
    }

    #[test]
    fn to_look_outside_of_the_service_its_keys_are_looked_at_if_that_is_permitted() {
        let folder = folder(&[("p.toml", "access.required = true")]);
        let keys = folder.path().join("keys");
        let look = |keys: &Path| {
            load_with(Some(&folder.path().join("p.toml")), None, Some(keys))
                .map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))
        };
        assert!(look(&keys).unwrap_err().contains("nothing in /etc/pigeond/keys"));
        fs::write(&keys, KEYS).unwrap();
        fs::set_permissions(&keys, fs::Permissions::from_mode(0o600)).unwrap();
        let loaded = look(&keys).unwrap();
        assert_eq!((loaded.warnings.len(), loaded.config.access.keys.codes.len()), (0, 1));
        fs::write(&keys, "[code.bob]\nsecret = 5").unwrap();
        assert!(look(&keys).unwrap_err().starts_with("keys:2:10: the secret of \"bob\" is a number;"));
        // Root may open everything.
        fs::set_permissions(&keys, fs::Permissions::from_mode(0o000)).unwrap();
        if fs::read(&keys).is_err() {
            let loaded = look(&keys).unwrap();
            assert!(loaded.warnings[0].contains("could not be looked at"), "{:?}", loaded.warnings);
        }
    }

    #[test]
    fn keys_that_everybody_may_read_are_warned_of() {
        let folder = folder(&[("p.toml", ""), (CREDENTIAL, KEYS)]);
        for (mode, warnings) in [(0o640, 0), (0o600, 0), (0o604, 1), (0o602, 1), (0o601, 1)] {
            let mode = fs::Permissions::from_mode(mode);
            fs::set_permissions(folder.path().join(CREDENTIAL), mode).unwrap();
            assert_eq!(load_keys(&folder).unwrap().warnings.len(), warnings);
        }
    }

    #[test]
    fn what_is_printed_says_where_it_is_from_and_reads_back() {
        let none = Loaded { config: Config::default(), files: Vec::new(), warnings: Vec::new() };
        assert!(
            none.to_toml().starts_with("# No file was read: these are the built-in defaults.\n\n[listen]\n")
        );
        let odd = shown(Path::new("/a\nb\u{1b}.toml"));
        let one = Loaded { files: vec![odd], ..none };
        assert!(
            one.to_toml().starts_with("# Read from:\n#   /a\u{fffd}b\u{fffd}.toml\n\n"),
            "{}",
            one.to_toml()
        );
        assert_eq!(Config::parse(&one.to_toml(), "p"), Ok(one.config));
    }
}
