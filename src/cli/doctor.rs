//! `doctor`: what keeps hub and client apart, one check after the other, each with the command that mends it.
//!
//! What a check reads from the system is separate from what it makes of that, which is pure and tested with
//! what real programs print.

mod discovery;
mod drops;
mod finding;
mod firewall;
mod interfaces;
mod iptables;
mod measure;
mod nft;
mod port;
mod rules;
mod senders;
mod service;
mod tool;
mod wifi;

use std::net::SocketAddr;

use if_addrs::Interface;

use super::exit::{Exit, Failure};
use super::find::ways::is_own;
use super::output::Output;
use super::settings::Settings;
use finding::Report;
use port::Serves;

/// Hubs that are measured, if there are more.
const MEASURED: usize = 4;

pub(super) fn doctor(settings: &Settings, out: &mut Output) -> Result<(), Failure> {
    let interfaces = if_addrs::get_if_addrs()?;
    let given = if settings.is_given { settings.hub.resolve()? } else { Vec::new() };
    let port = settings.hub.port();
    let mut report = Report::new(out);
    let here = match given.first() {
        Some(&hub) if !is_own(hub.ip(), &interfaces) => {
            interfaces::check(&interfaces, &mut report)?;
            wifi::check(&mut report)?;
            Here { hubs: discovery::check_one(hub, &mut report)?, port, serves: None }
        }
        Some(_) => check_here(port, &interfaces, &mut report)?,
        None => {
            let port = if settings.is_port_given { port } else { port::real(port, &mut report)? };
            check_here(port, &interfaces, &mut report)?
        }
    };
    let is_here = |hub: &SocketAddr| is_own(hub.ip(), &interfaces);
    for hub in here.hubs.iter().copied().take(MEASURED) {
        let serves = here.serves.filter(|_| is_here(&hub) && hub.port() == here.port);
        measure::check(hub, serves, &mut report)?;
        if serves != Some(Serves::TcpOnly) {
            drops::check(Some(hub), is_here(&hub).then_some(hub.port()), &mut report)?;
        }
    }
    if here.serves.is_some() && !here.hubs.iter().any(is_here) {
        drops::check(None, Some(here.port), &mut report)?;
    }
    if report.has_failed { Err(Failure::new(Exit::Trouble, "")) } else { Ok(()) }
}

/// What was found: the hubs that answer, and over what the one on this machine serves.
struct Here {
    hubs: Vec<SocketAddr>,
    port: u16,
    serves: Option<Serves>,
}

/// Everything that can be seen of a hub on this machine, or of the way to those on its networks.
fn check_here(port: u16, interfaces: &[Interface], report: &mut Report<'_>) -> Result<Here, Failure> {
    let runs = service::check(report)?;
    let serves = port::check(port, runs, report)?;
    interfaces::check(interfaces, report)?;
    wifi::check(report)?;
    firewall::check(port, serves, interfaces, report)?;
    let hubs = match serves {
        Some(Serves::TcpOnly) => discovery::check_tcp_only(port, interfaces, report)?,
        Some(Serves::Both | Serves::UdpOnly) => discovery::check(port, true, interfaces, report)?,
        None => discovery::check(port, false, interfaces, report)?,
    };
    Ok(Here { hubs, port, serves })
}
