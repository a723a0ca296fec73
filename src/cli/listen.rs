//! `listen` and `watch`: print what the hub pushes, until Ctrl+C.

use std::os::fd::AsFd;

use super::client::{Client, Happening};
use super::exit::Failure;
use super::output::Output;
use super::settings::Settings;
use super::signals::Interrupt;
use crate::courier::Push;

pub(super) fn listen(settings: &Settings, out: &mut Output) -> Result<(), Failure> {
    let code = own_or_random_code(settings, "listen");
    let interrupt = Interrupt::register()?;
    follow(Client::join(settings, &code, Some(&interrupt))?, &interrupt, out)
}

pub(super) fn watch(settings: &Settings, out: &mut Output, pattern: &str) -> Result<(), Failure> {
    let code = own_or_random_code(settings, "watch");
    let interrupt = Interrupt::register()?;
    let mut client = Client::join(settings, &code, Some(&interrupt))?;
    client.take_place(format!("WATCH {pattern}").into_bytes(), Some(&interrupt))?;
    follow(client, &interrupt, out)
}

fn follow(mut client: Client, interrupt: &Interrupt, out: &mut Output) -> Result<(), Failure> {
    let ended = loop {
        match client.next(None, &[interrupt.as_fd()]) {
            Ok(Happening::Pushed(line)) => {
                let printed = Push::read(&line).map_or(Ok(()), |push| out.push(&push));
                if printed.is_err() {
                    break printed;
                }
            }
            Ok(Happening::Ready(_)) => break Ok(()),
            Ok(Happening::Finished(..) | Happening::Time) => {}
            Err(failure) => break Err(failure),
        }
    };
    client.leave();
    ended
}

/// The code from the settings; else one that nobody else is likely to have.
fn own_or_random_code(settings: &Settings, word: &str) -> String {
    use std::hash::{BuildHasher, RandomState};
    let random = RandomState::new().hash_one(std::process::id());
    settings.code.clone().unwrap_or_else(|| format!("{word}-{random:016x}"))
}
