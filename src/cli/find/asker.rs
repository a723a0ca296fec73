//! Asks for hubs in several ways at once, a few times each, and yields what answers.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::here::Here;
use super::ways::{ALL_NODES, Way};
use crate::cli::clock::Clock;
use crate::cli::exit::Failure;
use crate::cli::link::connected_udp;
use crate::cli::session_name::SessionName;
use crate::moment::Moment;
use crate::wire::ErrorName;

/// The question.
const DISCOVER: &[u8] = b"DISCOVER\n";

/// Longer than any answer to it.
const ANSWER_BYTES: usize = 1024;

/// When the question is repeated, in shares of the wait, or of a second if that is shorter. A broadcast is lost far
/// more often than other datagrams.
const COPIES: [f64; 3] = [0.0, 0.25, 0.6];

/// After those it is repeated at twice the time, and so on.
const FURTHER: f64 = 1.2;

/// How far the copies of different ways, and of different askers, are spread, as a share of the same.
const JITTER: f64 = 0.05;

/// A hub that has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Answer {
    /// Where it can be spoken to.
    pub(in crate::cli) address: SocketAddr,
    /// What it says; `None` from one that was asked directly and does not want to be discovered.
    pub(in crate::cli) here: Option<Here>,
    /// Its words instead, if it refuses to say who it is.
    pub(in crate::cli) refusal: Option<String>,
    /// How long it took, from the last time it was asked in the same way.
    pub(in crate::cli) time: Duration,
    /// Which of the ways, in the order they were given.
    pub(in crate::cli) way: usize,
}

/// Questions under way.
#[derive(Debug)]
pub(in crate::cli) struct Asker {
    clock: Clock,
    start: Moment,
    end: Moment,
    unit: Duration,
    questions: Vec<Question>,
    random: u64,
}

/// One way to ask, on a socket of its own: what comes there answers this way.
#[derive(Debug)]
struct Question {
    socket: Option<UdpSocket>,
    to: SocketAddr,
    is_direct: bool,
    copies: u32,
    next: Moment,
    asked: Moment,
    trouble: Option<io::Error>,
}

impl Asker {
    /// Gets ready to ask; what cannot be asked is kept as [`Asker::trouble`].
    pub(in crate::cli) fn open(
        ways: impl IntoIterator<Item = Way>,
        port: u16,
        wait: Duration,
    ) -> Result<Self, Failure> {
        let clock = Clock::start();
        let start = clock.now();
        let questions = ways.into_iter().map(|way| Question::open(&way, port, start)).collect();
        let random = SessionName::random()?.seed;
        Ok(Self {
            clock,
            start,
            end: start + wait,
            unit: wait.min(Duration::from_secs(1)),
            questions,
            random,
        })
    }

    /// The time, as the asker's moments have it.
    pub(in crate::cli) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// The next answer; `None` at `until`, or once nothing more can come.
    pub(in crate::cli) fn next(&mut self, until: Option<Moment>) -> Result<Option<Answer>, Failure> {
        let until = until.map_or(self.end, |until| until.min(self.end));
        loop {
            let now = self.now();
            if now >= until || self.is_over(now) {
                return Ok(None);
            }
            self.ask(now);
            for (way, question) in self.questions.iter_mut().enumerate() {
                if let Some(answer) = question.receive(way, self.clock) {
                    return Ok(Some(answer));
                }
            }
            let open = self.questions.iter().filter(|question| question.socket.is_some());
            // The last of them may have turned out just now to lead nowhere.
            let Some(wake) = open.map(|question| question.next).min() else { continue };
            self.wait(wake.min(until).since(now))?;
        }
    }

    /// Whether the whole time has passed, or every way has turned out to lead nowhere.
    pub(in crate::cli) fn is_over(&self, now: Moment) -> bool {
        now >= self.end || self.questions.iter().all(|question| question.socket.is_none())
    }

    /// Why a way could not be asked, or leads nowhere.
    pub(in crate::cli) fn trouble(&self, way: usize) -> Option<&io::Error> {
        self.questions.get(way)?.trouble.as_ref()
    }

    /// Asks no more in a way that has been answered.
    pub(in crate::cli) fn close(&mut self, way: usize) {
        if let Some(question) = self.questions.get_mut(way) {
            question.socket = None;
        }
    }

    fn ask(&mut self, now: Moment) {
        for question in &mut self.questions {
            if question.next > now {
                continue;
            }
            question.ask(self.clock.now());
            let share = share(question.copies) + JITTER * next_random(&mut self.random);
            question.next = self.start + self.unit.mul_f64(share);
        }
    }

    fn wait(&self, time: Duration) -> Result<(), Failure> {
        let sockets = self.questions.iter().filter_map(|question| question.socket.as_ref());
        let mut all: Vec<PollFd<'_>> =
            sockets.map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
        let millis = i32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX);
        match poll(&mut all, PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(io::Error::from(error).into()),
        }
    }
}

impl Question {
    fn open(way: &Way, port: u16, start: Moment) -> Self {
        let is_direct = matches!(way, Way::Direct(_));
        let to = target(way, port);
        let (socket, trouble) = match open(way, to) {
            Ok(socket) => (Some(socket), None),
            Err(error) => (None, Some(error)),
        };
        Self { socket, to, is_direct, copies: 0, next: start, asked: start, trouble }
    }

