//! The file of the batches that no fold has taken yet: a commit is one write to its end.
//!
//! Each batch stands behind a head, which tells what it is. After a fold the file is begun anew from its start and written
//! over: it does not grow any more, which is what makes it quick to bring to the disk. What is left behind the new batches is of
//! an earlier fold, and its heads say so.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{FallocateFlags, fallocate};
use nix::libc::off_t;

use super::Trouble;
use crate::config::Sync;
use crate::limits::KEPT_BYTES;

/// The file begins with this word, its salt and the checksum of both. The salt goes into each head: no text that a client had
/// kept can pass for a batch.
const MAGIC: [u8; 4] = *b"Pgnb";
const SALT_BYTES: usize = 8;
const START: usize = MAGIC.len() + SALT_BYTES + 4;

/// In front of each batch: what it comes after, its number since then, its length, its checksum, and the checksum of all that.
const HEAD_BYTES: usize = 28;

/// Heads stand at multiples of this, so that those behind a damage can be looked for.
const ALIGNMENT: usize = 8;

/// The file takes room in such steps, in bytes.
const STEP_BYTES: u64 = 256 * 1024;

/// The tables that batches come after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Base {
    /// How many folds have made them.
    pub(super) fold: u64,
    /// A checksum of what they hold: batches of another file, or of other days of this one, do not go with them.
    pub(super) tables: u32,
}

/// The batches since the last fold.
#[derive(Debug)]
pub(super) struct Batches {
    path: PathBuf,
    sync: Sync,
    base: Base,
    /// How many there are.
    count: u32,
    /// Where the next one goes.
    end: usize,
    /// There is none before the first batch.
    pub(super) file: Option<File>,
    salt: [u8; SALT_BYTES],
    /// How long the file is.
    room: u64,
    /// Where a batch is put behind its head, to be written with it.
    buffer: Vec<u8>,
}

