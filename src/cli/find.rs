//! Where the hub is, when nobody has said: where it was used last, else on this machine, else on the networks that
//! this machine is on.
//!
//! The hub that was used last is used again, wherever it answers, and another one only if somebody says so: values
//! that go to one hub today and to another tomorrow are worse than none. One that does not answer may be starting, so
//! it is looked for again until the time for an answer is over.
//!
//! No multicast DNS: it would need a responder beside the hub, and finds nothing that a broadcast or multicast does
//! not reach, since it does not leave the link either.

pub(super) mod asker;
pub(super) mod here;
pub(super) mod hubs;
mod last;
mod near;
pub(super) mod same;
pub(super) mod stream;
pub(super) mod ways;

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use super::address::HubAddress;
use super::clock::Clock;
use super::exit::{Exit, Failure, complain};
use super::settings::Settings;
use asker::Asker;
use hubs::{Hub, Hubs};
use last::Last;

/// How long the networks are listened to: in full, since a second hub must not be missed.
const NETWORK_WAIT: Duration = Duration::from_secs(1);

/// The first pause before the search begins anew; each one is twice as long as the one before.
const PAUSE: Duration = Duration::from_millis(100);

/// The longest of them.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A hub that may be used: its name, unless it does not say it, and where it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Choice {
    name: Option<String>,
    address: HubAddress,
}

/// What one search has come to.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    /// No doubt about it.
    One(Choice),
    /// Somebody has to say which.
    Several(Vec<Choice>),
    /// These answer, but not the one that was used last, which may come back.
    Others(Vec<Choice>),
}

/// The one hub there is to talk to; a person may be asked which. It is looked for until the time is over.
pub(super) fn hub(settings: &Settings, patience: Duration, may_ask: bool) -> Result<HubAddress, Failure> {
    let file = Last::of_this_user(settings.port);
    let last = file.as_ref().and_then(Last::read);
    let may_ask = may_ask && io::stdin().is_terminal() && io::stderr().is_terminal();
    let found = search(settings, patience, last.as_ref(), may_ask)?;
    let hub = match found {
        Found::One(hub) => hub,
        Found::Several(hubs) if may_ask => ask_which(&hubs, None)?,
        Found::Others(hubs) if may_ask => ask_which(&hubs, last.as_ref())?,
        Found::Several(hubs) => return Err(several(&hubs)),
        Found::Others(hubs) => return Err(others(&hubs, last.as_ref(), file.as_ref())),
        Found::Nothing => return Err(none_found(settings.port)),
    };
    if let Some(file) = file.filter(|_| last.as_ref() != Some(&hub)) {
        file.write(&hub);
    }
    Ok(hub.address)
}

/// Searches until there is something to use or to ask, or the time is over.
fn search(
    settings: &Settings,
    patience: Duration,
    last: Option<&Choice>,
    may_ask: bool,
) -> Result<Found, Failure> {
    let clock = Clock::start();
    let (mut pause, mut listens) = (PAUSE, true);
    let mut others = Found::Nothing;
    loop {
        match search_once(settings, last, listens)? {
            Found::Nothing => {}
            Found::Others(hubs) if !may_ask => others = Found::Others(hubs),
            found @ (Found::One(_) | Found::Several(_) | Found::Others(_)) => return Ok(found),
        }
        let Some(left) = patience.checked_sub(clock.now().since_start()).filter(|left| !left.is_zero())
        else {
            return Ok(others);
        };
        if pause == PAUSE && io::stderr().is_terminal() {
            complain("no hub answers yet; looking on");
        }
        std::thread::sleep(pause.min(left));
        pause = (2 * pause).min(LONGEST_PAUSE);
        listens = left >= NETWORK_WAIT;
    }
}

/// Looks where a hub can be asked directly, and on the networks if need be.
fn search_once(settings: &Settings, last: Option<&Choice>, listens: bool) -> Result<Found, Failure> {
    let near = near::look(settings.port, settings.tcp, last)?;
    if let Some(last) = last.filter(|_| near.is_last_there) {
        say_which(last);
        return Ok(Found::One(last.clone()));
    }
    let found = decide(near.local, last);
    if !listens || matches!(found, Found::One(_) | Found::Several(_)) {
        return Ok(found);
    }
    let far = decide(on_networks(settings.port)?, last);
    if let Found::One(hub) = &far {
        say_which(hub);
    }
    Ok(match (found, far) {
        (Found::Others(near), Found::Nothing) => Found::Others(near),
        // What is on this machine has answered on its networks, too, unless it is not to be discovered.
        (Found::Others(near), Found::Others(far)) => {
            let new = near.into_iter().filter(|hub| !far.iter().any(|other| other.name == hub.name));
            let new: Vec<Choice> = new.collect();
            Found::Others(new.into_iter().chain(far).collect())
        }
        (_, far) => far,
    })
}

