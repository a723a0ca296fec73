//! What makes nonces and the numbers of pushes to keyed places (protocol, section 7).

use core::net::{IpAddr, SocketAddr};

use super::sessions::Origin;
use crate::limits::{NONCE_PERIOD, PUSHES_PER_RUN};
use crate::moment::Moment;
use crate::proof::{Proof, digits, hmac};

/// What makes nonces and the numbers of pushes.
#[derive(Debug)]
pub(super) struct Keyring {
    pub(super) secret: [u8; 32],
    /// How often the keys have changed: a nonce is worth nothing after that.
    pub(super) generation: u64,
    /// When what the keys have changed is to be seen to.
    pub(super) due: Option<Moment>,
    /// Numbers for pushes: the run's, in which batch it is kept, and how many of its pushes were numbered.
    run: Option<(u64, u64, u64)>,
}

impl Keyring {
    pub(super) fn new(seed: u64) -> Self {
        Self { secret: hmac(&seed.to_le_bytes(), &[]), generation: 0, due: None, run: None }
    }

    /// The nonce of an asker in the minute that is so many ago.
    pub(super) fn nonce(&self, now: Moment, ago: u64, origin: Origin, from: SocketAddr) -> Option<Proof> {
        let period = (now.since_start().as_secs() / NONCE_PERIOD.as_secs()).checked_sub(ago)?;
        let (scope, ip) = match from {
            SocketAddr::V4(v4) => (0, IpAddr::from(*v4.ip())),
            SocketAddr::V6(v6) => (v6.scope_id(), IpAddr::from(*v6.ip())),
        };
        let stream = match origin {
            Origin::Udp(_) => 0,
            Origin::Tcp(id) => id,
        };
        let kind: &[u8] = if matches!(origin, Origin::Udp(_)) { b"u" } else { b"t" };
        let ip = match ip {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        let numbers =
            [period, self.generation, stream, scope.into(), from.port().into()].map(u64::to_le_bytes);
        Some(digits(&hmac(&self.secret, &[kind, &ip, numbers.as_flattened()])))
    }

    /// The next number for a push, and the batch that must be kept before it leaves. `begin` gives a number for a run
    /// that was never given before, and the batch in which that is kept.
    pub(super) fn number(&mut self, begin: impl FnOnce() -> (u64, u64)) -> (u64, u64) {
        let (id, batch, count) = match self.run {
            Some(run @ (.., count)) if count < PUSHES_PER_RUN => run,
            Some(_) | None => {
                let (id, batch) = begin();
                (id, batch, 0)
            }
        };
        self.run = Some((id, batch, count + 1));
        (id * PUSHES_PER_RUN + count, batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_from_run_to_run() {
        let (mut ring, mut id, mut last) = (Keyring::new(1), 1, 0);
        for count in 0..=2 * PUSHES_PER_RUN {
            let (number, batch) = ring.number(|| {
                id += 3;
                (id, id * 10)
            });
            assert!(number > last, "{number} after {last}");
            assert_eq!((batch, id), (id * 10, 4 + 3 * (count / PUSHES_PER_RUN)));
            last = number;
        }
    }

    #[test]
    fn a_nonce_is_of_an_address_with_port_and_scope_a_connection_and_a_minute() {
        let (ring, now) = (Keyring::new(1), Moment::ZERO + core::time::Duration::from_mins(9));
        let udp = |text: &str| {
            let from: SocketAddr = text.parse().unwrap();
            ring.nonce(now, 0, Origin::Udp(from), from)
        };
        let from: SocketAddr = "10.0.0.1:5".parse().unwrap();
        let mut all = vec![
            udp("10.0.0.1:5"),
            udp("10.0.0.2:5"),
            udp("10.0.0.1:6"),
            udp("[fe80::1]:5"),
            udp("[fe80::1%2]:5"),
            ring.nonce(now, 0, Origin::Tcp(0), from),
            ring.nonce(now, 0, Origin::Tcp(1), from),
            ring.nonce(now, 1, Origin::Udp(from), from),
            Keyring::new(2).nonce(now, 0, Origin::Udp(from), from),
            Keyring { generation: 1, ..Keyring::new(1) }.nonce(now, 0, Origin::Udp(from), from),
        ];
        let later = now + core::time::Duration::from_secs(59);
        assert_eq!(ring.nonce(later, 0, Origin::Udp(from), from), udp("10.0.0.1:5"));
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        assert_eq!(
            ring.nonce(Moment::ZERO, 1, Origin::Udp(from), from),
            None,
            "there is no minute before the first"
        );
    }
}