impl Batches {
    /// Opens the file, and appends the batches after these tables to the changes; what is wrong with it, if anything is.
    pub(super) fn open(
        path: PathBuf,
        sync: Sync,
        base: Base,
        changes: &mut Vec<u8>,
    ) -> io::Result<(Self, Option<&'static str>)> {
        let salt = RandomState::new().hash_one(base.fold).to_le_bytes();
        let none =
            Self { path, sync, base, count: 0, end: START, file: None, salt, room: 0, buffer: Vec::new() };
        let mut file = match OpenOptions::new().read(true).write(true).open(&none.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((none, None)),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        // Whoever is killed may leave a file that is not begun yet.
        let Some((found, rest)) =
            bytes.split_first_chunk::<START>().filter(|_| bytes.iter().any(|byte| *byte != 0))
        else {
            return Ok((none, None));
        };
        let [_, _, _, _, salt @ .., _, _, _, _] = *found;
        if *found != start(salt) {
            return Ok((none, Some("the start of its batches is damaged")));
        }
        let (mut count, mut at) = (0, 0);
        while let Some(batch) = Batch::read(salt, rest, at).filter(|batch| batch.follows(base, count)) {
            changes.extend_from_slice(batch.changes);
            count = batch.number;
            at = batch.end;
        }
        let mut behind = (at..rest.len()).step_by(ALIGNMENT);
        let is_lost = behind.any(|at| {
            // Most of what is there is of an earlier fold, or empty.
            Batch::place(rest, at).is_some_and(|place| place > (base.fold, count))
                && Batch::read(salt, rest, at).is_some()
        });
        let room = bytes.len() as u64;
        let found = Self { count, end: START + at, file: Some(file), salt, room, ..none };
        Ok((found, is_lost.then_some("its batches are damaged before their end, or are another file's")))
    }

    /// How many batches there are.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// How long they are together, in bytes.
    pub(super) fn length(&self) -> usize {
        self.end - START
    }

    /// Adds a batch: it is kept, or if that fails nothing of it is.
    pub(super) fn append(&mut self, changes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(changes.len()).map_err(io::Error::other)?;
        let number = self.count.checked_add(1).ok_or(io::ErrorKind::FileTooLarge)?;
        self.buffer.clear();
        self.buffer.extend_from_slice(&head(self.salt, self.base, number, length, crc32fast::hash(changes)));
        self.buffer.extend_from_slice(changes);
        self.buffer.resize(self.buffer.len().next_multiple_of(ALIGNMENT), 0);
        let (at, end) = (self.end as u64, self.end + self.buffer.len());
        self.make_room(end as u64)?;
        if let Some(file) = &self.file {
            file.write_all_at(&self.buffer, at)?;
            if self.sync == Sync::Full {
                file.sync_data()?;
            }
        }
        self.buffer.shrink_to(KEPT_BYTES);
        (self.count, self.end) = (number, end);
        self.room = self.room.max(end as u64);
        Ok(())
    }

    /// Makes the file if there is none, and so long that what is to be written lies within it, where the disk has as much room.
    fn make_room(&mut self, end: u64) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(create(&self.path, self.salt, self.sync)?),
        };
        let wanted = end.next_multiple_of(STEP_BYTES);
        if end > self.room
            && let Ok(length) = off_t::try_from(wanted)
            && fallocate(file, FallocateFlags::empty(), 0, length).is_ok()
        {
            self.room = wanted;
        }
        Ok(())
    }

    /// Appends all batches to the changes, as the file has them.
    pub(super) fn read(&self, changes: &mut Vec<u8>) -> Result<(), Trouble> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut end = changes.len();
        let mut at = end;
        changes.resize(end + self.length(), 0);
        file.read_exact_at(changes.get_mut(at..).unwrap_or_default(), START as u64)?;
        // They are moved together, over their heads.
        for before in 0..self.count {
            let batch = Batch::read(self.salt, changes, at).filter(|batch| batch.follows(self.base, before));
            let Some(batch) = batch else {
                return Err(Trouble::Damaged("a batch is not what was written".to_owned()));
            };
            let (length, next) = (batch.changes.len(), batch.end);
            changes.copy_within(at + HEAD_BYTES..at + HEAD_BYTES + length, end);
            (at, end) = (next, end + length);
        }
        changes.truncate(end);
        Ok(())
    }

    /// A fold has taken all batches: the next are those after the tables that it has made.
    pub(super) fn begin_anew(&mut self, base: Base) {
        (self.base, self.count, self.end) = (base, 0, START);
    }

    /// Gives up what is behind the last batch: it must not pass for one that follows those to come.
    pub(super) fn cut(&mut self) -> io::Result<()> {
        if let Some(file) = &self.file {
            self.room = self.end as u64;
            return file.set_len(self.room);
        }
        self.remove()
    }

    /// Removes the file, of which nothing is wanted any more.
    pub(super) fn remove(&mut self) -> io::Result<()> {
        self.file = None;
        self.room = 0;
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Makes a file that has no batch yet.
fn create(path: &Path, salt: [u8; SALT_BYTES], sync: Sync) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all_at(&start(salt), 0)?;
    if sync == Sync::Full
        && let Some(directory) = path.parent()
    {
        // That there is such a file is to be found after a power cut, too.
        File::open(directory)?.sync_all()?;
    }
    Ok(file)
}

/// What the file begins with.
fn start(salt: [u8; SALT_BYTES]) -> [u8; START] {
    let mut start = [0; START];
    let (fields, crc) = start.split_at_mut(START - 4);
    fields.iter_mut().zip(MAGIC.into_iter().chain(salt)).for_each(|(field, byte)| *field = byte);
    crc.copy_from_slice(&crc32fast::hash(fields).to_le_bytes());
    start
}

/// What stands in front of a batch.
fn head(salt: [u8; SALT_BYTES], base: Base, number: u32, length: u32, crc: u32) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    let (fields, own_crc) = head.split_at_mut(HEAD_BYTES - 4);
    let numbers = [base.tables, number, length, crc];
    let bytes = base.fold.to_le_bytes().into_iter().chain(numbers.into_iter().flat_map(u32::to_le_bytes));
    fields.iter_mut().zip(bytes).for_each(|(field, byte)| *field = byte);
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt);
    hasher.update(fields);
    own_crc.copy_from_slice(&hasher.finalize().to_le_bytes());
    head
}

/// A batch in the file.
struct Batch<'a> {
    base: Base,
    number: u32,
    changes: &'a [u8],
    /// Where the next head would stand.
    end: usize,
}

impl<'a> Batch<'a> {
    /// The fold and number of the batch whose head stands there, if there is one.
    fn place(bytes: &[u8], at: usize) -> Option<(u64, u32)> {
        let (fold, rest) = bytes.get(at..)?.split_first_chunk()?;
        let (_, number) = rest.split_first_chunk::<4>()?;
        Some((u64::from_le_bytes(*fold), u32::from_le_bytes(*number.first_chunk()?)))
    }