/// Which of these to use, by the name of the one that was used last.
fn decide(hubs: Vec<Choice>, last: Option<&Choice>) -> Found {
    let Some(last) = last else { return of_list(hubs) };
    let is_last = |hub: &&Choice| hub.name.is_some() && hub.name == last.name;
    let same: Vec<Choice> = hubs.iter().filter(is_last).cloned().collect();
    if same.is_empty() && !hubs.is_empty() { Found::Others(hubs) } else { of_list(same) }
}

fn of_list(hubs: Vec<Choice>) -> Found {
    match hubs.as_slice() {
        [] => Found::Nothing,
        [hub] => Found::One(hub.clone()),
        _ => Found::Several(hubs),
    }
}

/// Every hub that answers on the networks of this machine.
fn on_networks(port: u16) -> Result<Vec<Choice>, Failure> {
    let ways = ways::of_interfaces(&if_addrs::get_if_addrs()?);
    let mut asker = Asker::open(ways, port, NETWORK_WAIT)?;
    let mut hubs = Hubs::default();
    while let Some(answer) = asker.next(None)? {
        hubs.add(&answer, same::is_same);
    }
    let choice =
        |hub: &Hub| Choice { name: Some(hub.here.name.clone()), address: HubAddress::from(hub.address()) };
    Ok(hubs.list().iter().map(choice).collect())
}

impl Choice {
    /// The option that means this hub.
    fn option(&self) -> String {
        let name = self.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
        format!("--hub {}{name}", self.address)
    }
}

fn options(hubs: &[Choice]) -> String {
    hubs.iter().map(Choice::option).collect::<Vec<_>>().join(" or ")
}

fn several(hubs: &[Choice]) -> Failure {
    let why = format!("{} hubs answer; say which one: {}", hubs.len(), options(hubs));
    Failure::new(Exit::Usage, why)
}

/// What to say where others answer than the one that was used last.
fn others(hubs: &[Choice], last: Option<&Choice>, file: Option<&Last>) -> Failure {
    let before = last.map(Choice::option).unwrap_or_default();
    let forget = file.map(|file| format!("; to forget the former: rm {}", file.path().display()));
    let why = format!(
        "the hub that was used last does not answer: {before}; another one does, which is not used unless you say so: \
         {}{}",
        options(hubs),
        forget.unwrap_or_default()
    );
    Failure::new(Exit::Usage, why)
}

/// What to say where no hub is found.
pub(super) fn none_found(port: u16) -> Failure {
    let why = format!(
        "no hub found: none on this machine, and none on its networks answers on port {port}; \
         is pigeond running? `pigeon doctor` looks for the cause, --hub HOST says where it is"
    );
    Failure::new(Exit::NoHub, why)
}

fn ask_which(hubs: &[Choice], missing: Option<&Choice>) -> Result<Choice, Failure> {
    if let Some(missing) = missing {
        complain(&format!("the hub that was used last does not answer: {}", missing.option()));
    }
    for (number, hub) in (1..).zip(hubs) {
        complain(&format!("{number}) {} at {}", hub.name.as_deref().unwrap_or("a hub"), hub.address));
    }
    let _ = write!(io::stderr(), "which one? ");
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    let picked = line.trim().parse::<usize>().ok().and_then(|number| hubs.get(number.checked_sub(1)?));
    picked.cloned().ok_or_else(|| {
        Failure::new(Exit::Usage, format!("write a number from 1 to {}, or use --hub", hubs.len()))
    })
}

/// A person is told, since it was not they who said which hub.
fn say_which(hub: &Choice) {
    if io::stderr().is_terminal() && !hub.address.is_loopback() {
        complain(&format!("using hub \"{}\" at {}", hub.name.as_deref().unwrap_or_default(), hub.address));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(name: &str, address: &str) -> Choice {
        Choice { name: Some(name.to_owned()), address: HubAddress::parse(address).unwrap() }
    }

    #[test]
    fn only_the_hub_that_was_used_last_is_used_unasked() {
        let (pi, moved, den) = (hub("pi", "10.0.0.1:9"), hub("pi", "10.0.0.9:9"), hub("den", "10.0.0.2:9"));
        let both = vec![moved.clone(), den.clone()];
        assert_eq!(decide(vec![], Some(&pi)), Found::Nothing);
        assert_eq!(decide(both.clone(), Some(&pi)), Found::One(moved));
        assert_eq!(decide(vec![den.clone()], Some(&pi)), Found::Others(vec![den.clone()]));
        let twins = vec![pi.clone(), hub("pi", "10.0.0.3:9"), den.clone()];
        assert_eq!(decide(twins.clone(), Some(&pi)), Found::Several(twins[..2].to_vec()));
        assert_eq!(decide(both.clone(), None), Found::Several(both));
        assert_eq!(decide(vec![den.clone()], None), Found::One(den.clone()));
        // One that said no name is not known by it.
        let shy = Choice { name: None, address: pi.address };
        assert_eq!(decide(vec![shy.clone()], Some(&shy)), Found::Others(vec![shy]));
    }
}
