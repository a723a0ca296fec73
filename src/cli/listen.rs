//! `listen` and `watch`: print what the hub pushes, until Ctrl+C.

use std::os::fd::AsFd;

use super::client::{Client, Happening};
use super::exit::{Exit, Failure};
use super::output::Output;
use super::settings::Settings;
use super::signals::Interrupt;

/// With `keep` the mailbox stays at the hub, so that what is sent later waits for the next listener.
pub(super) fn listen(settings: &Settings, out: &mut Output, keep: bool) -> Result<(), Failure> {
    if keep && settings.code.is_none() {
        let why = "only under a code of one's own can mail wait: --as CODE, or `as` in the configuration";
        return Err(Failure::new(Exit::Usage, why));
    }
    let code = own_or_random_code(settings, "listen")?;
    let interrupt = Interrupt::register()?;
    let mut client = Client::join_mailbox(settings, &code, &interrupt)?;
    let ended = follow(&mut client, &interrupt, out);
    if keep {
        client.leave_mailbox();
    } else {
        client.leave();
    }
    ended
}

pub(super) fn watch(settings: &Settings, out: &mut Output, pattern: &str) -> Result<(), Failure> {
    let code = own_or_random_code(settings, "watch")?;
    let interrupt = Interrupt::register()?;
    let mut client = Client::join_mailbox(settings, &code, &interrupt)?;
    let watching = client.take_place(format!("WATCH {pattern}").into_bytes(), Some(&interrupt));
    let ended = watching.and_then(|()| follow(&mut client, &interrupt, out));
    client.leave();
    ended
}

/// Prints each push before the next is awaited, which acknowledges it.
fn follow(client: &mut Client, interrupt: &Interrupt, out: &mut Output) -> Result<(), Failure> {
    loop {
        match client.next(None, &[interrupt.as_fd()])? {
            Happening::Pushed(parcel) => parcel.push().map_or(Ok(()), |push| out.push(&push))?,
            Happening::Ready(_) => return Ok(()),
            Happening::Finished(..) | Happening::Time => {}
        }
    }
}

/// The code from the settings; else one that nobody else is likely to have.
pub(super) fn own_or_random_code(settings: &Settings, word: &str) -> Result<String, Failure> {
    use std::hash::{BuildHasher, RandomState};
    if settings.keys.is_some() {
        return own_keyed_code(settings).map(str::to_owned);
    }
    let random = RandomState::new().hash_one(std::process::id());
    Ok(settings.code.clone().unwrap_or_else(|| format!("{word}-{random:016x}")))
}

/// The code from the settings, which a key needs.
pub(super) fn own_keyed_code(settings: &Settings) -> Result<&str, Failure> {
    settings.code.as_deref().ok_or_else(|| {
        let why = "a secret is that of one client code: --as CODE, or `as` in the configuration";
        Failure::new(Exit::Usage, why)
    })
}
