//! The thread that writes: it commits what it is handed, and folds when there is time or need.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender, TrySendError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::mpsc as results;

use super::{Store, Trouble};
use crate::machine::proc;

/// After so long without a commit the batches are folded: whoever reads the tables then sees everything.
const QUIET: Duration = Duration::from_secs(5);

/// After so long they are folded in any case.
const LONG: Duration = Duration::from_secs(30);

/// How often the thread asks the system how much it has written, at most, but for folds.
const COUNT_EVERY: Duration = Duration::from_millis(100);

/// What became of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::daemon) struct Done {
    /// Whether the batch is kept. If not, nothing of it is.
    pub(in crate::daemon) result: Result<(), Failure>,
}

/// Why a batch was not kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::daemon) enum Failure {
    /// There is no room; there may be later.
    #[error("the disk is full")]
    DiskFull,
    /// Anything else, in the system's or SQLite's words.
    #[error("{0}")]
    Failed(String),
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        if trouble.is_disk_full() { Self::DiskFull } else { Self::Failed(trouble.to_string()) }
    }
}

/// The daemon's end: batches go in, and each comes out as a [`Done`]. Dropping it waits until all is written.
#[derive(Debug)]
pub(in crate::daemon) struct Writer {
    batches: Option<SyncSender<Vec<u8>>>,
    written: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread. The results come in the order of the batches; room for two is kept, which is more than
    /// there can be, as only one commit is under way at a time.
    ///
    /// # Errors
    ///
    /// The system allows no more threads.
    pub(super) fn start(store: Store) -> io::Result<(Self, results::Receiver<Done>)> {
        let (batches, inbox) = mpsc::sync_channel(1);
        let (done, outbox) = results::channel(2);
        let written = Arc::<AtomicU64>::default();
        let count = Written { bytes: Arc::clone(&written), counted: None, is_stale: false };
        let thread = Thread { store, broken: false, unfolded_since: None, written: count, warned: None };
        let thread = thread::Builder::new()
            .name("pigeond-store".to_owned())
            .spawn(move || thread.run(&inbox, &done))?;
        Ok((Self { batches: Some(batches), written, thread: Some(thread) }, outbox))
    }

    /// Hands over a batch to be kept. Never waits.
    ///
    /// # Errors
    ///
    /// The batch was not taken, and no [`Done`] will come for it: another still waits, or the thread has ended.
    pub(in crate::daemon) fn commit(&self, batch: Vec<u8>) -> Result<(), Failure> {
        let Some(batches) = &self.batches else {
            return Err(Failure::Failed("the store is closed".to_owned()));
        };
        batches.try_send(batch).map_err(|error| match error {
            TrySendError::Full(_) => Failure::Failed("another commit is still under way".to_owned()),
            TrySendError::Disconnected(_) => Failure::Failed("the thread that writes has ended".to_owned()),
        })
    }

    /// How many bytes the thread has written since it started, as of at most a moment ago; 0 where the system does
    /// not say.
    pub(in crate::daemon) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Ends the thread once all is written and folded, and closes the file.
    pub(in crate::daemon) fn close(self) {
        drop(self);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.batches.take());
        if let Some(thread) = self.thread.take() {
            // It panics only if the program is wrong, and then has said so.
            let _ = thread.join();
        }
    }
}

struct Thread {
    store: Store,
    /// Whether the file must be opened anew first.
    broken: bool,
    /// When the first batch since the last fold came.
    unfolded_since: Option<Instant>,
    written: Written,
    /// The trouble with folding that was logged last: it would come again and again.
    warned: Option<String>,
}

impl Thread {
    fn run(mut self, inbox: &mpsc::Receiver<Vec<u8>>, done: &results::Sender<Done>) {
        loop {
            match inbox.recv_timeout(if self.written.is_stale { COUNT_EVERY } else { QUIET }) {
                Ok(batch) => {
                    let result = self.commit(&batch);
                    self.written.count_if_due();
                    // Nobody listens any more only while the daemon ends.
                    let _ = done.try_send(Done { result });
                    if self.is_time_to_fold() {
                        self.fold();
                    }
                }
                Err(RecvTimeoutError::Timeout) if self.written.is_stale => self.written.count(),
                Err(RecvTimeoutError::Timeout) => {
                    if self.store.ledger.has_batches() {
                        self.fold();
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let repaired = self.repair();
        if let Err(trouble) = repaired.and_then(|()| self.store.ledger.close()) {
            tracing::warn!("the state file was not closed in good order: {trouble}");
        }
    }

    fn commit(&mut self, batch: &[u8]) -> Result<(), Failure> {
        self.repair()?;
        self.store.ledger.commit(batch).map_err(|trouble| self.judge(trouble).into())
    }

    #[expect(clippy::disallowed_methods, reason = "a shell, where time passes")]
    fn is_time_to_fold(&mut self) -> bool {
        let since = self.unfolded_since.get_or_insert_with(Instant::now);
        since.elapsed() >= LONG || self.store.ledger.is_full()
    }

    /// A fold that fails is no harm: the batches are still there, and it is tried again.
    fn fold(&mut self) {
        self.unfolded_since = None;
        let folded = self.repair().and_then(|()| self.store.ledger.fold());
        self.warned = folded.map_err(|trouble| self.judge(trouble).to_string()).err().inspect(|trouble| {
            if self.warned.as_ref() != Some(trouble) {
                tracing::warn!("the state file cannot be tidied up now: {trouble}");
            }
        });
        self.written.count();
    }

    fn repair(&mut self) -> Result<(), Trouble> {
        if self.broken {
            self.store.ledger.reopen()?;
            self.broken = false;
        }
        Ok(())
    }

    /// After any trouble but a full disk the file is opened anew.
    fn judge(&mut self, trouble: Trouble) -> Trouble {
        self.broken |= !trouble.is_disk_full();
        trouble
    }
}

/// How many bytes this thread has written.
#[derive(Debug)]
struct Written {
    /// What was counted last, for all to see.
    bytes: Arc<AtomicU64>,
    counted: Option<Instant>,
    /// Whether something was written since.
    is_stale: bool,
}

impl Written {
    /// Something was written: counts, unless it was done just now.
    fn count_if_due(&mut self) {
        if self.counted.is_none_or(|counted| counted.elapsed() >= COUNT_EVERY) {
            self.count();
        } else {
            self.is_stale = true;
        }
    }

    #[expect(clippy::disallowed_methods, reason = "a shell, which asks the system now and then")]
    fn count(&mut self) {
        self.counted = Some(Instant::now());
        self.is_stale = false;
        let io = fs::read_to_string("/proc/thread-self/io").unwrap_or_default();
        let bytes = proc::figure(&io, "wchar").and_then(|bytes| bytes.parse().ok());
        self.bytes.store(bytes.unwrap_or(0), Ordering::Relaxed);
    }
}
