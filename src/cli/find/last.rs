//! Which hub was used last: one line in a file of the user's own, `address name`.
//!
//! The name is what counts: the hub is used wherever it answers under that name, and another one only if somebody
//! says so. One on this machine that does not want to be discovered has no name, and stands there without.

use std::fs;
use std::path::{Path, PathBuf};

use super::Choice;
use crate::cli::address::HubAddress;
use crate::limits::DEFAULT_PORT;
use crate::names::Code;

/// The file for one port.
#[derive(Debug)]
pub(super) struct Last(PathBuf);

impl Last {
    /// The file of whoever runs this; `None` if they have no place for it.
    pub(super) fn of_this_user(port: u16) -> Option<Self> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
        Some(Self::in_cache(&cache, port))
    }

    fn in_cache(cache: &Path, port: u16) -> Self {
        let name = if port == DEFAULT_PORT { "hub".to_owned() } else { format!("hub-{port}") };
        Self(cache.join("pigeon").join(name))
    }

    /// The hub, if there was one.
    pub(super) fn read(&self) -> Option<Choice> {
        let text = fs::read_to_string(&self.0).ok()?;
        let text = text.trim_end();
        let (address, name) = match text.split_once(' ') {
            Some((address, name)) => (address, Some(Code::parse(name.as_bytes())?.as_str().to_owned())),
            None => (text, None),
        };
        Some(Choice { name, address: HubAddress::parse(address).ok()? })
    }

    /// Where it is written down.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Replaces what was there; where that cannot be, the next command looks again.
    pub(super) fn write(&self, hub: &Choice) {
        let name = hub.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        let address = &hub.address;
        let new = self.0.with_extension(format!("{}.new", std::process::id()));
        let replace = || {
            fs::create_dir_all(self.0.parent()?).ok()?;
            fs::write(&new, format!("{address}{name}\n")).and_then(|()| fs::rename(&new, &self.0)).ok()
        };
        if replace().is_none() {
            let _ = fs::remove_file(&new);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_found_again_for_its_own_port_only() {
        let cache = tempfile::tempdir().unwrap();
        let last = Last::in_cache(&cache.path().join("not/yet/there"), DEFAULT_PORT);
        assert_eq!(last.read(), None);
        for (text, name) in
            [("10.0.0.7:99", Some("pi")), ("[fe80::1%eth0]:99", Some("pi")), ("[::1]:9", None)]
        {
            let address = HubAddress::parse(text).unwrap();
            let hub = Choice { name: name.map(str::to_owned), address };
            last.write(&hub);
            assert_eq!(last.read(), Some(hub));
        }
        assert_eq!(Last::in_cache(&cache.path().join("not/yet/there"), 99).read(), None);
        assert_eq!(fs::read_dir(last.0.parent().unwrap()).unwrap().count(), 1, "nothing is left over");
    }

    #[test]
    fn what_is_no_address_and_name_is_not_believed() {
        let cache = tempfile::tempdir().unwrap();
        let last = Last::in_cache(cache.path(), DEFAULT_PORT);
        fs::create_dir(cache.path().join("pigeon")).unwrap();
        for bad in [&b""[..], b"10.0.0.7:99 a b", b"10.0.0.7:0 pi", b"\xff pi", b" pi"] {
            fs::write(&last.0, bad).unwrap();
            assert_eq!(last.read(), None, "{}", bad.escape_ascii());
        }
        // A place that cannot be written to is no trouble.
        Last(PathBuf::from("/dev/null/hub")).write(&Choice { name: None, address: HubAddress::default() });
    }
}
