//! What has been half said on each connection that systemd keeps, where a killed daemon's successor finds it.
//!
//! One file in memory that systemd keeps with the connections; each has room of its own in it, at its number. What a
//! connection holds between two whole lines is nothing, so the file is written to only where a line was cut.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::memfd::{MFdFlags, memfd_create};
use serde::{Deserialize, Serialize};

use crate::hub::Conn;

/// Room for each connection. Only what is written to takes memory.
const ROOM_BYTES: u64 = 1 << 20;

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
pub(super) struct Tails(File);

impl Tails {
    /// None yet.
    pub(super) fn new() -> io::Result<Self> {
        let memory = memfd_create(c"pigeond-tails", MFdFlags::MFD_CLOEXEC)?;
        Ok(Self(memory.into()))
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Writes what one connection holds; whether there was room.
    pub(super) fn write(&self, conn: Conn, tail: &Tail) -> io::Result<()> {
        let mut bytes = postcard::to_extend(tail, vec![0; HEAD_BYTES]).map_err(io::Error::other)?;
        let (head, body) = bytes.split_at_mut(HEAD_BYTES);
        let length = u32::try_from(body.len()).map_err(io::Error::other)?;
        let fields = length.to_le_bytes().into_iter().chain(crc32fast::hash(body).to_le_bytes());
        head.iter_mut().zip(fields).for_each(|(byte, field)| *byte = field);
        if bytes.len() as u64 > ROOM_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.write_all_at(&bytes, offset(conn))
    }

    /// One connection holds nothing any more, or is gone.
    pub(super) fn clear(&self, conn: Conn) -> io::Result<()> {
        let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        let (at, length) = (offset(conn).cast_signed(), ROOM_BYTES.cast_signed());
        Ok(fallocate(&self.0, hole, at, length)?)
    }

    /// Reads what the last run left, by what the connections are called. What was being written when that was killed is
    /// left out.
    pub(super) fn read(left: &File) -> io::Result<BTreeMap<u64, Tail>> {
        let mut tails = BTreeMap::new();
        for at in (0..left.metadata()?.len()).step_by(1 << 20) {
            if let Some(tail) = read_one(left, at) {
                tails.insert(tail.id, tail);
            }
        }
        Ok(tails)
    }
}

fn offset(conn: Conn) -> u64 {
    u64::from(conn.0) * ROOM_BYTES
}

fn read_one(left: &File, at: u64) -> Option<Tail> {
    let mut head = [0; HEAD_BYTES];
    left.read_exact_at(&mut head, at).ok()?;
    let [a, b, c, d, crc @ ..] = head;
    let length = usize::try_from(u32::from_le_bytes([a, b, c, d])).ok()?;
    if length == 0 || (length + HEAD_BYTES) as u64 > ROOM_BYTES {
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

    #[test]
    fn what_was_written_is_read_and_what_was_cleared_is_not() {
        let tails = Tails::new().unwrap();
        for (conn, length) in [(0, 0), (1, 10_000), (7, 700_000)] {
            tails.write(Conn(conn), &tail(conn.into(), length)).unwrap();
        }
        tails.write(Conn(7), &tail(70, 3)).unwrap();
        tails.clear(Conn(1)).unwrap();
        let read = Tails::read(&tails.0).unwrap();
        assert_eq!(read.into_values().collect::<Vec<_>>(), [tail(0, 0), tail(70, 3)]);
    }

    #[test]
    fn what_is_too_long_is_refused_and_leaves_the_next_alone() {
        let tails = Tails::new().unwrap();
        tails.write(Conn(1), &tail(1, 5)).unwrap();
        assert!(tails.write(Conn(0), &tail(0, 1 << 20)).is_err());
        assert_eq!(Tails::read(&tails.0).unwrap().into_values().collect::<Vec<_>>(), [tail(1, 5)]);
    }

    #[test]
    fn damage_anywhere_loses_one_tail_and_no_more() {
        let tails = Tails::new().unwrap();
        for at in 0..40 {
            tails.write(Conn(0), &tail(0, 20)).unwrap();
            tails.write(Conn(1), &tail(1, 20)).unwrap();
            tails.0.write_all_at(b"\xff", at).unwrap();
            let read = Tails::read(&tails.0).unwrap();
            assert!(read.contains_key(&1) && read.get(&0).is_none_or(|left| *left == tail(0, 20)), "{at}");
        }
    }
}
