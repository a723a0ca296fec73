//! Damaged files: the store opens, and what it then holds was once the truth, or is nothing.

use std::fs;
use std::path::Path;

use super::super::ledger::{BATCHES, Ledger, beside};
use super::super::{OpenError, Opened, Store};
use super::model::{Hub, Model, Step};
use super::quick_directory;
use crate::config::Sync;

/// A file as a killed daemon leaves it, and all that it may be read as.
struct Killed {
    parts: Vec<(&'static str, Vec<u8>)>,
    /// The file as it was some folds before.
    earlier: Vec<u8>,
    truths: Vec<Model>,
    /// Where the last batch begins among the others.
    last_batch: usize,
}

/// Some thousand changes, of which some are folded and some are not.
fn killed(random: &mut fastrand::Rng, batches: usize, checkpoint: bool) -> Killed {
    let directory = quick_directory();
    let file = directory.path().join("pigeond.db");
    let (mut ledger, _) = Ledger::open(&file, Sync::Normal).unwrap();
    let (mut hub, mut truth) = (Hub::default(), Model::default());
    let (mut truths, mut earlier, mut last_batch) = (vec![truth.clone()], Vec::new(), 0);
    for number in 1..=batches {
        let steps: Vec<Step> = (0..10).map(|_| (random.u8(..), random.u8(..), random.u8(..))).collect();
        let batch = hub.batch(&steps);
        last_batch = ledger.batches.length();
        ledger.commit(&batch).unwrap();
        truth.apply(&batch);
        truths.push(truth.clone());
        if number % 150 == 0 {
            ledger.fold().unwrap();
            if checkpoint {
                ledger.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
                if earlier.is_empty() {
                    earlier = fs::read(&file).unwrap();
                }
            }
        }
    }
    let parts = ["", "-wal", BATCHES].map(|part| (part, fs::read(beside(&file, part)).unwrap()));
    Killed { parts: parts.into(), earlier, truths, last_batch }
}

/// What became of a damaged file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Unharmed,
    /// It is an earlier one, and nobody was told.
    Earlier,
    RolledBack,
    SetAside,
}

fn open(directory: &Path) -> Result<Opened<Vec<u8>>, OpenError> {
    Store::open(directory, Sync::Normal, |changes| Ok(changes.to_vec()))
}

impl Killed {
    /// The same file after a daemon was started and ended in good order.
    fn closed(&self) -> Self {
        let directory = quick_directory();
        self.write(directory.path(), |_| {});
        let file = directory.path().join("pigeond.db");
        Ledger::open(&file, Sync::Normal).unwrap().0.close().unwrap();
        let parts = vec![("", fs::read(&file).unwrap())];
        Self { parts, earlier: self.earlier.clone(), truths: self.truths.clone(), last_batch: 0 }
    }

