//! Datagrams that the kernel dropped because nobody read them in time.

use std::fs;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, poll};

use super::finding::{Finding, Report};
use crate::cli::address::HubAddress;
use crate::cli::clock::Clock;
use crate::cli::exit::Failure;
use crate::cli::link::connected_udp;

const CHECK: &str = "dropped";

/// How often the hub is asked for its figures, and how long each answer is awaited.
const TRIES: usize = 3;
const PATIENCE: Duration = Duration::from_millis(300);

/// Longer than the hub's figures.
const ANSWER_BYTES: usize = 2048;

/// The room that the daemon asks of the kernel for what it has not read yet, which that grants up to a bound of its own.
const ROOM_BYTES: u64 = 4 << 20;

/// Looks at a hub's own figure and, where its port is one of this machine's, at the kernel's.
pub(super) fn check(
    hub: Option<SocketAddr>,
    port: Option<u16>,
    report: &mut Report<'_>,
) -> Result<(), Failure> {
    let told = hub.and_then(|hub| ask(hub, TRIES));
    let texts: Vec<String> =
        ["/proc/net/udp", "/proc/net/udp6"].iter().filter_map(|path| fs::read_to_string(path).ok()).collect();
    let counted =
        port.and_then(|port| texts.iter().filter_map(|text| drops(text, port)).reduce(u64::saturating_add));
    let room =
        fs::read_to_string("/proc/sys/net/core/rmem_max").ok().and_then(|text| text.trim().parse().ok());
    let room = room.filter(|_| port.is_some());
    let who = hub.map_or_else(|| "the hub".to_owned(), |hub| HubAddress::from(hub).to_string());
    match judge(&who, told, counted, room) {
        Some(finding) => report.add(&finding),
        None => Ok(()),
    }
}

/// The figure `dropped` of the hub's; `None` if it does not tell.
fn ask(hub: SocketAddr, tries: usize) -> Option<u64> {
    let socket = connected_udp(hub).ok()?;
    let mut buffer = [0; ANSWER_BYTES];
    for _ in 0..tries {
        let clock = Clock::start();
        // What is not sent is asked again.
        let _ = socket.send(b"STATS\n");
        while let Some(left) = PATIENCE.checked_sub(clock.now().since_start()) {
            if let Ok(count) = socket.recv(&mut buffer) {
                return figure(buffer.get(..count)?);
            }
            let millis = u16::try_from(left.as_millis()).unwrap_or(u16::MAX).saturating_add(1);
            let _ = poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], millis);
        }
    }
    None
}

fn figure(stats: &[u8]) -> Option<u64> {
    let text = str::from_utf8(stats).ok()?;
    text.split_whitespace().find_map(|pair| pair.strip_prefix("dropped="))?.parse().ok()
}

/// The hub hears of a loss with the next datagram, and only of its own time; the kernel knows of its present sockets. So the
/// larger figure is the better one.
fn judge(who: &str, told: Option<u64>, counted: Option<u64>, room: Option<u64>) -> Option<Finding> {
    let drops = told.max(counted)?;
    if drops == 0 {
        return Some(Finding::ok(CHECK, format!("{who}: the kernel has dropped no datagram")));
    }
    let told = told.map(|told| format!("dropped={told} in STATS"));
    let counted = counted.map(|counted| format!("{counted} in /proc/net/udp"));
    let sources: Vec<String> = told.into_iter().chain(counted).collect();
    let what = format!(
        "{who}: the kernel has dropped {drops} datagrams that the hub could not read in time ({})",
        sources.join(", ")
    );
    let more_room = format!(
        "more room for bursts: echo net.core.rmem_max={ROOM_BYTES} | sudo tee /etc/sysctl.d/60-pigeond.conf && \
         sudo sysctl --system && sudo systemctl stop pigeond && sudo systemctl start pigeond"
    );
    let fix = match room {
        Some(room) if room >= ROOM_BYTES => {
            "net.core.rmem_max leaves it all the room it asks for: more comes than this \
             machine can read; `requests_per_second` in [access] and pigeon stats"
                .to_owned()
        }
        Some(_) => more_room,
        None => format!("on its machine, {more_room}"),
    };
    Some(Finding::warn(CHECK, what, fix))
}

/// The drops of the sockets on this port, in the table as /proc/net/udp shows it; `None` if there is none.
fn drops(table: &str, port: u16) -> Option<u64> {
    let of_line = |line: &str| {
        let mut columns = line.split_whitespace();
        let (_, digits) = columns.nth(1)?.rsplit_once(':')?;
        let is_it = u16::from_str_radix(digits, 16) == Ok(port);
        let drops = columns.last()?.parse().ok()?;
        is_it.then_some(drops)
    };
    table.lines().skip(1).filter_map(of_line).reduce(u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    const UDP: &str = "\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
 4412: 0100007F:278D 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 31337 2 0000000000000000 17
 4413: 00000000:278D 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 31338 2 0000000000000000 3
 5000: 00000000:0044 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 31339 2 0000000000000000 99
";

    const UDP6: &str = "\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
 4412: 00000000000000000000000000000000:278D 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000   999        0 4711 2 0000000000000000 0
";

    #[test]
    fn the_drops_of_the_port_are_added_up() {
        assert_eq!(drops(UDP, 10125), Some(20));
        assert_eq!(drops(UDP6, 10125), Some(0));
        assert_eq!(drops(UDP, 10126), None);
        assert_eq!(drops("", 10125), None);
    }

    #[test]
    fn any_drop_is_worth_a_word_with_both_figures() {
        let judge = |told, counted, room| judge("pi", told, counted, room);
        let state = |told, counted| judge(told, counted, None).map(|finding| finding.state);
        let (ok, warn) = (Some(State::Ok), Some(State::Warn));
        assert_eq!([state(None, None), state(None, Some(0)), state(Some(0), None)], [None, ok, ok]);
        assert_eq!([state(Some(1), Some(0)), state(Some(0), Some(1)), state(Some(1), None)], [warn; 3]);
        let what = judge(Some(17), Some(20), None).unwrap().what;
        assert!(what.contains("dropped 20 datagrams"), "{what}");
        assert!(what.ends_with("(dropped=17 in STATS, 20 in /proc/net/udp)"), "{what}");
        let fix = |room| judge(Some(1), None, room).unwrap().fix.unwrap();
        assert!(fix(Some(ROOM_BYTES - 1)).starts_with("more room"));
        assert!(fix(Some(ROOM_BYTES)).contains("[access]"));
        assert!(fix(None).starts_with("on its machine"));
    }

    #[test]
    fn the_figure_is_read_by_its_whole_name() {
        assert_eq!(figure(b"texts_dropped=1 rate_dropped=2 dropped=3 x=4\n"), Some(3));
        for other in [&b"texts_dropped=1"[..], b"dropped=", b"dropped=-1", b"ERR denied", b"\xff"] {
            assert_eq!(figure(other), None);
        }
    }
}
