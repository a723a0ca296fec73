//! How settings are written as TOML, where that is not as serde would: the reverse of `value`.

#![expect(
    clippy::ref_option,
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference to the field"
)]

use core::num::NonZeroU32;
use core::time::Duration;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde::{Serialize, Serializer};

use super::duration::format_duration;
use super::settings::{Directory, Guests};
use crate::hub::{Networks, TextReply};
use crate::wire::Word;

type Written<S> = Result<<S as Serializer>::Ok, <S as Serializer>::Error>;

pub(super) fn duration<S: Serializer>(duration: &Duration, to: S) -> Written<S> {
    to.serialize_str(&format_duration(*duration))
}

pub(super) fn millis<S: Serializer>(duration: &Duration, to: S) -> Written<S> {
    to.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

pub(super) fn duration_or_never<S: Serializer>(value: &Option<Duration>, to: S) -> Written<S> {
    duration(&value.unwrap_or(Duration::ZERO), to)
}

pub(super) fn address_or_auto<S: Serializer>(address: &Option<Ipv4Addr>, to: S) -> Written<S> {
    match address {
        Some(address) => address.serialize(to),
        None => to.serialize_str("auto"),
    }
}

pub(super) fn path_or_empty<S: Serializer>(path: &Option<PathBuf>, to: S) -> Written<S> {
    match path {
        Some(path) => to.serialize_str(&path.to_string_lossy()),
        None => to.serialize_str(""),
    }
}

pub(super) fn count_or_zero<S: Serializer>(count: &Option<NonZeroU32>, to: S) -> Written<S> {
    to.serialize_u32(count.map_or(0, NonZeroU32::get))
}

impl Serialize for TextReply {
    fn serialize<S: Serializer>(&self, to: S) -> Written<S> {
        to.serialize_str(match self {
            Self::Echo => "echo",
            Self::Counter => "counter",
            Self::Fixed(text) => text,
        })
    }
}

impl Directory {
    /// Whether the setting is left out when printed.
    pub(super) fn is_automatic(&self) -> bool {
        *self == Self::Automatic
    }
}

impl Serialize for Directory {
    fn serialize<S: Serializer>(&self, to: S) -> Written<S> {
        match self {
            Self::Automatic => to.serialize_none(),
            Self::Memory => to.serialize_str(""),
            Self::At(path) => to.serialize_str(&path.to_string_lossy()),
        }
    }
}

impl Serialize for Networks {
    fn serialize<S: Serializer>(&self, to: S) -> Written<S> {
        match self {
            Self::Local => to.serialize_str("local"),
            Self::List(networks) => networks.serialize(to),
        }
    }
}

impl Serialize for Guests {
    fn serialize<S: Serializer>(&self, to: S) -> Written<S> {
        match self {
            Self::All => to.serialize_str("all"),
            Self::Only(words) => to.collect_seq(words.iter().map(|word: &Word| word.as_str())),
        }
    }
}
