//! From one run to the next: what the last one left is taken up, and what this one leaves is handed over.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use super::bind::{self, Bound, Wanted};
use super::descriptors::{self, Name};
use super::keeper::Keeper;
use super::run::Daemon;
use super::{systemd, tcp};
use crate::limits::{MAX_DRAIN_TIME, MAX_STOP_TIME};

impl Daemon {
    /// Goes on with what the last run left. Connections are kept only together with the state that says who is there.
    pub(super) fn resume(&mut self, streams: Vec<(u64, TcpStream)>, tails: Option<&File>, is_same: bool) {
        let keeps = descriptors::are_kept() && self.shared.borrow().saves();
        let keeper = if keeps { Keeper::start() } else { Err(io::ErrorKind::Unsupported.into()) };
        let streams = if is_same && keeper.is_ok() { streams } else { end(streams) };
        match keeper {
            Ok(keeper) => {
                let reopened = self.shared.borrow_mut().reopen(keeper, streams, tails);
                if !reopened.is_empty() {
                    tracing::info!("{} connections of the last run go on", reopened.len());
                }
                for connection in reopened {
                    tcp::go_on(&self.shared, connection);
                }
            }
            Err(error) => {
                if keeps {
                    tracing::warn!("connections cannot be kept for a restart: {error}");
                }
                self.shared.borrow_mut().resume_all(&[]);
            }
        }
    }

    /// Answers what has arrived, leaves the connections to the next run or closes them, and is done within
    /// [`MAX_STOP_TIME`].
    pub(super) async fn stop(&mut self) {
        let end = {
            let core = self.shared.borrow();
            core.instant(core.now() + MAX_STOP_TIME)
        };
        systemd::stopping();
        tracing::info!("stopping");
        // What has come shows once the kernel was asked.
        tokio::task::yield_now().await;
        let deadline = {
            let mut core = self.shared.borrow_mut();
            let deadline = core.now() + MAX_DRAIN_TIME;
            core.drain_datagrams(deadline);
            deadline
        };
        for served in self.sockets.values() {
            // No more is taken from the sockets; what may be sent still is.
            served.task.abort();
            if let Some(listener) = &served.tcp {
                tcp::drain(&self.shared, listener, deadline);
            }
        }
        // And on the connections that were just accepted.
        tokio::task::yield_now().await;
        let keeps = self.shared.borrow().keeper.is_some();
        if keeps {
            let mut core = self.shared.borrow_mut();
            core.drain_streams(deadline);
            core.streams.frozen = true;
        }
        let ended = async {
            loop {
                self.shared.borrow_mut().drain_streams(deadline);
                let saved = self.shared.borrow_mut().save_rest();
                if saved && (keeps || self.shared.borrow().streams.all_ended()) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout_at(end, ended).await.is_err() {
            tracing::warn!("some clients did not read their last replies, or the disk is too slow");
        }
        let mut core = self.shared.borrow_mut();
        if keeps {
            core.hand_over();
        }
        core.close();
        drop(core);
        tracing::info!("stopped");
    }
}

/// What is wanted and was kept, and what must be bound.
pub(super) fn kept(
    wanted: Vec<Wanted>,
    left: &mut BTreeMap<Wanted, Bound>,
) -> (BTreeMap<Wanted, Bound>, Vec<Wanted>) {
    let (mut kept, mut new) = (BTreeMap::new(), Vec::new());
    for wanted in wanted {
        match left.remove(&wanted) {
            Some(socket) => {
                kept.insert(wanted, socket);
            }
            None => new.push(wanted),
        }
    }
    (kept, new)
}

/// Binds what systemd may be about to give up: it closes what it kept of it some time after it was told.
pub(super) async fn bind_patiently(wanted: &[Wanted]) -> Result<BTreeMap<Wanted, Bound>, bind::Error> {
    descriptors::wait_until_kept();
    let mut tries = if descriptors::are_kept() { TRIES } else { 1 };
    loop {
        tries -= 1;
        match bind::bind(wanted) {
            Err(bind::Error::Taken { .. }) if tries > 0 => tokio::time::sleep(TRY_AGAIN).await,
            result => return result,
        }
    }
}

/// How often, and after what time each, a port that is taken is tried again where systemd starts the daemon: so it does not
/// start it several times a second while another program has the port, either.
const TRIES: u32 = 20;
const TRY_AGAIN: Duration = Duration::from_millis(100);

/// Ends connections whose clients nobody knows any more: they connect again, and JOIN.
fn end(streams: Vec<(u64, TcpStream)>) -> Vec<(u64, TcpStream)> {
    for (id, stream) in streams {
        descriptors::forget(Name::Stream(id));
        let _ = stream.shutdown(Shutdown::Both);
    }
    Vec::new()
}
