//! What happened, in order: as a hash, to tell two runs apart, and in words for whoever looks for a fault.

use std::collections::VecDeque;

/// How many events are kept in words.
const KEPT: usize = 400_000;

/// The events of one run.
pub struct Trace {
    hash: u64,
    /// The last events, if they are kept.
    last: Option<VecDeque<String>>,
}

impl Trace {
    /// Keeps the last events in words only if somebody will read them.
    pub fn new(keeps: bool) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, last: keeps.then(VecDeque::new) }
    }

    /// Notes an event: what happened to whom, and with which bytes.
    pub fn note(&mut self, now: u64, what: &str, whom: u64, bytes: &[u8]) {
        let head = now.to_le_bytes().into_iter().chain(whom.to_le_bytes());
        for byte in head.chain(what.bytes()).chain(bytes.iter().copied()) {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if let Some(last) = &mut self.last {
            if last.len() == KEPT {
                last.pop_front();
            }
            let (seconds, micros) = (now / 1_000_000, now % 1_000_000);
            last.push_back(format!("{seconds:4}.{micros:06} {what} {whom} {}", bytes.escape_ascii()));
        }
    }

    /// Equal for two runs in which the same happened.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The last events, oldest first.
    pub fn words(&self) -> String {
        let last = self.last.iter().flatten();
        last.fold(String::new(), |mut all, event| {
            all.push_str(event);
            all.push('\n');
            all
        })
    }
}
