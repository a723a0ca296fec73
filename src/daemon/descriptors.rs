//! What systemd keeps open for the next run: the sockets that listen, the connections, and one file in memory with what
//! has been half said on them. Without systemd nothing is kept, and nothing fails.

use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use sd_notify::NotifyState;
use socket2::{SockRef, Type};

use super::bind::{Bound, Kind, Wanted};
use crate::config::Config;
use crate::limits::{EARS, SOCKETS};

/// How long systemd may take to read what it was told last, in milliseconds.
const BARRIER_MS: u16 = 1000;

/// What the last run left.
#[derive(Default)]
pub(super) struct Taken {
    /// Sockets that listen, by what was asked for.
    pub(super) sockets: BTreeMap<Wanted, Bound>,
    /// Connections, by what they are called.
    pub(super) streams: Vec<(u64, TcpStream)>,
    /// What was half said on those.
    pub(super) tails: Option<File>,
}

/// Whether systemd is here to keep anything.
pub(super) fn are_kept() -> bool {
    let none = env::var_os("FDSTORE").is_some_and(|most| most == "0");
    env::var_os("NOTIFY_SOCKET").is_some() && !none
}

/// Takes what the last run left; what is not known by its name is closed. To be called once.
pub(super) fn take() -> Taken {
    let mut taken = Taken::default();
    let descriptors = match sd_notify::listen_fds_with_names() {
        Ok(descriptors) => descriptors,
        Err(error) => {
            tracing::warn!("what systemd kept open cannot be taken back: {error}");
            return taken;
        }
    };
    for (raw, name) in descriptors {
        let descriptor = adopt(raw);
        match Name::parse(&name) {
            Some(Name::Socket(wanted)) => match bound(wanted, descriptor) {
                Some(bound) => {
                    taken.sockets.insert(wanted, bound);
                }
                None => forget_name(&name),
            },
            Some(Name::Stream(id)) => taken.streams.push((id, descriptor.into())),
            Some(Name::Tails) => taken.tails = Some(descriptor.into()),
            None => {
                tracing::warn!("systemd handed over a descriptor that is not pigeond's: {name}");
                forget_name(&name);
            }
        }
    }
    taken
}

/// The one place where a number becomes a descriptor.
#[expect(unsafe_code, reason = "systemd hands descriptors over as numbers")]
fn adopt(descriptor: RawFd) -> OwnedFd {
    // SAFETY: systemd opened these for this process alone, nothing else in it knows their numbers, and each is adopted
    // once.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

/// The socket that a descriptor is, if it is one of the kind that its name says.
fn bound((kind, _): Wanted, descriptor: OwnedFd) -> Option<Bound> {
    let is = SockRef::from(&descriptor).r#type().ok()?;
    SockRef::from(&descriptor).local_addr().ok()?.as_socket()?;
    match kind {
        Kind::Udp => (is == Type::DGRAM).then(|| Bound::Udp(descriptor.into())),
        Kind::Tcp => {
            let listens = SockRef::from(&descriptor).is_listener().is_ok_and(|listens| listens);
            (is == Type::STREAM && listens).then(|| Bound::Tcp(descriptor.into()))
        }
    }
}

/// What a kept descriptor is called. systemd allows no colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// A socket that listens, by what was asked for.
    Socket(Wanted),
    /// A connection.
    Stream(u64),
    /// What was half said.
    Tails,
}

impl Name {
    fn parse(name: &str) -> Option<Self> {
        if name == "tails" {
            return Some(Self::Tails);
        }
        let (kind, rest) = name.split_once('.')?;
        let kind = match kind {
            "conn" => return u64::from_str_radix(rest, 16).ok().map(Self::Stream),
            "udp" => Kind::Udp,
            "tcp" => Kind::Tcp,
            _ => return None,
        };
        let (port, address) = rest.split_once('.')?;
        let address: IpAddr = address.replace('-', ":").parse().ok()?;
        Some(Self::Socket((kind, SocketAddr::new(address, port.parse().ok()?))))
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socket((kind, address)) => {
                let kind = match kind {
                    Kind::Udp => "udp",
                    Kind::Tcp => "tcp",
                };
                let ip = address.ip().to_string().replace(':', "-");
                write!(f, "{kind}.{}.{ip}", address.port())
            }
            Self::Stream(id) => write!(f, "conn.{id:x}"),
            Self::Tails => f.write_str("tails"),
        }
    }
}

/// Has systemd keep a descriptor, too.
pub(super) fn keep(name: Name, descriptor: BorrowedFd<'_>) {
    let name = name.to_string();
    tell(&[NotifyState::FdStore, NotifyState::FdName(&name)], &[descriptor]);
}

/// Has systemd close what it keeps under a name.
pub(super) fn forget(name: Name) {
    forget_name(&name.to_string());
}

fn forget_name(name: &str) {
    tell(&[NotifyState::FdStoreRemove, NotifyState::FdName(name)], &[]);
}

/// Waits until systemd has read all that it was told, or for [`BARRIER_MS`]: of a process that has ended it would
/// take nothing more, and a port is free only once it has closed what it kept of that.
pub(super) fn wait_until_kept() {
    if !are_kept() {
        return;
    }
    let Ok((ours, theirs)) = io::pipe() else { return };
    tell(&[NotifyState::Custom("BARRIER=1")], &[theirs.as_fd()]);
    drop(theirs);
    // The other end is closed once the message has been read.
    let mut waits = [PollFd::new(ours.as_fd(), PollFlags::POLLIN)];
    if !matches!(poll(&mut waits, BARRIER_MS), Ok(1)) {
        tracing::warn!("systemd is slow to hear what it should keep");
    }
}

fn tell(states: &[NotifyState<'_>], descriptors: &[BorrowedFd<'_>]) {
    if !are_kept() {
        return;
    }
    if let Err(error) = sd_notify::notify_with_fds(states, descriptors) {
        tracing::warn!("systemd could not be told: {error}");
    }
}

/// Descriptors that are neither connections nor sockets that listen: files, the log, the runtime.
const OTHER_DESCRIPTORS: rlim_t = 64;

/// Lets this process have as many descriptors as its connections need, as far as the system lets it.
pub(super) fn raise_limit(config: &Config) {
    // Two for each: one that is closing may linger while another takes its place. (`rlim_t` has 32 bits on armhf.)
    let needed = 2 * config.limits.tcp_connections as rlim_t + (SOCKETS + EARS) as rlim_t + OTHER_DESCRIPTORS;
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    if soft < needed && setrlimit(Resource::RLIMIT_NOFILE, needed.min(hard), hard).is_err() || hard < needed {
        tracing::warn!(
            "limits.tcp_connections wants {needed} descriptors, and the system grants {hard} at most"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back_and_systemd_takes_it() {
        let socket = |kind, address: &str| Name::Socket((kind, address.parse().unwrap()));
        let names = [
            socket(Kind::Udp, "0.0.0.0:10125"),
            socket(Kind::Tcp, "[::]:10125"),
            socket(Kind::Tcp, "[2001:db8::ffff:1]:0"),
            Name::Stream(u64::MAX),
            Name::Tails,
        ];
        for name in names {
            let text = name.to_string();
            assert_eq!(Name::parse(&text), Some(name), "{text}");
            assert!(text.len() < 255 && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':'));
        }
        for other in ["", "stored", "udp.70000.::", "udp.1.", "conn.", "tcp.1.1.2.3"] {
            assert_eq!(Name::parse(other), None, "{other}");
        }
    }
}
