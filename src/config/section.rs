//! Walking the tree of a TOML file: settings one by one, and all that is wrong on the way.
//!
//! The tree is walked by hand rather than deserialised: so every finding of every file is told at once, each
//! at its place.

use core::fmt::Display;
use core::ops::Range;
use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::finding::{self, Finding, Findings, Source, quoted};

/// A value and where it stands.
pub(super) type Value<'i> = Spanned<DeValue<'i>>;

/// What is wrong with one setting's value. Each message continues a sentence that begins with its name.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<(Range<usize>, String)>);

impl Faults {
    /// Notes what is wrong with this value. Returns `None`, so that it can end a reader.
    pub(super) fn at<T>(&mut self, span: Range<usize>, message: impl Display) -> Option<T> {
        self.0.push((span, message.to_string()));
        None
    }
}

/// The name of a setting: its section and key.
pub(super) type Name = (&'static str, &'static str);

/// What has been read so far from one file after another.
#[derive(Debug, Default)]
pub(super) struct Reading {
    findings: Vec<Finding>,
    /// Where each setting was set last, and whether that value could be used.
    places: BTreeMap<Name, (Finding, bool)>,
    /// Every setting there is: what was asked for.
    known: BTreeSet<Name>,
    /// Whether a file was not TOML, so that settings may be missing from what was read.
    is_broken: bool,
}

impl Reading {
    /// Reads one file: `read` asks for every setting of every section, each time in the same order.
    pub(super) fn file(&mut self, name: &str, text: &str, read: impl FnOnce(&mut File<'_>)) {
        let source = Source::new(name, text);
        let (root, errors) = DeTable::parse_recoverable(text);
        let broken: Vec<_> = errors
            .iter()
            .map(|error| (error.span().unwrap_or(text.len()..text.len()), error.message()))
            .collect();
        self.is_broken |= !broken.is_empty();

        let syntax =
            broken.iter().map(|(span, message)| source.finding(span, format!("not valid TOML: {message}")));
        let mut findings: Vec<Finding> = syntax.collect();
        finding::sort(&mut findings, &[]);
        // One slip can confuse all that follows it on its line.
        findings.dedup_by_key(|finding| finding.line);

        let broken = broken.into_iter().map(|(span, _)| span).collect();
        let mut file =
            File { reading: self, source, root: root.get_ref(), broken, findings, unknown: Vec::new() };
        read(&mut file);
        file.finish();
    }

    /// Checks what must hold between settings. The finding stands where the first of `names` that any file sets
    /// was set last; nothing is told if one of their values could not be used or a file was not TOML.
    pub(super) fn relation(&mut self, holds: bool, names: &[Name], message: impl FnOnce() -> String) {
        let mut places = names.iter().filter_map(|name| self.places.get(name));
        if holds || self.is_broken || places.clone().any(|(_, usable)| !usable) {
            return;
        }
        if let Some((place, _)) = places.next() {
            self.findings.push(Finding { message: message(), ..place.clone() });
        }
    }

    /// All that was wrong, or `None`. Files keep the order in which they were read.
    pub(super) fn findings(mut self, files: &[(&str, &str)]) -> Option<Findings> {
        finding::sort(&mut self.findings, files);
        Findings::new(self.findings)
    }
}

/// One file that is being read.
#[derive(Debug)]
pub(super) struct File<'a> {
    reading: &'a mut Reading,
    source: Source<'a>,
    root: &'a DeTable<'a>,
    /// Where the file is not TOML.
    broken: Vec<Range<usize>>,
    findings: Vec<Finding>,
    /// Keys that nobody asked for, with their section, and where they stand.
    unknown: Vec<(Option<&'static str>, &'a str, Range<usize>)>,
}

impl<'a> File<'a> {
    /// Reads a section: `read` asks for each of its settings.
    pub(super) fn section(&mut self, name: &'static str, read: impl FnOnce(&mut Section<'_, 'a>)) {
        let mut table = None;
        if let Some((key, value)) = self.root.get_key_value(name) {
            table = value.get_ref().as_table();
            if table.is_none() && !self.is_broken_at(&key.span()) && !self.is_broken_at(&value.span()) {
                let is = described(value.get_ref());
                let message =
                    format!("`{name}` is {is}; it must be a section, begun once by a line `[{name}]`");
                self.findings.push(self.source.finding(&key.span(), message));
            }
        }
        let mut section = Section { file: self, name, table, keys: Vec::new() };
        read(&mut section);
        section.finish();
    }

    /// Whether what stands here was only guessed, because the file is not TOML at this place.
    fn is_broken_at(&self, span: &Range<usize>) -> bool {
        self.broken.iter().any(|broken| broken.start <= span.end && span.start <= broken.end)
    }

    /// Whether the section that this belongs to is not known, because its `[header]` is not TOML.
    fn is_under_broken_header(&self, span: &Range<usize>) -> bool {
        self.source.header_before(span.start).is_some_and(|header| self.is_broken_at(&header))
    }

