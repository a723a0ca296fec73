//! The works: what is asked, of whom, and against whom the figures are held.

use std::net::SocketAddr;
use std::time::Duration;

use crate::load::{Load, Sample, measure};
use crate::load_messages::{Messages, Size};
use crate::load_places::{Turns, UdpFanOut};
use crate::load_tcp::Tcp;
use crate::load_udp::{Request, RoundTrip, Udp};
use crate::once::idle_kib;
use crate::process::Processors;
use crate::server::Kind;
use crate::table::Figure;

/// One kind of load.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// What the table calls it.
    pub name: &'static str,
    /// Who does it.
    pub servers: &'static [Kind],
    /// Whose figure the others' is divided by.
    pub yardsticks: &'static [Kind],
    /// Which figure.
    pub figure: Figure,
    shape: Shape,
}

#[derive(Clone, Copy, Debug)]
enum Shape {
    /// Sockets, and requests under way on each.
    Udp((usize, usize), Request),
    /// One request after the other.
    RoundTrip,
    Tcp((usize, usize)),
    /// Over TCP, under a tag where the server knows tags.
    TcpKept((usize, usize)),
    /// Over UDP under a tag; over TCP where the server knows no UDP.
    UdpKept((usize, usize), Request),
    /// Over TCP, from some clients to others.
    Messages(Size),
    /// Over UDP, from one client to so many others.
    UdpFanOut(u32),
    /// Increments over UDP by so many joined clients, each in turn.
    Turns(u32),
}

const UDP: &[Kind] = &[Kind::FloorMany, Kind::Floor, Kind::Pigeond, Kind::Memcached, Kind::Python];
const HUB_AND_FLOOR: &[Kind] = &[Kind::FloorMany, Kind::Pigeond];
const TCP: &[Kind] = &[Kind::Pigeond, Kind::Memcached, Kind::Redis];
const BROKERS: &[Kind] = &[Kind::Pigeond, Kind::Nats, Kind::Mosquitto];
const BROKERS_BESIDE: &[Kind] = &[Kind::Nats, Kind::Mosquitto];
const FLOOR: &[Kind] = &[Kind::FloorMany];
const PEERS: &[Kind] = &[Kind::Memcached, Kind::Redis];
const KEEPERS: &[Kind] = &[Kind::Pigeond, Kind::RedisEverySecond, Kind::PigeondFull, Kind::RedisAlways];
const KEPT_PEERS: &[Kind] = &[Kind::RedisEverySecond, Kind::RedisAlways];

/// Bytes of a text to everybody.
const TEXT_BYTES: usize = 32;

/// All of them, in the order of the table.
pub const ALL: &[Work] = &[
    work("UDP increment, 4 x 32", UDP, FLOOR, Shape::Udp((4, 32), Request::Plain)),
    work("UDP increment, 32 x 1", UDP, FLOOR, Shape::Udp((32, 1), Request::Plain)),
    work("UDP round trip, 1 x 1", UDP, FLOOR, Shape::RoundTrip),
    work("UDP 16 lines a datagram, 4 x 32", HUB_AND_FLOOR, FLOOR, Shape::Udp((4, 32), Request::Lines)),
    work("UDP tagged increment, 4 x 32", HUB_AND_FLOOR, FLOOR, Shape::Udp((4, 32), Request::Tagged)),
    work("UDP increment, 10 joined", &[Kind::Pigeond], &[], Shape::Turns(10)),
    work("UDP increment, 10,000 joined", &[Kind::Pigeond], &[], Shape::Turns(10_000)),
    work(
        "UDP fan-out to 1,000",
        &[Kind::FloorFanOut, Kind::Pigeond],
        &[Kind::FloorFanOut],
        Shape::UdpFanOut(1000),
    ),
    work("TCP increment, 4 x 32", TCP, PEERS, Shape::Tcp((4, 32))),
    work("TCP increment, 32 x 4", TCP, PEERS, Shape::Tcp((32, 4))),
    work(
        "TCP message, 4 x 32",
        BROKERS,
        BROKERS_BESIDE,
        Shape::Messages(Size { publishers: 4, subscribers: 1, window: 32, text_bytes: 16 }),
    ),
    work("TCP fan-out to 10", BROKERS, BROKERS_BESIDE, fan_out(10)),
    work("TCP fan-out to 1,000", BROKERS, BROKERS_BESIDE, fan_out(1000)),
    kept("TCP kept increment, 4 x 32", Shape::TcpKept((4, 32))),
    kept("TCP kept increment, 128 x 1", Shape::TcpKept((128, 1))),
    kept("UDP kept increment, 4 x 32", Shape::UdpKept((4, 32), Request::Tagged)),
    kept("UDP kept, 16 lines, 4 x 2", Shape::UdpKept((4, 2), Request::TaggedLines)),
    kept("UDP kept increment, 128 x 1", Shape::UdpKept((128, 1), Request::Tagged)),
];

