//! Where the hub is, when nobody has said: on this machine, else where it was found last, else on the networks
//! that this machine is on.
//!
//! No multicast DNS: it would need a responder beside the hub, and finds nothing that a broadcast or multicast does
//! not reach, since it does not leave the link either.

pub(super) mod asker;
pub(super) mod here;
pub(super) mod hubs;
mod last;
pub(super) mod same;
pub(super) mod ways;

use std::io::{self, IsTerminal, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::address::HubAddress;
use super::exit::{Exit, Failure, complain};
use asker::Asker;
use hubs::{Hub, Hubs};
use last::Last;
use ways::Way;

/// How long a hub on this machine may take. Where there is none the system says so at once.
const LOCAL_WAIT: Duration = Duration::from_millis(150);

/// How long the hub that was found last may take.
const LAST_WAIT: Duration = Duration::from_millis(300);

/// How long the networks are listened to: in full, since a second hub must not be missed.
const NETWORK_WAIT: Duration = Duration::from_secs(1);

/// The one hub there is to talk to; a person may be asked which.
pub(super) fn hub(port: u16, may_ask: bool) -> Result<HubAddress, Failure> {
    if let Some(address) = local(port)? {
        return Ok(address.into());
    }
    let last = Last::of_this_user(port);
    if let Some((address, name)) = last.as_ref().and_then(Last::read)
        && is_there(&address, &name)
    {
        say_which(&name, &address);
        return Ok(address);
    }
    let hubs = on_networks(port)?;
    let hub = choose(&hubs, port, may_ask)?;
    let address = HubAddress::from(hub.address());
    say_which(&hub.here.name, &address);
    if let Some(last) = last {
        last.write(&address, &hub.here.name);
    }
    Ok(address)
}

/// Where a hub on this machine answers, discoverable or not.
pub(super) fn local(port: u16) -> Result<Option<SocketAddr>, Failure> {
    let ways = [SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SocketAddr::from((Ipv6Addr::LOCALHOST, port))];
    let mut asker = Asker::open(ways.map(Way::Direct), port, LOCAL_WAIT)?;
    let answer = asker.next(None)?;
    Ok(answer.map(|answer| answer.address))
}

/// Whether a hub of this name still answers at an address.
fn is_there(address: &HubAddress, name: &str) -> bool {
    let ask = || {
        let ways = address.resolve()?.into_iter().map(Way::Direct);
        let mut asker = Asker::open(ways, address.port(), LAST_WAIT)?;
        while let Some(answer) = asker.next(None)? {
            if answer.here.is_some_and(|here| here.name == name) {
                return Ok(true);
            }
        }
        Ok::<_, Failure>(false)
    };
    ask().unwrap_or(false)
}

/// Every hub that answers on the networks of this machine.
fn on_networks(port: u16) -> Result<Hubs, Failure> {
    let ways = ways::of_interfaces(&if_addrs::get_if_addrs()?);
    let mut asker = Asker::open(ways, port, NETWORK_WAIT)?;
    let mut hubs = Hubs::default();
    while let Some(answer) = asker.next(None)? {
        hubs.add(&answer, same::is_same);
    }
    Ok(hubs)
}

/// The only hub, or the one that the person in front picks. Never a guess.
fn choose(hubs: &Hubs, port: u16, may_ask: bool) -> Result<&Hub, Failure> {
    match hubs.list() {
        [] => Err(none_found(port)),
        [hub] => Ok(hub),
        several if may_ask && io::stdin().is_terminal() && io::stderr().is_terminal() => ask_which(several),
        several => {
            let option = |hub: &Hub| format!("--hub {} ({})", HubAddress::from(hub.address()), hub.here.name);
            let options: Vec<String> = several.iter().map(option).collect();
            let why = format!("{} hubs answer; say which one: {}", several.len(), options.join(" or "));
            Err(Failure::new(Exit::Usage, why))
        }
    }
}

/// What to say where no hub is found.
pub(super) fn none_found(port: u16) -> Failure {
    let why = format!(
        "no hub found: none on this machine, and none on its networks answers on port {port}; \
         is pigeond running? `pigeon doctor` looks for the cause, --hub HOST says where it is"
    );
    Failure::new(Exit::NoHub, why)
}

fn ask_which(hubs: &[Hub]) -> Result<&Hub, Failure> {
    for (number, hub) in (1..).zip(hubs) {
        complain(&format!("{number}) {} at {}", hub.here.name, HubAddress::from(hub.address())));
    }
    let _ = write!(io::stderr(), "which one? ");
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    let picked = line.trim().parse::<usize>().ok().and_then(|number| hubs.get(number.checked_sub(1)?));
    picked.ok_or_else(|| {
        Failure::new(Exit::Usage, format!("write a number from 1 to {}, or use --hub", hubs.len()))
    })
}

/// A person is told, since it was not they who said which hub.
fn say_which(name: &str, address: &HubAddress) {
    if io::stderr().is_terminal() {
        complain(&format!("using hub \"{name}\" at {address}"));
    }
}