    fn finish(mut self) {
        let known = &self.reading.known;
        let is_section = |key: &str| known.iter().any(|(section, _)| *section == key);
        let at_top = self.root.keys().filter(|key| !is_section(key.get_ref()));
        self.unknown.extend(at_top.map(|key| (None, key.get_ref().as_ref(), key.span())));
        for (section, key, span) in &self.unknown {
            if !self.is_broken_at(span) && !self.is_under_broken_header(span) {
                self.findings.push(self.source.finding(span, unknown(known, *section, key)));
            }
        }
        self.reading.findings.append(&mut self.findings);
    }
}

/// One section of a file; an empty one if the file does not have it.
#[derive(Debug)]
pub(super) struct Section<'s, 'a> {
    file: &'s mut File<'a>,
    name: &'static str,
    table: Option<&'a DeTable<'a>>,
    keys: Vec<&'static str>,
}

impl<'a> Section<'_, 'a> {
    /// Reads a setting; it keeps what it was if it is absent or wrong.
    pub(super) fn set<T>(
        &mut self,
        key: &'static str,
        setting: &mut T,
        read: impl FnOnce(&Value<'_>, &mut Faults) -> Option<T>,
    ) {
        let Some((value, mut usable)) = self.find(key) else { return };
        let mut faults = Faults::default();
        if usable {
            let new = read(value, &mut faults);
            usable = new.is_some() && faults.0.is_empty();
            if let Some(new) = new {
                *setting = new;
            }
        }
        self.note(key, value, faults, usable);
    }

    /// The value of a setting, and whether it is more than a guess, as where the file is not TOML.
    fn find(&mut self, key: &'static str) -> Option<(&'a Value<'a>, bool)> {
        self.keys.push(key);
        let (at, value) = self.table?.get_key_value(key)?;
        let is_broken = self.file.is_broken_at(&at.span()) || self.file.is_broken_at(&value.span());
        Some((value, !is_broken))
    }

    /// Remembers where a setting was set, and what is wrong with it.
    fn note(&mut self, key: &'static str, value: &Value<'_>, faults: Faults, usable: bool) {
        let (file, name) = (&mut *self.file, self.name);
        let findings = faults
            .0
            .into_iter()
            .map(|(span, message)| file.source.finding(&span, format!("`{name}.{key}` {message}")));
        file.findings.extend(findings);
        let place = file.source.finding(&value.span(), String::new());
        file.reading.places.insert((name, key), (place, usable));
    }

    fn finish(self) {
        let Self { file, name, table, keys } = self;
        let unasked =
            table.into_iter().flat_map(DeTable::keys).filter(|key| !keys.contains(&key.get_ref().as_ref()));
        file.unknown.extend(unasked.map(|key| (Some(name), key.get_ref().as_ref(), key.span())));
        file.reading.known.extend(keys.iter().map(|key| (name, *key)));
    }
}

/// What a value is, as a part of a sentence.
pub(super) fn described(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => quoted(text),
        DeValue::Integer(number) => format!("the number {}", cut(&number.to_string())),
        DeValue::Float(number) => format!("the number {}", cut(number.as_str())),
        DeValue::Boolean(on) => on.to_string(),
        DeValue::Datetime(date) => format!("the date {date}"),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// The candidate that somebody most likely meant by `word`, if any is close: `; did you mean …?`, else `; …` as
/// `otherwise` says.
pub(super) fn meant<'c>(
    word: &str,
    candidates: impl Iterator<Item = &'c str>,
    otherwise: impl FnOnce() -> String,
) -> String {
    const LONGEST: usize = 64;
    let close = |candidate: &&str| {
        let distance =
            strsim::osa_distance(&word.to_lowercase().replace('-', "_"), &candidate.to_lowercase());
        (distance <= 1 + candidate.len() / 4).then_some(distance)
    };
    let nearest = candidates
        .filter(|_| word.len() <= LONGEST)
        .filter_map(|candidate| close(&candidate).map(|distance| (distance, candidate)))
        .min();
    match nearest {
        Some((_, candidate)) => format!("; did you mean `{candidate}`?"),
        None => format!("; {}", otherwise()),
    }
}

/// Says that a key means nothing, and what was meant.
fn unknown(known: &BTreeSet<Name>, section: Option<&str>, key: &str) -> String {
    let elsewhere: Vec<_> =
        known.iter().filter(|(_, name)| *name == key).map(|(home, _)| format!("[{home}]")).collect();
    let sections: BTreeSet<_> = known.iter().map(|(section, _)| *section).collect();
    let (place, candidates): (_, Vec<&str>) = match section {
        Some(section) => {
            let keys = known.iter().filter(|(home, _)| *home == section).map(|(_, name)| *name);
            (format!("setting {} in [{section}]", quoted(key)), keys.collect())
        }
        None => (format!("section or setting {}", quoted(key)), sections.into_iter().collect()),
    };
    if !elsewhere.is_empty() {
        return format!("unknown {place}; it belongs in {}", elsewhere.join(" or "));
    }
    let what = if section.is_some() { "its settings are" } else { "the sections are" };
    let all = || format!("{what} {}", candidates.join(", "));
    format!("unknown {place}{}", meant(key, candidates.iter().copied(), all))
}

fn cut(number: &str) -> String {
    const SHOWN: usize = 24;
    match number.get(..SHOWN) {
        Some(start) if number.len() > SHOWN => format!("{start}…"),
        Some(_) | None => number.to_owned(),
    }
}