/// A work of which the processor time is what counts.
const fn work(
    name: &'static str,
    servers: &'static [Kind],
    yardsticks: &'static [Kind],
    shape: Shape,
) -> Work {
    Work { name, servers, yardsticks, figure: Figure::Cost, shape }
}

/// Increments that survive a crash, beside a server that keeps them too.
const fn kept(name: &'static str, shape: Shape) -> Work {
    Work { name, servers: KEEPERS, yardsticks: KEPT_PEERS, figure: Figure::Rate, shape }
}

/// Messages of one client to so many others.
const fn fan_out(subscribers: usize) -> Shape {
    Shape::Messages(Size { publishers: 1, subscribers, window: 32, text_bytes: TEXT_BYTES })
}

impl Shape {
    /// What the hub is told beside its defaults: that so many have room.
    fn settings(self) -> String {
        match self {
            Self::Udp(..) | Self::RoundTrip | Self::Tcp(_) | Self::TcpKept(_) | Self::UdpKept(..) => {
                String::new()
            }
            Self::Messages(Size { publishers, subscribers, .. }) => {
                let clients = publishers * (1 + subscribers);
                format!(
                    "[clients]\nlimit = {clients}\n\
                     [limits]\ntcp_connections = {clients}\ntcp_connections_per_address = {clients}\n"
                )
            }
            Self::UdpFanOut(subscribers) => format!("[clients]\nlimit = {}\n", 1 + subscribers),
            Self::Turns(clients) => format!("[clients]\nlimit = {clients}\n"),
        }
    }

    /// The load that it puts on a server.
    fn load(self, kind: Kind, server: SocketAddr) -> Box<dyn Load> {
        match self {
            Self::Udp(size, request) => {
                // The floor reads no lines: to it a datagram is one request.
                let weight = if kind == Kind::Pigeond { request.weight() } else { 1 };
                Box::new(Udp::new(server, size, request.to(kind), weight))
            }
            Self::RoundTrip => Box::new(RoundTrip::new(server, Request::Plain.to(kind))),
            Self::UdpKept(size, request) if kind.is_hub() => {
                Box::new(Udp::new(server, size, request, request.weight()))
            }
            Self::TcpKept(size) if kind.is_hub() => Box::new(Tcp::tagged(server, size)),
            Self::UdpKept((sockets, window), request) => {
                let requests = window * usize::try_from(request.weight()).expect("a few lines");
                Box::new(Tcp::new(server, (sockets, requests), kind.increment()))
            }
            Self::Tcp(size) | Self::TcpKept(size) => Box::new(Tcp::new(server, size, kind.increment())),
            Self::Messages(size) => Box::new(Messages::new(server, kind, size)),
            Self::UdpFanOut(subscribers) => Box::new(UdpFanOut::new(server, subscribers, TEXT_BYTES)),
            Self::Turns(clients) => Box::new(Turns::new(server, clients)),
        }
    }
}

impl Work {
    /// Whether the hub does it with its default settings.
    pub fn has_defaults(&self) -> bool {
        self.shape.settings().is_empty()
    }

    /// Starts a server, loads it for so long, and ends it; what it cost, and its memory before, in KiB.
    pub fn sample(&self, kind: Kind, processors: Processors, length: Duration) -> (Sample, u64) {
        let server = kind.start(processors, &self.shape.settings());
        let idle_kib = idle_kib(&server.process);
        let mut load = self.shape.load(kind, server.address);
        (measure(&server.process, load.as_mut(), length), idle_kib)
    }
}
