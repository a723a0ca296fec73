//! Names that nobody can guess.

use std::fs::File;
use std::io::Read;

use super::exit::{Exit, Failure};
use crate::names::Session;

/// What a session's name is made of.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";

/// A name for a session, from the system's source of chance, and a number as hard to guess.
#[derive(Debug)]
pub(super) struct SessionName {
    name: Vec<u8>,
    pub(super) seed: u64,
}

/// Bytes from the system's source of chance.
pub(super) fn random<const BYTES: usize>() -> Result<[u8; BYTES], Failure> {
    let mut random = [0; BYTES];
    File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut random))?;
    Ok(random)
}

impl SessionName {
    pub(super) fn random() -> Result<Self, Failure> {
        let random = random::<24>()?;
        let (name, seed) = random.split_at(16);
        let name = name.iter().filter_map(|b| ALPHABET.get(usize::from(b % 64)).copied()).collect();
        Ok(Self { name, seed: seed.iter().fold(0, |seed, &b| seed << 8 | u64::from(b)) })
    }

    pub(super) fn session(&self) -> Result<Session<'_>, Failure> {
        Session::parse(&self.name).ok_or_else(|| Failure::new(Exit::Software, "no name for a session"))
    }
}
