//! From the state file to the hub that goes on from it, and the results of its commits.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::Read as _;

use super::core::Shared;
use super::files;
use super::store::{self, Done, OpenError, Store};
use crate::config::Config;
use crate::hub::Hub;
use crate::moment::Moment;

/// Where the system gives out what nobody can foresee.
const RANDOMNESS: &str = "/dev/urandom";

/// A hub as [`restored`], whose nonces nobody can foresee.
pub(super) fn open(config: &Config) -> Result<(Hub, Option<Store>, bool), OpenError> {
    let (mut hub, store, is_same) = restored(config)?;
    let mut randomness = [0; 32];
    if let Err(error) = File::open(RANDOMNESS).and_then(|mut file| file.read_exact(&mut randomness)) {
        // Hash maps are keyed with what the system gives out too.
        tracing::debug!("{RANDOMNESS} cannot be read: {error}");
        for (part, number) in randomness.chunks_mut(8).zip(0_u8..) {
            part.copy_from_slice(&RandomState::new().hash_one(number).to_le_bytes());
        }
    }
    hub.stir(&randomness);
    Ok((hub, store, is_same))
}

/// A hub that goes on where the last one ended, if the state is kept, and where it is kept; and whether it knows what
/// that one knew.
fn restored(config: &Config) -> Result<(Hub, Option<Store>, bool), OpenError> {
    let seed = RandomState::new().hash_one(0);
    let settings = files::settings(config);
    let Some(directory) = store::directory(&config.state, |name| std::env::var_os(name)) else {
        return Ok((Hub::new(settings, Moment::ZERO, seed), None, false));
    };
    let build = |batches: &[u8]| Hub::restore(settings.clone(), seed, batches);
    let mut opened = Store::open(&directory, config.state.sync, build)?;
    let is_same = opened.set_aside.is_none() && opened.rolled_back.is_none();
    if let Some(damaged) = opened.set_aside {
        let (path, why) = (damaged.path.display(), damaged.why);
        tracing::warn!("the state was damaged and is now {path}; the hub begins without it: {why}");
        opened.state.note_set_aside();
    }
    if let Some(copy) = opened.rolled_back {
        let (path, why) = (copy.path.display(), copy.why);
        tracing::warn!(
            "what was saved last in the state is damaged and lost; a copy of the state is {path}: {why}"
        );
        opened.state.note_set_aside();
    }
    tracing::info!("the state is kept in {}", directory.display());
    Ok((opened.state, Some(opened.store), is_same))
}

/// Turns that what is to be saved may grow for: those who were answered after the last commit ask again meanwhile.
const TURNS: usize = 3;

/// Hands over what is to be saved once everybody who is ready has had a turn: they share the commit.
pub(super) async fn commit(shared: Shared) {
    let Some(wanted) = shared.borrow().commit_wanted() else { return };
    loop {
        wanted.notified().await;
        let mut before = 0;
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
            let gathered = shared.borrow().gathered_bytes();
            if gathered == before {
                break;
            }
            before = gathered;
        }
        shared.borrow_mut().commit();
    }
}

/// Tells the hub what became of its commits.
pub(super) async fn hear(shared: Shared, mut results: tokio::sync::mpsc::Receiver<Done>) {
    while let Some(done) = results.recv().await {
        shared.borrow_mut().committed(&done);
    }
}
