//! The proof that a line comes from who knows a client's secret, and is meant for whom it reaches (protocol, section 7).
//!
//! HMAC-SHA256 (RFC 2104) throughout. A session has a key of its own, so that nothing recorded in one is of worth in
//! another; the first byte of what is proved says which way it goes, so that nothing can be turned round.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::limits::MAC_DIGITS;

/// Sixteen lower-case hexadecimal digits: the first 64 bits of an HMAC-SHA256.
pub type Proof = [u8; MAC_DIGITS];

/// Which way a line goes, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A request, from the client to the hub: `>s.number LINE`.
    Request,
    /// The reply to it: `<s.number LINE`.
    Reply,
    /// A push: `<s@number LINE`.
    Push,
}

/// What is needed to prove and to check the lines of one session.
#[derive(Clone)]
pub struct SessionKey([u8; 32]);

impl core::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SessionKey(..)")
    }
}

impl SessionKey {
    /// The key of a session that began with this nonce: HMAC(secret, `session nonce`).
    #[must_use]
    pub fn new(secret: &[u8], session: &str, nonce: &str) -> Self {
        Self(hmac(secret, &[session.as_bytes(), b" ", nonce.as_bytes()]))
    }

    /// The proof of a line, which is what stands behind the tag or number and its space, without line end.
    #[must_use]
    pub fn prove(&self, way: Way, session: &str, number: u64, line: &[u8]) -> Proof {
        let (direction, sign): (&[u8], &[u8]) = match way {
            Way::Request => (b">", b"."),
            Way::Reply => (b"<", b"."),
            Way::Push => (b"<", b"@"),
        };
        let number = number.to_string();
        digits(&hmac(&self.0, &[direction, session.as_bytes(), sign, number.as_bytes(), b" ", line]))
    }

    /// Whether this is the proof of the line. The time it takes does not tell how much of it is right.
    #[must_use]
    pub fn is_proved(&self, way: Way, session: &str, number: u64, line: &[u8], proof: &[u8]) -> bool {
        self.prove(way, session, number, line).ct_eq(proof).into()
    }
}

/// HMAC-SHA256 of the parts, one after the other.
#[must_use]
pub fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // A key of any length is taken.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// The first digits of a hash.
#[must_use]
pub fn digits(hash: &[u8; 32]) -> Proof {
    let mut proof = [0; MAC_DIGITS];
    for (pair, byte) in proof.chunks_mut(2).zip(hash) {
        for (digit, half) in pair.iter_mut().zip([byte >> 4, byte & 15]) {
            *digit = if half < 10 { b'0' + half } else { b'a' + half - 10 };
        }
    }
    proof
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Worked out with Python's `hmac`.
    #[test]
    fn proofs_are_those_that_ten_lines_of_python_make() {
        assert_eq!(&digits(&hmac(b"Jefe", &[b"what do ya want ", b"for nothing?"])), b"5bdcc146bf60754e");
        let key = SessionKey::new(b"secret", "k3x9", "7f3a");
        for (way, proof) in [
            (Way::Request, b"918f5fe9d6f0c09c"),
            (Way::Reply, b"2effec820e67eff8"),
            (Way::Push, b"0bdd92f0e03ffd4f"),
        ] {
            assert_eq!(str::from_utf8(&key.prove(way, "k3x9", 1, b"INC")), str::from_utf8(proof));
            assert!(key.is_proved(way, "k3x9", 1, b"INC", &key.prove(way, "k3x9", 1, b"INC")));
        }
    }

    #[test]
    fn a_proof_is_of_one_line_number_session_and_way_only() {
        let key = SessionKey::new(b"secret", "s", "n");
        let proof = key.prove(Way::Request, "s", 12, b"INC a");
        assert!(!key.is_proved(Way::Request, "s", 12, b"INC b", &proof));
        assert!(!key.is_proved(Way::Request, "s", 1, b"INC a", &proof));
        assert!(!key.is_proved(Way::Request, "t", 12, b"INC a", &proof));
        assert!(!key.is_proved(Way::Reply, "s", 12, b"INC a", &proof));
        assert!(!key.is_proved(Way::Push, "s", 12, b"INC a", &proof));
        assert!(!key.is_proved(Way::Request, "s", 12, b"INC a", &proof[..8]));
        assert!(!SessionKey::new(b"other", "s", "n").is_proved(Way::Request, "s", 12, b"INC a", &proof));
        assert!(!SessionKey::new(b"secret", "s", "m").is_proved(Way::Request, "s", 12, b"INC a", &proof));
    }
}
