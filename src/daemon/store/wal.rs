//! Looks whether SQLite's log, the `-wal` file, still holds all that was written to it.
//!
//! SQLite takes the log up to the first frame whose checksum is wrong, and says nothing of the rest: so it
//! survives a crash in the middle of a commit, but a damaged frame takes all that was kept after it along.
//! The form of the log is described in "WAL-mode File Format", in SQLite's documentation.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;

/// The header's first number; its last bit says whether the checksums are of big-endian numbers.
const MAGIC: u32 = 0x377f_0682;

/// How much is read at a time.
const READ_BYTES: usize = 64 * 1024;

/// What is wrong with the log at this path; `None` if nothing can be seen to be, or there is no log.
///
/// # Errors
///
/// The log cannot be read.
pub(super) fn damage(log: &Path) -> io::Result<Option<&'static str>> {
    match File::open(log) {
        Ok(log) => inspect(BufReader::with_capacity(READ_BYTES, log)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// What is wrong with this log. Whoever is killed leaves a log whose last transaction is not finished, and frames
/// of an earlier log may be behind: neither is damage. A finished transaction that SQLite will not take is.
fn inspect(mut log: impl Read) -> io::Result<Option<&'static str>> {
    let mut bytes = [0; HEADER_BYTES];
    if !read_whole(&mut log, &mut bytes)? {
        return Ok(None);
    }
    let Some(header) = Header::parse(&bytes) else {
        return Ok(read_whole(&mut log, &mut [0])?.then_some("the header of its log is damaged"));
    };
    let mut frame = vec![0; FRAME_HEADER_BYTES + header.page_bytes];
    let mut sums = Some(header.sums);
    while read_whole(&mut log, &mut frame)? {
        sums = sums.and_then(|before| header.follow(before, &frame));
        if sums.is_none() && header.finishes_transaction(&frame) {
            return Ok(Some("its log is damaged before its end"));
        }
    }
    Ok(None)
}

/// Whether there was enough left to read.
fn read_whole(log: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match log.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// A checksum, which each frame goes on with.
type Sums = [u32; 2];

/// What a log's header says.
struct Header {
    big_endian: bool,
    page_bytes: usize,
    /// Each log has others, and its frames repeat them.
    salts: [u32; 2],
    sums: Sums,
}

impl Header {
    /// Reads a header; `None` if it is damaged.
    fn parse(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let [magic, _version, page_bytes, _checkpoints, salt_1, salt_2, sum_1, sum_2] = numbers(bytes)?;
        let big_endian = magic == MAGIC | 1;
        let sums = add_up(big_endian, [0; 2], bytes.get(..HEADER_BYTES - 8)?);
        let is_valid = (big_endian || magic == MAGIC)
            && page_bytes.is_power_of_two()
            && (512..=65_536).contains(&page_bytes)
            && sums == [sum_1, sum_2];
        let page_bytes = usize::try_from(page_bytes).ok()?;
        is_valid.then_some(Self { big_endian, page_bytes, salts: [salt_1, salt_2], sums })
    }

    /// The checksum up to and with this frame, if the frame is valid after those before it.
    fn follow(&self, before: Sums, frame: &[u8]) -> Option<Sums> {
        let [page, _size, salt_1, salt_2, sum_1, sum_2] = numbers(frame)?;
        let sums = add_up(self.big_endian, before, frame.get(..8)?);
        let sums = add_up(self.big_endian, sums, frame.get(FRAME_HEADER_BYTES..)?);
        (page != 0 && [salt_1, salt_2] == self.salts && [sum_1, sum_2] == sums).then_some(sums)
    }

    /// Whether this frame was written to this log, as the last of its transaction.
    fn finishes_transaction(&self, frame: &[u8]) -> bool {
        numbers(frame)
            .is_some_and(|[_page, size, salt_1, salt_2]| size != 0 && [salt_1, salt_2] == self.salts)
    }
}

/// The first numbers of a header.
fn numbers<const COUNT: usize>(bytes: &[u8]) -> Option<[u32; COUNT]> {
    let (words, _) = bytes.as_chunks::<4>();
    words.first_chunk().map(|words| words.map(u32::from_be_bytes))
}

fn add_up(big_endian: bool, [mut first, mut second]: Sums, bytes: &[u8]) -> Sums {
    let number = |word| if big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) };
    let (words, _) = bytes.as_chunks::<4>();
    let (pairs, _) = words.as_chunks::<2>();
    for &[one, two] in pairs {
        first = first.wrapping_add(number(one)).wrapping_add(second);
        second = second.wrapping_add(number(two)).wrapping_add(first);
    }
    [first, second]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rusqlite::Connection;

    use super::*;

    const FRAME: usize = FRAME_HEADER_BYTES + 1024;

    /// A log of SQLite's with some transactions, of which the last has several frames.
    fn log() -> Vec<u8> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.db");
        let connection = Connection::open(&file).unwrap();
        connection
            .execute_batch(
                "PRAGMA page_size = 1024; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;
                 CREATE TABLE t (x); INSERT INTO t VALUES (1); INSERT INTO t VALUES (zeroblob(5000));",
            )
            .unwrap();
        let log = std::fs::read(directory.path().join("a.db-wal")).unwrap();
        assert!(log.len() > HEADER_BYTES + 6 * FRAME && (log.len() - HEADER_BYTES).is_multiple_of(FRAME));
        log
    }

    /// The same log as a machine of the other byte order writes it.
    fn of_other_endianness(mut log: Vec<u8>) -> Vec<u8> {
        let put = |bytes: &mut [u8], sums: Sums| {
            bytes[..4].copy_from_slice(&sums[0].to_be_bytes());
            bytes[4..8].copy_from_slice(&sums[1].to_be_bytes());
        };
        log[3] ^= 1;
        let big_endian = log[3] & 1 == 1;
        let mut sums = add_up(big_endian, [0; 2], &log[..24]);
        put(&mut log[24..], sums);
        for frame in log[HEADER_BYTES..].chunks_exact_mut(FRAME) {
            sums = add_up(big_endian, add_up(big_endian, sums, &frame[..8]), &frame[FRAME_HEADER_BYTES..]);
            put(&mut frame[16..], sums);
        }
        log
    }

    fn inspect(log: &[u8]) -> Option<&'static str> {
        super::inspect(log).unwrap()
    }

    #[test]
    fn a_whole_log_is_not_damaged_wherever_its_writer_was_killed() {
        for log in [log(), of_other_endianness(log())] {
            for length in 0..=log.len() {
                assert_eq!(inspect(&log[..length]), None, "{length}");
            }
        }
    }

    #[test]
    fn frames_of_an_earlier_log_and_of_a_transaction_that_was_not_finished_are_no_damage() {
        let mut whole = log();
        let earlier = log();
        whole.extend_from_slice(&earlier[HEADER_BYTES..]);
        assert_eq!(inspect(&whole), None);
        // What is left of a longer transaction behind a shorter one.
        let mut left = log();
        let last = left.len() - FRAME;
        let unfinished = left[last - FRAME..last].to_vec();
        left.extend_from_slice(&unfinished);
        assert_eq!(inspect(&left), None);
    }

    #[test]
    fn a_turned_bit_is_found_in_the_header_and_in_each_frame() {
        for log in [log(), of_other_endianness(log())] {
            let header = Header::parse(log.first_chunk().unwrap()).unwrap();
            let last = log.len() - FRAME;
            for at in 0..log.len() {
                let mut damaged = log.clone();
                damaged[at] ^= 0x10;
                if at < HEADER_BYTES {
                    assert_eq!(inspect(&damaged), Some("the header of its log is damaged"), "{at}");
                } else if at < last || header.finishes_transaction(&damaged[last..]) {
                    assert_eq!(inspect(&damaged), Some("its log is damaged before its end"), "{at}");
                } else {
                    // Whose frame the last one is is what was damaged.
                    assert!((last + 8..last + 16).contains(&at), "{at}");
                }
            }
        }
    }

    #[test]
    fn a_frame_that_was_never_written_is_found() {
        let mut log = log();
        log[HEADER_BYTES + FRAME..][..FRAME].fill(0);
        assert!(inspect(&log).is_some());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            valid in any::<bool>(),
            page in prop_oneof![(9_u32..17).prop_map(|bits| 1 << bits), any::<u32>()],
            bytes in proptest::collection::vec(any::<u8>(), 0..5000),
        ) {
            let mut bytes = bytes;
            if valid && bytes.len() >= HEADER_BYTES {
                bytes[..4].copy_from_slice(&MAGIC.to_be_bytes());
                bytes[8..12].copy_from_slice(&page.to_be_bytes());
                let [first, second] = add_up(false, [0; 2], &bytes[..24]);
                bytes[24..28].copy_from_slice(&first.to_be_bytes());
                bytes[28..32].copy_from_slice(&second.to_be_bytes());
            }
            super::inspect(bytes.as_slice()).unwrap();
        }
    }
}
