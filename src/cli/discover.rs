//! `discover`: every hub on the networks of this machine, as they answer.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde_json::json;

use super::address::HubAddress;
use super::exit::Failure;
use super::find::asker::Asker;
use super::find::here::Here;
use super::find::hubs::{Hub, Hubs};
use super::find::none_found;
use super::find::same::is_same;
use super::find::ways::{self, Way};
use super::output::Output;
use super::settings::Settings;

/// How long after its first answer a hub is shown: until then it has answered from its other addresses, too.
const GATHERING: Duration = Duration::from_millis(100);

pub(super) fn discover(settings: &Settings, out: &mut Output, wait: Duration) -> Result<(), Failure> {
    let port = settings.port;
    let mut asker = Asker::open(every_way(port)?, port, wait)?;
    let mut hubs = Hubs::default();
    let mut shown = 0;
    let mut show_at = None;
    loop {
        if let Some(answer) = asker.next(show_at)? {
            hubs.add(&answer, is_same);
            if hubs.list().len() > shown {
                show_at = show_at.or(Some(asker.now() + GATHERING));
            }
            continue;
        }
        for hub in hubs.list().iter().skip(shown) {
            print(out, hub)?;
        }
        shown = hubs.list().len();
        show_at = None;
        if asker.is_over(asker.now()) {
            return if shown == 0 { Err(none_found(port)) } else { Ok(()) };
        }
    }
}

/// The machine itself, which may listen on loopback only, and its networks.
fn every_way(port: u16) -> Result<impl Iterator<Item = Way>, Failure> {
    let own = [SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SocketAddr::from((Ipv6Addr::LOCALHOST, port))];
    let networks = ways::of_interfaces(&if_addrs::get_if_addrs()?);
    Ok(own.into_iter().map(Way::Direct).chain(networks))
}

fn print(out: &mut Output, hub: &Hub) -> Result<(), Failure> {
    let addresses: Vec<String> =
        hub.addresses.iter().map(|&address| HubAddress::from(address).to_string()).collect();
    let (here, millis) = (&hub.here, (hub.time.as_secs_f64() * 1e6).round() / 1e3);
    if out.json {
        return out.object(&json!({
            "name": here.name, "address": addresses.first(), "addresses": addresses, "version": here.version,
            "clients": here.clients, "limit": here.limit, "ms": millis,
        }));
    }
    let (first, others) = addresses.split_first().map_or(("", &[][..]), |(first, others)| (first, others));
    let also = if others.is_empty() { String::new() } else { format!(", also {}", others.join(" ")) };
    let Here { name, version, clients, limit, .. } = here;
    out.line(&format!(
        "{name} at {first}: version {version}, {clients}/{limit} clients, {millis:.3} ms{also}"
    ))
}