    fn ask(&mut self, now: Moment) {
        let Some(socket) = &self.socket else { return };
        let sent = if self.is_direct { socket.send(DISCOVER) } else { socket.send_to(DISCOVER, self.to) };
        self.asked = now;
        self.copies += 1;
        if let Err(error) = sent {
            self.fails(error);
        }
    }

    /// A way that leads nowhere is asked no more; that the system was short of something is no reason.
    fn fails(&mut self, error: io::Error) {
        if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::OutOfMemory) {
            self.socket = None;
            self.trouble = Some(error);
        }
    }

    fn receive(&mut self, way: usize, clock: Clock) -> Option<Answer> {
        let mut buffer = [0; ANSWER_BYTES];
        let received = self.socket.as_ref()?.recv_from(&mut buffer);
        let (count, from) = match received {
            Ok(received) => received,
            Err(error) => {
                self.fails(error);
                return None;
            }
        };
        let line = buffer.get(..count)?.split(|&b| b == b'\n').next()?;
        let here = Here::parse(line);
        if here.is_none() && !(self.is_direct && is_refusal(line)) {
            return None;
        }
        // Where it was asked directly is where it is, whatever port it has behind a translation of addresses.
        let mut address = from;
        if let Some(here) = here.as_ref().filter(|_| !self.is_direct) {
            address.set_port(here.port);
        }
        let refusal = here.is_none().then(|| String::from_utf8_lossy(line).trim_end().to_owned());
        Some(Answer { address, here, refusal, time: clock.now().since(self.asked), way })
    }
}

/// When the copy with this number, from 0, is sent, in shares.
fn share(copy: u32) -> f64 {
    let first = usize::try_from(copy).ok().and_then(|copy| COPIES.get(copy).copied());
    let further = || FURTHER * 2f64.powi(i32::try_from(copy).unwrap_or(i32::MAX).saturating_sub(3).min(30));
    first.unwrap_or_else(further)
}

/// A number from 0 up to 1 (`SplitMix64`).
fn next_random(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    f64::from(u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or_default()) / (f64::from(u32::MAX) + 1.0)
}

/// A hub that may not be discovered says so in the protocol's own words.
pub(super) fn is_refusal(line: &[u8]) -> bool {
    let name = line.strip_prefix(b"ERR ").and_then(|rest| rest.split(u8::is_ascii_whitespace).next());
    name.and_then(ErrorName::parse).is_some()
}

fn target(way: &Way, port: u16) -> SocketAddr {
    match way {
        Way::Direct(address) => *address,
        Way::Directed { to, .. } => (*to, port).into(),
        Way::Everyone { .. } => (Ipv4Addr::BROADCAST, port).into(),
        Way::Multicast { index, .. } => SocketAddrV6::new(ALL_NODES, port, 0, *index).into(),
    }
}

/// A socket that never blocks. One for a broadcast is bound to the address of its interface, so that it leaves there.
fn open(way: &Way, to: SocketAddr) -> io::Result<UdpSocket> {
    let socket = match way {
        Way::Direct(_) => return connected_udp(to),
        Way::Directed { from, .. } | Way::Everyone { from, .. } => UdpSocket::bind((*from, 0))?,
        Way::Multicast { .. } => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?,
    };
    if to.is_ipv4() {
        socket.set_broadcast(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_is_repeated_ever_more_rarely() {
        let shares: Vec<f64> = (0..6).map(share).collect();
        assert_eq!(shares, [0.0, 0.25, 0.6, 1.2, 2.4, 4.8]);
        assert!(share(u32::MAX) > 1e6);
    }

    #[test]
    fn chance_stays_within_its_bounds() {
        let mut state = 1;
        let numbers: Vec<f64> = (0..1000).map(|_| next_random(&mut state)).collect();
        assert!(numbers.iter().all(|number| (0.0..1.0).contains(number)));
        assert!(numbers.iter().any(|&number| number < 0.1) && numbers.iter().any(|&number| number > 0.9));
    }

    #[test]
    fn only_the_protocols_own_words_are_a_refusal() {
        assert!(is_refusal(b"ERR denied this hub cannot be discovered"));
        assert!(is_refusal(b"ERR busy"));
        for line in [&b"ERR"[..], b"ERR nonsense", b"DISCOVER", b"denied", b""] {
            assert!(!is_refusal(line), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn where_nobody_listens_the_wait_is_over_at_once() {
        let gone = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut asker = Asker::open([Way::Direct(gone)], gone.port(), Duration::from_mins(10)).unwrap();
        assert_eq!(asker.next(None), Ok(None));
        assert_eq!(asker.trouble(0).map(io::Error::kind), Some(ErrorKind::ConnectionRefused));
    }

    #[test]
    fn an_answer_to_a_direct_question_comes_from_where_the_hub_is() {
        let hub = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = hub.local_addr().unwrap();
        let mut asker = Asker::open([Way::Direct(address)], address.port(), Duration::from_mins(10)).unwrap();
        asker.ask(asker.now());
        let mut buffer = [0; 64];
        let (count, from) = hub.recv_from(&mut buffer).unwrap();
        assert_eq!(buffer.get(..count), Some(DISCOVER));
        for line in [&b"hello"[..], b"HERE x", b"HERE pi 0.1.0 99 3/100\n"] {
            hub.send_to(line, from).unwrap();
        }
        let answer = asker.next(None).unwrap().unwrap();
        assert_eq!(answer.address, address);
        assert_eq!((answer.here.unwrap().name.as_str(), answer.way), ("pi", 0));
    }
}
