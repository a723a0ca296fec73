//! How each kind of value is read and checked: `None` and at least one fault, or the value.
//!
//! A list's reader tells each element's fault at the element and goes on, so it may return what is left of the
//! list beside faults; a configuration with faults is never used.

use core::fmt::Display;
use core::num::NonZeroU32;
use core::ops::RangeInclusive;
use core::time::Duration;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use toml::de::DeValue;

use super::duration::{format_duration, parse_duration};
use super::finding::quoted;
use super::ranges::{ANSWERS, NETWORKS, TEXT_BYTES};
use super::section::{Faults, Value, described, meant};
use super::settings::{Directory, Guests};
use crate::hub::{Networks, TextReply};
use crate::limits::{HUB_NAME_BYTES, REQUESTS_PER_SECOND};
use crate::names::Code;
use crate::wire::{Message, WORDS, Word};

/// `true` or `false`.
pub(super) fn boolean(value: &Value<'_>, faults: &mut Faults) -> Option<bool> {
    let DeValue::Boolean(on) = value.get_ref() else {
        return wrong(value, faults, "true or false, without quotes");
    };
    Some(*on)
}

/// A whole number within a range.
pub(super) fn number<T>(range: RangeInclusive<T>) -> impl FnOnce(&Value<'_>, &mut Faults) -> Option<T>
where
    T: TryFrom<i128> + PartialOrd + Display,
{
    move |value, faults| number_within(&range, value, faults)
}

fn number_within<T>(range: &RangeInclusive<T>, value: &Value<'_>, faults: &mut Faults) -> Option<T>
where
    T: TryFrom<i128> + PartialOrd + Display,
{
    let number = value.get_ref().as_integer();
    let number = number.and_then(|digits| i128::from_str_radix(digits.as_str(), digits.radix()).ok());
    match number.and_then(|number| T::try_from(number).ok()).filter(|number| range.contains(number)) {
        Some(number) => Some(number),
        None => wrong(value, faults, format!("a whole number from {} to {}", range.start(), range.end())),
    }
}

/// Whole milliseconds within a range.
pub(super) fn millis(range: RangeInclusive<u64>) -> impl FnOnce(&Value<'_>, &mut Faults) -> Option<Duration> {
    move |value, faults| number_within(&range, value, faults).map(Duration::from_millis)
}

/// A duration within a range.
pub(super) fn duration(
    range: RangeInclusive<Duration>,
) -> impl FnOnce(&Value<'_>, &mut Faults) -> Option<Duration> {
    move |value, faults| duration_within(&range, value, "", faults)
}

/// A duration within a range, or `"0"` for never.
pub(super) fn duration_or_never(
    range: RangeInclusive<Duration>,
) -> impl FnOnce(&Value<'_>, &mut Faults) -> Option<Option<Duration>> {
    move |value, faults| match value.get_ref().as_str().and_then(parse_duration) {
        Some(Duration::ZERO) => Some(None),
        Some(_) | None => duration_within(&range, value, ", or \"0\" for never", faults).map(Some),
    }
}

fn duration_within(
    range: &RangeInclusive<Duration>,
    value: &Value<'_>,
    or: &str,
    faults: &mut Faults,
) -> Option<Duration> {
    let duration = value.get_ref().as_str().and_then(parse_duration);
    duration.filter(|duration| range.contains(duration)).or_else(|| {
        let (from, to) = (format_duration(*range.start()), format_duration(*range.end()));
        let right = format!("a duration from \"{from}\" to \"{to}\" such as \"300ms\", \"5m\" or \"1h\"{or}");
        wrong(value, faults, right)
    })
}

/// One of a few words.
pub(super) fn choice<T: Copy>(choices: &[(&str, T)]) -> impl FnOnce(&Value<'_>, &mut Faults) -> Option<T> {
    move |value, faults| {
        let word = value.get_ref().as_str();
        let choice = choices.iter().find(|(name, _)| Some(*name) == word).map(|(_, choice)| *choice);
        choice.or_else(|| {
            let names: Vec<_> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            wrong(value, faults, format!("one of {}", names.join(", ")))
        })
    }
}

/// A text that can be sent as one line.
pub(super) fn line(value: &Value<'_>, faults: &mut Faults) -> Option<String> {
    match value.get_ref().as_str() {
        None => wrong(value, faults, "a text in quotes"),
        Some(text) => {
            check_line(text).map_or_else(|fault| faults.at(value.span(), fault), |()| Some(text.to_owned()))
        }
    }
}

fn check_line(text: &str) -> Result<(), String> {
    if text.contains(['\r', '\n', '\0']) {
        return Err("holds a CR, LF or NUL; it must be one line without its end".to_owned());
    }
    if text.len() > TEXT_BYTES {
        return Err(format!("is {} bytes long; it must be at most {TEXT_BYTES}", text.len()));
    }
    Ok(())
}

/// What plain text is answered with.
pub(super) fn text_reply(value: &Value<'_>, faults: &mut Faults) -> Option<TextReply> {
    line(value, faults).map(|text| match text.as_str() {
        "echo" => TextReply::Echo,
        "counter" => TextReply::Counter,
        _ => TextReply::Fixed(text),
    })
}

/// Messages with answers of their own.
pub(super) fn answers(value: &Value<'_>, faults: &mut Faults) -> Option<BTreeMap<String, String>> {
    let Some(table) = value.get_ref().as_table() else {
        return wrong(value, faults, "a table of messages and answers such as { \"hello\" = \"hi there\" }");
    };
    let mut answers = BTreeMap::new();
    for (message, answer) in table {
        let text = message.get_ref();
        if let Err(fault) = check_line(text) {
            faults.at::<()>(message.span(), format!("has the message {}, which {fault}", quoted(text)));
        } else if let Message::Request(_) = Message::read(text.as_bytes()) {
            let is = "which is a command and never answered as text; choose one that begins otherwise";
            faults.at::<()>(message.span(), format!("has the message {}, {is}", quoted(text)));
        }
        match answer.get_ref().as_str().map(|text| (text, check_line(text))) {
            Some((answer, Ok(()))) => drop(answers.insert(text.to_string(), answer.to_owned())),
            Some((_, Err(fault))) => {
                faults.at::<()>(answer.span(), format!("has for {} an answer that {fault}", quoted(text)));
            }
            None => {
                let is = described(answer.get_ref());
                faults.at::<()>(
                    answer.span(),
                    format!("has for {} {is}; an answer must be a text in quotes", quoted(text)),
                );
            }
        }
    }
    if answers.len() > ANSWERS {
        return faults.at(value.span(), format!("has {} entries; it may have {ANSWERS}", answers.len()));
    }
    Some(answers)
}

/// The addresses to listen on.
pub(super) fn addresses(value: &Value<'_>, faults: &mut Faults) -> Option<Vec<IpAddr>> {
    const RIGHT: &str = "a list of at least one IP address without port, such as [\"0.0.0.0\", \"::\"]";
    let mut addresses: Vec<IpAddr> = Vec::new();
    for element in list(value, faults, RIGHT)? {
        let Some(address) = element.get_ref().as_str().and_then(|text| text.parse::<IpAddr>().ok()) else {
            element_wrong(element, faults, "an IP address without port in quotes, such as \"192.168.1.5\"");
            continue;
        };
        let overlaps = |other: &&IpAddr| {
            let any = other.is_unspecified() || address.is_unspecified();
            **other == address || (any && other.is_ipv4() == address.is_ipv4())
        };
        if let Some(other) = addresses.iter().find(overlaps) {
            let why = if *other == address { "once is enough" } else { "one holds the other; leave one out" };
            faults.at::<()>(element.span(), format!("names {other} and {address}: {why}"));
        }
        addresses.push(address);
    }
    if value.get_ref().as_array().is_some_and(|list| list.is_empty()) {
        return wrong_but(value, faults, "an empty list", RIGHT);
    }
    Some(addresses)
}

/// Ports, none twice.
pub(super) fn ports(range: RangeInclusive<u16>) -> impl FnOnce(&Value<'_>, &mut Faults) -> Option<Vec<u16>> {
    move |value, faults| {
        let mut ports = Vec::new();
        for element in list(value, faults, "a list of ports such as [7, 5000]")? {
            let port = element.get_ref().as_integer();
            let port = port.and_then(|digits| u16::from_str_radix(digits.as_str(), digits.radix()).ok());
            match port.filter(|port| range.contains(port)) {
                None => {
                    let right = format!("a port from {} to {}", range.start(), range.end());
                    element_wrong(element, faults, right);
                }
                Some(port) if ports.contains(&port) => {
                    faults.at::<()>(element.span(), format!("names {port} twice; once is enough"));
                }
                Some(port) => ports.push(port),
            }
        }
        Some(ports)
    }
}

/// `"auto"` (`None`) or an IPv4 address.
#[expect(clippy::option_option, reason = "the outer says wrong, the inner says auto")]
pub(super) fn address_or_auto(value: &Value<'_>, faults: &mut Faults) -> Option<Option<Ipv4Addr>> {
    match value.get_ref().as_str().map(|text| (text, text.parse())) {
        Some(("auto", _)) => Some(None),
        Some((_, Ok(address))) => Some(Some(address)),
        Some((_, Err(_))) | None => {
            wrong(value, faults, "\"auto\" or an IPv4 address in quotes, such as \"192.168.1.255\"")
        }
    }
}

/// What the hub calls itself; may be empty.
pub(super) fn hub_name(value: &Value<'_>, faults: &mut Faults) -> Option<String> {
    let is_name = |text: &&str| {
        text.is_empty() || (text.len() <= HUB_NAME_BYTES && Code::parse(text.as_bytes()).is_some())
    };
    match value.get_ref().as_str().filter(is_name) {
        Some(name) => Some(name.to_owned()),
        None => wrong(
            value,
            faults,
            format!(
                "at most {HUB_NAME_BYTES} letters, digits and . _ / - in quotes, or \"\" for the host's name"
            ),
        ),
    }
}

/// Where the state file is kept.
pub(super) fn directory(value: &Value<'_>, faults: &mut Faults) -> Option<Directory> {
    Some(path(value, faults, "to keep all in memory")?.map_or(Directory::Memory, Directory::At))
}

/// An absolute path, or `""` for none.
#[expect(clippy::option_option, reason = "the outer says wrong, the inner says none")]
pub(super) fn path_or_empty(value: &Value<'_>, faults: &mut Faults) -> Option<Option<PathBuf>> {
    path(value, faults, "for none")
}

#[expect(clippy::option_option, reason = "the outer says wrong, the inner says none")]
fn path(value: &Value<'_>, faults: &mut Faults, empty: &str) -> Option<Option<PathBuf>> {
    match value.get_ref().as_str() {
        Some("") => Some(None),
        Some(text) if Path::new(text).is_absolute() && !text.contains('\0') => {
            Some(Some(PathBuf::from(text)))
        }
        Some(_) | None => {
            wrong(value, faults, format!("an absolute path in quotes, which begins with /, or \"\" {empty}"))
        }
    }
}

/// A number of requests, or 0 (`None`) for no bound of its own.
#[expect(clippy::option_option, reason = "the outer says wrong, the inner says none")]
pub(super) fn count_or_zero(value: &Value<'_>, faults: &mut Faults) -> Option<Option<NonZeroU32>> {
    number_within(&REQUESTS_PER_SECOND, value, faults).map(NonZeroU32::new)
}

/// Who is answered.
pub(super) fn networks(value: &Value<'_>, faults: &mut Faults) -> Option<Networks> {
    const RIGHT: &str =
        "\"local\" or a list of at least one network such as [\"192.168.1.0/24\", \"fd00::/8\"]";
    if value.get_ref().as_str() == Some("local") {
        return Some(Networks::Local);
    }
    let elements = list(value, faults, RIGHT)?;
    if elements.is_empty() {
        return wrong_but(value, faults, "an empty list, so nobody would be answered", RIGHT);
    }
    if elements.len() > NETWORKS {
        return faults.at(value.span(), format!("names {} networks; it may name {NETWORKS}", elements.len()));
    }
    let mut networks = Vec::new();
    for element in elements {
        let text = element.get_ref().as_str().unwrap_or_default();
        let host = text.parse::<IpAddr>().map(IpNet::from);
        match host.or_else(|_| text.parse::<IpNet>()) {
            Ok(network) if network != network.trunc() => {
                let (wide, host) = (network.trunc(), network.addr());
                faults.at::<()>(
                    element.span(),
                    format!("names {text}, which is no network; write {wide} for all of it or {host} for that host alone"),
                );
            }
            Ok(network) => networks.push(network),
            Err(_) => element_wrong(
                element,
                faults,
                "a network or an address in quotes, such as \"192.168.1.0/24\"",
            ),
        }
    }
    Some(Networks::List(networks))
}

/// What clients that have not joined may do.
pub(super) fn guests(value: &Value<'_>, faults: &mut Faults) -> Option<Guests> {
    if value.get_ref().as_str() == Some("all") {
        return Some(Guests::All);
    }
    let mut words = Vec::new();
    for element in list(value, faults, "\"all\" or a list of commands such as [\"PING\", \"GET\"]")? {
        let Some(text) = element.get_ref().as_str() else {
            element_wrong(element, faults, "a command in quotes, such as \"GET\"");
            continue;
        };
        match Word::parse(text.as_bytes()) {
            Some(word) if words.contains(&word) => {
                faults.at::<()>(element.span(), format!("names {text} twice; once is enough"));
            }
            Some(word) => words.push(word),
            None => {
                let names = || WORDS.iter().map(|word| word.as_str());
                let advice = meant(text, names(), || {
                    format!("the commands are {}", names().collect::<Vec<_>>().join(", "))
                });
                faults
                    .at::<()>(element.span(), format!("names {}, which is no command{advice}", quoted(text)));
            }
        }
    }
    Some(Guests::Only(words))
}

fn list<'v, 'i>(value: &'v Value<'i>, faults: &mut Faults, right: &str) -> Option<&'v [Value<'i>]> {
    match value.get_ref().as_array() {
        Some(list) => Some(list.as_ref()),
        None => wrong(value, faults, right),
    }
}

fn wrong<T>(value: &Value<'_>, faults: &mut Faults, right: impl Display) -> Option<T> {
    wrong_but(value, faults, described(value.get_ref()), right)
}

fn wrong_but<T>(value: &Value<'_>, faults: &mut Faults, is: impl Display, right: impl Display) -> Option<T> {
    faults.at(value.span(), format!("is {is}; it must be {right}"))
}

fn element_wrong(element: &Value<'_>, faults: &mut Faults, right: impl Display) {
    let is = described(element.get_ref());
    faults.at::<()>(element.span(), format!("holds {is}; each entry must be {right}"));
}
