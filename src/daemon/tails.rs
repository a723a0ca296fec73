//! What has been half said on each connection that systemd keeps, where a killed daemon's successor finds it.
//!
//! One file in memory that systemd keeps with the connections. Each has room of its own in it, by its number: a little for
//! what is mostly to be known, that its lines end, and much where a line was cut. Between two whole lines nothing changes,
//! so that it is seldom written to.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

use nix::fcntl::{FallocateFlags, fallocate};
use nix::libc::off_t;
use nix::sys::memfd::{MFdFlags, memfd_create};
use serde::{Deserialize, Serialize};

use crate::hub::Conn;

/// Room for what is short, for each connection; the first is that of the count.
const SHORT_BYTES: usize = 64;

/// Where in the room of the count the connection stands that is being read from.
const MARK_AT: u64 = 8;

/// Connections that there is room for: more than there can be.
const MOST: u32 = 1 << 18;

/// Behind those the room for what is long, for each connection. Only what is written to takes memory.
const LONG_BYTES: u64 = 1 << 20;

/// In front of each tail: how long it is and its checksum, 4 bytes each.
const HEAD_BYTES: usize = 8;

/// What one connection holds between two whole lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tail {
    /// What it is called.
    pub(super) id: u64,
    /// What the hub has of an unfinished line.
    pub(super) stream: Vec<u8>,
    /// What was read and not yet given to the hub.
    pub(super) held: Vec<u8>,
    /// What is still to be written.
    pub(super) out: Vec<u8>,
}

/// All of them.
pub(super) struct Tails {
    file: File,
    /// How many connections have had a number.
    count: u32,
    /// Those that hold something long.
    long: BTreeSet<Conn>,
}