    /// The batch whose head stands there, if there is one, and if it is whole.
    fn read(salt: [u8; SALT_BYTES], bytes: &'a [u8], at: usize) -> Option<Self> {
        let (found, behind) = bytes.get(at..)?.split_first_chunk::<HEAD_BYTES>()?;
        let (fold, fields) = found.split_first_chunk::<8>()?;
        let (fields, _) = fields.as_chunks::<4>();
        let &[tables, number, length, crc, _] = fields else { return None };
        let [tables, number, length, crc] = [tables, number, length, crc].map(u32::from_le_bytes);
        let base = Base { fold: u64::from_le_bytes(*fold), tables };
        if *found != head(salt, base, number, length, crc) {
            return None;
        }
        let length = usize::try_from(length).ok()?;
        let changes = behind.get(..length)?;
        let end = at + (HEAD_BYTES + length).next_multiple_of(ALIGNMENT);
        (crc32fast::hash(changes) == crc).then_some(Self { base, number, changes, end })
    }

    /// Whether it is the next one after these tables and so many batches.
    fn follows(&self, base: Base, count: u32) -> bool {
        self.base == base && self.number.checked_sub(1) == Some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::quick_directory;
    use super::*;

    fn after(fold: u64) -> Base {
        Base { fold, tables: 5 }
    }

    /// A file in a directory of its own, with these batches since this fold.
    fn holding(fold: u64, batches: &[&[u8]]) -> (tempfile::TempDir, PathBuf) {
        let directory = quick_directory();
        let path = directory.path().join("batches");
        let (mut file, _) = Batches::open(path.clone(), Sync::Normal, after(fold), &mut Vec::new()).unwrap();
        for batch in batches {
            file.append(batch).unwrap();
        }
        (directory, path)
    }

    fn open(path: &Path, fold: u64) -> (Batches, Vec<u8>, Option<&'static str>) {
        let mut changes = Vec::new();
        let (batches, damage) =
            Batches::open(path.to_owned(), Sync::Full, after(fold), &mut changes).unwrap();
        (batches, changes, damage)
    }

    const BATCHES: [&[u8]; 3] = [b"one", b"and another", b"12345678"];
    /// Where each of them ends.
    const ENDS: [usize; 3] = [START + 32, START + 32 + 40, START + 32 + 40 + 40];

    #[test]
    fn batches_are_there_again_wherever_their_writer_was_killed() {
        let (_directory, path) = holding(7, &BATCHES);
        let mut whole = fs::read(&path).unwrap();
        assert_eq!(whole.len() as u64, STEP_BYTES);
        whole.truncate(ENDS[2] + 100);
        for length in 0..ENDS[2] + 40 {
            for filler in [None, Some(0), Some(b'x')] {
                let mut left = whole[..length].to_vec();
                left.extend(filler.iter().cycle().take(whole.len() - length));
                fs::write(&path, left).unwrap();
                let (mut batches, changes, damage) = open(&path, 7);
                // Nobody who is killed leaves a start that is half written, and more behind it.
                if length < START && filler.is_some() && !(length == 0 && filler == Some(0)) {
                    assert!(damage.is_some(), "{length}");
                    continue;
                }
                assert_eq!(damage, None, "{length}");
                // The end of a batch may be padding, and a last byte may be what it was by chance.
                let count = ENDS.iter().filter(|&&end| end <= length.next_multiple_of(ALIGNMENT)).count();
                let fits = |count: usize| changes == BATCHES[..count].concat();
                assert!(fits(count) || (count > 0 && fits(count - 1)), "{length}: {changes:?}");
                let held = changes.len();
                batches.append(b"more").unwrap();
                let (_, changes, damage) = open(&path, 7);
                assert_eq!((&changes[held..], damage), (&b"more"[..], None), "{length}");
            }
        }
    }

    #[test]
    fn every_turned_bit_in_front_of_the_last_batch_is_found_and_what_is_lost_then_stays_lost() {
        let (_directory, path) = holding(7, &BATCHES);
        let whole = fs::read(&path).unwrap();
        for at in 0..ENDS[1] {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            fs::write(&path, &damaged).unwrap();
            let (mut batches, changes, damage) = open(&path, 7);
            let is_padding =
                (START + 28 + 3..ENDS[0]).contains(&at) || (ENDS[0] + 28 + 11..ENDS[1]).contains(&at);
            if is_padding {
                assert_eq!((changes, damage), (BATCHES.concat(), None), "{at}");
                continue;
            }
            assert!(damage.is_some(), "{at}");
            let before = ENDS[..2].iter().filter(|&&end| end <= at).count();
            assert_eq!(changes, BATCHES[..before].concat(), "{at}");
            batches.cut().unwrap();
            // As long as the one that was lost, so that those behind it would follow.
            batches.append(&b"xxxxxxxxxxx"[..BATCHES[before].len()]).unwrap();
            let (_, changes, damage) = open(&path, 7);
            assert_eq!(changes.len(), BATCHES[..=before].concat().len(), "{at}");
            assert_eq!(damage, None, "{at}");
        }
    }

    #[test]
    fn a_fold_begins_the_file_anew_and_what_is_left_of_it_does_not_count() {
        let (_directory, path) = holding(7, &BATCHES);
        let (mut batches, ..) = open(&path, 7);
        batches.begin_anew(after(8));
        assert_eq!(open(&path, 8).1, b"");
        batches.append(b"new").unwrap();
        let (batches, changes, damage) = open(&path, 8);
        assert_eq!((&changes[..], damage, batches.count()), (&b"new"[..], None, 1));
        let mut read = Vec::new();
        batches.read(&mut read).unwrap();
        assert_eq!(read, changes);
    }

    #[test]
    fn batches_after_a_fold_that_the_tables_know_nothing_of_are_told_as_lost() {
        let (_directory, path) = holding(7, &BATCHES);
        for (fold, is_lost) in [(6, true), (8, false)] {
            let (_, changes, damage) = open(&path, fold);
            assert_eq!((changes.len(), damage.is_some()), (0, is_lost), "{fold}");
        }
    }

    #[test]
    fn batches_of_other_tables_are_not_taken_but_told() {
        let (_directory, path) = holding(7, &BATCHES);
        let mut changes = Vec::new();
        let others = Base { tables: 6, ..after(7) };
        let (mut batches, damage) = Batches::open(path.clone(), Sync::Full, others, &mut changes).unwrap();
        assert_eq!((changes.len(), damage.is_some()), (0, true));
        batches.cut().unwrap();
        batches.append(b"own").unwrap();
        let (_, damage) = Batches::open(path, Sync::Full, others, &mut changes).unwrap();
        assert_eq!((&changes[..], damage), (&b"own"[..], None));
    }

    #[test]
    fn what_the_file_no_longer_has_is_not_folded() {
        let (_directory, path) = holding(7, &BATCHES);
        let (batches, ..) = open(&path, 7);
        batches.file.as_ref().unwrap().write_all_at(b"x", ENDS[1] as u64 + 28).unwrap();
        assert!(matches!(batches.read(&mut Vec::new()), Err(Trouble::Damaged(_))));
    }

    #[test]
    fn what_a_client_has_kept_passes_for_no_batch() {
        // With a salt that it can only guess.
        let forged = [&head([0; 8], after(7), 2, 4, crc32fast::hash(b"fake"))[..], b"fake"].concat();
        let (_directory, path) = holding(7, &[&forged]);
        let mut bytes = fs::read(&path).unwrap();
        bytes[START + 30] ^= 1;
        fs::write(&path, bytes).unwrap();
        let (_, changes, damage) = open(&path, 7);
        assert_eq!((changes.len(), damage), (0, None));
    }

    #[test]
    fn the_file_grows_in_steps_and_not_at_all_when_it_is_written_over() {
        let (_directory, path) = holding(1, &[]);
        let (mut batches, ..) = open(&path, 1);
        let length = || fs::metadata(&path).map_or(0, |file| file.len());
        let batch = vec![b'x'; usize::try_from(STEP_BYTES).unwrap() - START - HEAD_BYTES];
        for (fold, expected) in [(1, 1), (1, 2), (1, 3), (2, 3), (2, 3), (2, 3), (2, 4)] {
            if batches.base.fold != fold {
                batches.begin_anew(after(fold));
            }
            batches.append(&batch).unwrap();
            assert!(length().div_ceil(STEP_BYTES) == expected, "{fold} {expected}: {}", length());
        }
        batches.remove().unwrap();
        assert!(!path.exists());
    }
}
