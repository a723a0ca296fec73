//! The works: what is asked, of whom, and against whom the figures are held.

use std::time::Duration;

use crate::load::{Load, Sample, measure};
use crate::load_tcp::{FanOut, Tcp};
use crate::load_udp::{Request, RoundTrip, Udp};
use crate::once::idle_kib;
use crate::process::Processors;
use crate::server::{Kind, Server};

/// Listeners of the fan-out, and bytes of its texts.
const LISTENERS: usize = 10;
const TEXT_BYTES: usize = 32;

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
    pub ratio: Ratio,
    shape: Shape,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ratio {
    /// Processor time a request: less is better.
    Cost,
    /// Requests a second: more is better.
    Rate,
}

#[derive(Clone, Copy, Debug)]
enum Shape {
    /// Sockets, and requests under way on each.
    Udp((usize, usize), Request),
    RoundTrip,
    Tcp((usize, usize)),
    /// Over TCP, under a tag where the server knows tags.
    TcpKept((usize, usize)),
    /// Over UDP under a tag; over TCP where the server knows no UDP.
    UdpKept((usize, usize), Request),
    FanOut,
}

const UDP: &[Kind] = &[Kind::FloorMany, Kind::Floor, Kind::Pigeond, Kind::Python];
const HUB_AND_FLOOR: &[Kind] = &[Kind::FloorMany, Kind::Pigeond];
const TCP: &[Kind] = &[Kind::Pigeond, Kind::Memcached, Kind::Redis];
const FLOOR: &[Kind] = &[Kind::FloorMany];
const PEERS: &[Kind] = &[Kind::Memcached, Kind::Redis];
const KEEPERS: &[Kind] = &[Kind::Pigeond, Kind::RedisEverySecond, Kind::PigeondFull, Kind::RedisAlways];
const KEPT_PEERS: &[Kind] = &[Kind::RedisEverySecond, Kind::RedisAlways];

/// All of them, in the order of the table.
pub const ALL: &[Work] = &[
    Work {
        name: "UDP increment, 4 x 32",
        servers: UDP,
        yardsticks: FLOOR,
        ratio: Ratio::Cost,
        shape: Shape::Udp((4, 32), Request::Plain),
    },
    Work {
        name: "UDP increment, 32 x 1",
        servers: UDP,
        yardsticks: FLOOR,
        ratio: Ratio::Cost,
        shape: Shape::Udp((32, 1), Request::Plain),
    },
    Work {
        name: "UDP round trip, 1 x 1",
        servers: UDP,
        yardsticks: FLOOR,
        ratio: Ratio::Cost,
        shape: Shape::RoundTrip,
    },
    Work {
        name: "UDP 16 lines a datagram, 4 x 32",
        servers: HUB_AND_FLOOR,
        yardsticks: FLOOR,
        ratio: Ratio::Cost,
        shape: Shape::Udp((4, 32), Request::Lines),
    },
    Work {
        name: "UDP tagged increment, 4 x 32",
        servers: HUB_AND_FLOOR,
        yardsticks: FLOOR,
        ratio: Ratio::Cost,
        shape: Shape::Udp((4, 32), Request::Tagged),
    },
    Work {
        name: "TCP increment, 4 x 32",
        servers: TCP,
        yardsticks: PEERS,
        ratio: Ratio::Cost,
        shape: Shape::Tcp((4, 32)),
    },
    Work {
        name: "TCP increment, 32 x 4",
        servers: TCP,
        yardsticks: PEERS,
        ratio: Ratio::Cost,
        shape: Shape::Tcp((32, 4)),
    },
    Work {
        name: "TCP fan-out to 10, a delivery",
        servers: &[Kind::Pigeond],
        yardsticks: &[],
        ratio: Ratio::Cost,
        shape: Shape::FanOut,
    },
    kept("TCP kept increment, 4 x 32", Shape::TcpKept((4, 32))),
    kept("TCP kept increment, 128 x 1", Shape::TcpKept((128, 1))),
    kept("UDP kept increment, 4 x 32", Shape::UdpKept((4, 32), Request::Tagged)),
    kept("UDP kept, 16 lines, 4 x 2", Shape::UdpKept((4, 2), Request::TaggedLines)),
    kept("UDP kept increment, 128 x 1", Shape::UdpKept((128, 1), Request::Tagged)),
];

/// Increments that survive a crash, beside a server that keeps them too.
const fn kept(name: &'static str, shape: Shape) -> Work {
    Work { name, servers: KEEPERS, yardsticks: KEPT_PEERS, ratio: Ratio::Rate, shape }
}

impl Work {
    /// Starts a server, loads it for so long, and ends it; what it cost, and its memory before, in KiB.
    pub fn sample(&self, kind: Kind, processors: Processors, length: Duration) -> (Sample, u64) {
        let server = match self.shape {
            // Everybody needs a place, which is more than the default has.
            Shape::FanOut => Server::pigeond(processors, &format!("[clients]\nlimit = {}\n", LISTENERS + 1)),
            Shape::Udp(..) | Shape::RoundTrip | Shape::Tcp(_) | Shape::TcpKept(_) | Shape::UdpKept(..) => {
                kind.start(processors)
            }
        };
        let idle_kib = idle_kib(&server.process);
        let mut load: Box<dyn Load> = match self.shape {
            Shape::Udp(size, request) => {
                // The floor reads no lines: to it a datagram is one request.
                let weight = if kind == Kind::Pigeond { request.weight() } else { 1 };
                Box::new(Udp::new(server.address, size, request, weight))
            }
            Shape::RoundTrip => Box::new(RoundTrip::new(server.address)),
            Shape::UdpKept(size, request) if kind.is_hub() => {
                Box::new(Udp::new(server.address, size, request, request.weight()))
            }
            Shape::TcpKept(size) if kind.is_hub() => Box::new(Tcp::tagged(server.address, size)),
            Shape::UdpKept((sockets, window), request) => {
                let requests = window * usize::try_from(request.weight()).expect("a few lines");
                Box::new(Tcp::new(server.address, (sockets, requests), kind.increment()))
            }
            Shape::Tcp(size) | Shape::TcpKept(size) => {
                Box::new(Tcp::new(server.address, size, kind.increment()))
            }
            Shape::FanOut => Box::new(FanOut::new(server.address, LISTENERS, TEXT_BYTES)),
        };
        (measure(&server.process, load.as_mut(), length), idle_kib)
    }
}