impl Tails {
    /// None yet.
    pub(super) fn new() -> io::Result<Self> {
        let memory = memfd_create(c"pigeond-tails", MFdFlags::MFD_CLOEXEC)?;
        Ok(Self { file: memory.into(), count: 0, long: BTreeSet::new() })
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Writes what one connection holds.
    ///
    /// # Errors
    ///
    /// There is no room, in the file or for it.
    pub(super) fn write(&mut self, conn: Conn, tail: &Tail) -> io::Result<()> {
        let mut bytes = postcard::to_extend(tail, vec![0; HEAD_BYTES]).map_err(io::Error::other)?;
        let (head, body) = bytes.split_at_mut(HEAD_BYTES);
        let length = u32::try_from(body.len()).map_err(io::Error::other)?;
        let fields = length.to_le_bytes().into_iter().chain(crc32fast::hash(body).to_le_bytes());
        head.iter_mut().zip(fields).for_each(|(byte, field)| *byte = field);
        if bytes.len() as u64 > LONG_BYTES || conn.0 >= MOST - 1 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if conn.0 >= self.count {
            self.file.write_all_at(&(conn.0 + 1).to_le_bytes(), 0)?;
            self.count = conn.0 + 1;
        }
        // The new one first: what is long counts where both are there.
        if bytes.len() > SHORT_BYTES {
            self.file.write_all_at(&bytes, long(conn))?;
            self.long.insert(conn);
            return self.file.write_all_at(&[0; HEAD_BYTES], short(conn));
        }
        self.file.write_all_at(&bytes, short(conn))?;
        self.clear_long(conn)
    }

    /// One connection holds nothing any more, or is gone.
    pub(super) fn clear(&mut self, conn: Conn) -> io::Result<()> {
        if conn.0 < self.count {
            self.file.write_all_at(&[0; HEAD_BYTES], short(conn))?;
        }
        self.clear_long(conn)
    }

    fn clear_long(&mut self, conn: Conn) -> io::Result<()> {
        if !self.long.remove(&conn) {
            return Ok(());
        }
        self.file.write_all_at(&[0; HEAD_BYTES], long(conn))?;
        // Where offsets have 32 bits the memory of the highest numbers is only used again.
        if let (Ok(at), Ok(length)) = (off_t::try_from(long(conn)), off_t::try_from(LONG_BYTES)) {
            let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
            fallocate(&self.file, hole, at, length)?;
        }
        Ok(())
    }

    /// What this connection holds is about to change: until [`Self::unmark`] nobody could go on with it.
    pub(super) fn mark(&self, id: u64) -> io::Result<()> {
        self.file.write_all_at(&id.to_le_bytes(), MARK_AT)
    }

    /// What is written is true of every connection.
    pub(super) fn unmark(&self) -> io::Result<()> {
        self.mark(0)
    }

    /// Reads what the last run left, by what the connections are called; and the one, if any, that was being read from
    /// when that was killed. What was being written then is left out.
    pub(super) fn read(left: &File) -> io::Result<(BTreeMap<u64, Tail>, Option<u64>)> {
        let mut tails = BTreeMap::new();
        if left.metadata()?.len() == 0 {
            return Ok((tails, None));
        }
        let (mut count, mut mark) = ([0; 4], [0; 8]);
        left.read_exact_at(&mut count, 0)?;
        // A file that ends before it was never marked.
        let marked =
            left.read_exact_at(&mut mark, MARK_AT).map(|()| u64::from_le_bytes(mark)).unwrap_or_default();
        for conn in (0..u32::from_le_bytes(count).min(MOST)).map(Conn) {
            if let Some(tail) = read_one(left, long(conn)).or_else(|| read_one(left, short(conn))) {
                tails.insert(tail.id, tail);
            }
        }
        Ok((tails, (marked != 0).then_some(marked)))
    }
}

fn short(conn: Conn) -> u64 {
    (u64::from(conn.0) + 1) * SHORT_BYTES as u64
}

fn long(conn: Conn) -> u64 {
    u64::from(MOST) * SHORT_BYTES as u64 + u64::from(conn.0) * LONG_BYTES
}

fn read_one(left: &File, at: u64) -> Option<Tail> {
    let mut head = [0; HEAD_BYTES];
    left.read_exact_at(&mut head, at).ok()?;
    let [a, b, c, d, crc @ ..] = head;
    let length = usize::try_from(u32::from_le_bytes([a, b, c, d])).ok()?;
    if length == 0 || (length + HEAD_BYTES) as u64 > LONG_BYTES {
        return None;
    }
    let mut body = vec![0; length];
    left.read_exact_at(&mut body, at + HEAD_BYTES as u64).ok()?;
    if crc32fast::hash(&body) != u32::from_le_bytes(crc) {
        return None;
    }
    postcard::from_bytes(&body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(id: u64, length: usize) -> Tail {
        Tail { id, stream: vec![b's'; length], held: b"INC\n".to_vec(), out: Vec::new() }
    }

    fn left(tails: &Tails) -> Vec<Tail> {
        Tails::read(&tails.file).unwrap().0.into_values().collect()
    }

    #[test]
    fn the_connection_that_was_being_read_from_is_known() {
        let mut tails = Tails::new().unwrap();
        let marked = |tails: &Tails| Tails::read(&tails.file).unwrap().1;
        assert_eq!(marked(&tails), None);
        tails.mark(7).unwrap();
        assert_eq!(marked(&tails), Some(7));
        tails.write(Conn(0), &tail(7, 5)).unwrap();
        tails.unmark().unwrap();
        assert_eq!((marked(&tails), left(&tails).len()), (None, 1));
    }

    #[test]
    fn what_was_written_last_is_read_and_what_was_cleared_is_not() {
        let mut tails = Tails::new().unwrap();
        assert_eq!(left(&tails), []);
        for (conn, length) in [(0, 0), (1, 10_000), (2, 0), (7, 700_000), (8, 0)] {
            tails.write(Conn(conn), &tail(conn.into(), length)).unwrap();
        }
        tails.write(Conn(7), &tail(70, 3)).unwrap();
        tails.write(Conn(8), &tail(80, 3000)).unwrap();
        for conn in [1, 2, 9] {
            tails.clear(Conn(conn)).unwrap();
        }
        assert_eq!(left(&tails), [tail(0, 0), tail(70, 3), tail(80, 3000)]);
    }

    #[test]
    fn what_is_too_long_is_refused_and_leaves_the_next_alone() {
        let mut tails = Tails::new().unwrap();
        tails.write(Conn(1), &tail(1, 5)).unwrap();
        assert!(tails.write(Conn(0), &tail(0, 1 << 20)).is_err());
        assert!(tails.write(Conn(MOST), &tail(0, 5)).is_err());
        tails.write(Conn(0), &tail(2, (1 << 20) - 100)).unwrap();
        assert_eq!(left(&tails), [tail(1, 5), tail(2, (1 << 20) - 100)]);
    }

    #[test]
    fn damage_anywhere_loses_one_tail_and_no_more() {
        for at in 0..40 {
            let mut tails = Tails::new().unwrap();
            for id in 0..2 {
                tails.write(Conn(u32::try_from(id).unwrap()), &tail(id, 20)).unwrap();
            }
            tails.file.write_all_at(b"\xff", short(Conn(0)) + at).unwrap();
            let read = left(&tails);
            assert!(read.contains(&tail(1, 20)) && read.len() <= 2, "{at}");
            assert!(read.iter().all(|tail| tail.stream.len() == 20), "{at}");
        }
    }
}