    fn write(&self, directory: &Path, damage: impl FnOnce(&mut Vec<(&'static str, Vec<u8>)>)) {
        let mut parts = self.parts.clone();
        damage(&mut parts);
        for (part, bytes) in parts {
            fs::write(beside(&directory.join("pigeond.db"), part), bytes).unwrap();
        }
    }

    /// Opens what is there, looks whether it was once true, and uses it.
    fn open(&self, directory: &Path, what: &str) -> Fate {
        let parts = self.parts.iter().map(|&(part, _)| part);
        let damaged: Vec<_> = parts
            .map(|part| (part, fs::read(beside(&directory.join("pigeond.db"), part)).unwrap()))
            .collect();
        let opened = open(directory).unwrap_or_else(|error| panic!("{what}: {error}"));
        let held = Model::of(&opened.state);
        if opened.set_aside.is_some() {
            assert_eq!(held, Model::default(), "{what}");
        } else {
            assert!(self.truths.contains(&held), "{what}: holds what never was");
        }
        let fate = match (opened.set_aside, opened.rolled_back) {
            (Some(_), None) => Fate::SetAside,
            (None, Some(copy)) => {
                assert_eq!(copy.path, directory.join("pigeond.db.bad"), "{what}");
                for (part, bytes) in damaged {
                    assert!(fs::read(beside(&copy.path, part)).unwrap() == bytes, "{what}: {part}");
                }
                Fate::RolledBack
            }
            (None, None) if Some(&held) == self.truths.last() => Fate::Unharmed,
            (None, None) => Fate::Earlier,
            (Some(_), Some(_)) => panic!("{what}: told twice"),
        };
        let mut store = opened.store;
        store
            .ledger
            .commit(&Hub::default().batch(&[(0, 0, 0)]))
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        // A daemon that is killed now finds no damage again.
        drop(store);
        let again = open(directory).unwrap();
        assert_eq!((again.set_aside, again.rolled_back), (None, None), "{what}");
        again.store.ledger.close().unwrap_or_else(|error| panic!("{what}: {error}"));
        fate
    }
}

#[test]
fn a_killed_daemons_file_holds_every_batch() {
    let mut random = fastrand::Rng::with_seed(1);
    for checkpoint in [false, true] {
        let killed = killed(&mut random, 400, checkpoint);
        let directory = quick_directory();
        killed.write(directory.path(), |_| {});
        let opened = open(directory.path()).unwrap();
        assert_eq!((opened.set_aside, opened.rolled_back), (None, None));
        assert_eq!(Some(&Model::of(&opened.state)), killed.truths.last());
    }
}

#[test]
fn a_damaged_file_is_set_aside_or_holds_what_was_once_true() {
    let mut random = fastrand::Rng::with_seed(2);
    let seeds = [(false, 400), (true, 400), (true, 340)];
    let (mut tried, mut aside, mut back) = (0, 0, 0);
    for (checkpoint, batches) in seeds {
        let killed = killed(&mut random, batches, checkpoint);
        assert!(killed.truths.last().unwrap().len() > 500);
        for round in 0..170 {
            let directory = quick_directory();
            // After a checkpoint there is nothing in the log.
            let part = if checkpoint { [0, 2][random.usize(..2)] } else { random.usize(..3) };
            let length = killed.parts[part].1.len();
            // The first kilobyte, which says what the file is, more often than its size would have it.
            let within = if random.u8(..) < 64 { 1024 } else { length };
            let at = random.usize(..within);
            let (kind, run, bit) = (random.u8(..4), random.usize(1..64), 1 << random.u8(..8));
            killed.write(directory.path(), |parts| {
                let bytes = &mut parts[part].1;
                let end = (at + run).min(bytes.len());
                match kind {
                    0 => bytes.truncate(at),
                    1 => bytes[at] ^= bit,
                    2 => bytes[at..end].fill(0),
                    _ => bytes[at..end]
                        .iter_mut()
                        .for_each(|byte| *byte = byte.wrapping_mul(31).wrapping_add(bit)),
                }
            });
            let what = format!(
                "{checkpoint} {batches} {round}: part {part} of {length} at {at}, kind {kind}, {run}, {bit}"
            );
            tried += 1;
            let fate = killed.open(directory.path(), &what);
            aside += usize::from(fate == Fate::SetAside);
            back += usize::from(fate == Fate::RolledBack);
            // A log that was cut off, or whose last frames are damaged, may be one whose writer was killed.
            let last = if part == 1 { length.saturating_sub(1024 + 24) } else { killed.last_batch };
            if part > 0 && kind > 0 && at + run < last {
                assert_ne!(fate, Fate::Earlier, "{what}");
            }
        }
    }
    assert!(aside > tried / 10 && aside < tried, "{aside} of {tried} were set aside");
    assert!(back > tried / 10, "{back} of {tried} were rolled back");
}

#[test]
fn each_damaged_byte_of_the_files_headers_is_found_or_is_no_matter() {
    let killed = killed(&mut fastrand::Rng::with_seed(3), 160, false);
    let closed = killed.closed();
    // The header of the file; that of SQLite's log, and of the first page in it; that of the batches, and of the first.
    for (killed, part, header) in
        [(&closed, 0, 100), (&killed, 0, 100), (&killed, 1, 32 + 24), (&killed, 2, 16 + 24)]
    {
        for at in 0..header {
            for bits in [1, 0x80, 0xff] {
                let directory = quick_directory();
                killed.write(directory.path(), |parts| parts[part].1[at] ^= bits);
                killed.open(directory.path(), &format!("part {part} at {at}, {bits}"));
            }
        }
    }
}

#[test]
fn a_page_that_the_disk_never_wrote_is_found() {
    let killed = killed(&mut fastrand::Rng::with_seed(4), 460, true);
    let mut aside = 0;
    for at in (0..killed.earlier.len()).step_by(1024) {
        let page = at..at + 1024;
        let directory = quick_directory();
        killed
            .write(directory.path(), |parts| parts[0].1[page.clone()].copy_from_slice(&killed.earlier[page]));
        aside += u32::from(killed.open(directory.path(), &format!("page at {at}")) == Fate::SetAside);
    }
    assert!(aside > 10, "{aside}");
}
