//! What an operator decides about the hub, as plain data.

use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use core::num::NonZeroU32;
use core::time::Duration;
use std::collections::BTreeMap;

use ipnet::IpNet;

use super::keys::Keys;
use crate::limits;
use crate::wire::Word;

/// How plain text is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextReply {
    /// With the same bytes.
    Echo,
    /// With the value of the key `counter`, as the classic tutorial does.
    Counter,
    /// With this text, which is neither `echo` nor `counter`, and has no line end.
    Fixed(String),
}

/// Whom the hub answers at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Networks {
    /// The networks that this machine is on, private and link-local ones, and loopback.
    Local,
    /// These networks.
    List(Vec<IpNet>),
}

/// Settings of the hub; each is explained in `config/pigeond.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are named as the settings in the configuration file")]
pub struct Settings {
    pub name: String,
    pub version: &'static str,
    pub port: u16,
    /// The hub's own sockets: a datagram from one of them is never answered.
    pub own: Vec<SocketAddr>,
    /// The networks that this machine is on.
    pub attached: Vec<IpNet>,
    /// Whether DISCOVER is answered.
    pub discovery: bool,
    /// `None`: the hub is never announced.
    pub announce_every: Option<Duration>,
    pub shout: bool,
    pub clients_limit: usize,
    pub clients_idle: Duration,
    pub text_reply: TextReply,
    pub text_quiet: Duration,
    pub text_greeting: String,
    pub text_answers: BTreeMap<String, String>,
    pub max_message_bytes: usize,
    pub tcp_connections: usize,
    pub tcp_connections_per_address: usize,
    pub text_per_second: u32,
    /// A stream with more pushes than this unread is closed; telling a watcher what is there takes half at most.
    pub unread_bytes: usize,
    /// How long a connection may take for its first whole line; `None`: as long as it likes.
    pub first_line: Option<Duration>,
    /// `None`: silent guests stay.
    pub guest_idle: Option<Duration>,
    pub values: usize,
    pub value_bytes: usize,
    pub per_client_values: usize,
    pub watches_per_client: usize,
    pub sessions: usize,
    pub sessions_per_address: usize,
    pub session_idle: Duration,
    /// How long an ASK waits for its ANSWER.
    pub ask_timeout: Duration,
    /// Texts that wait in one mailbox; a quarter of them from one sender.
    pub mailbox: usize,
    pub mailboxes: usize,
    pub mailboxes_per_address: usize,
    pub networks: Networks,
    /// Requests that each source address may make; `None`: no limit.
    pub requests_per_second: Option<NonZeroU32>,
    /// How many of them at once; `None`: as many as in a second.
    pub burst: Option<NonZeroU32>,
    /// What those may ask who have not joined; `None`: everything that needs no place.
    pub guests: Option<Vec<Word>>,
    /// Secrets of codes, and what each may do.
    pub keys: Keys,
    /// Whether only codes that have a secret may be joined under.
    pub keys_required: bool,
}

impl Settings {
    /// Whether the hub answers an address at all.
    #[must_use]
    pub fn answers(&self, address: IpAddr) -> bool {
        match &self.networks {
            Networks::Local => self.is_local(address),
            Networks::List(networks) => {
                let address = address.to_canonical();
                networks.iter().any(|network| network.contains(&address))
            }
        }
    }

    /// Whether an address lies in the local networks: loopback, private, link-local, or one that this machine is on.
    /// From elsewhere, who sends need not be who it says. An IPv4 address in IPv6 clothes is an IPv4 address.
    #[must_use]
    pub fn is_local(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let always = match address {
            IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
            IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
        };
        // A network that holds every address says nothing about any.
        always || self.attached.iter().any(|network| network.prefix_len() > 0 && network.contains(&address))
    }

    /// How many may be joined at the same time: each code that has a secret has a place beside those of all others.
    #[must_use]
    pub fn places(&self) -> usize {
        self.clients_limit + self.keys.codes.len()
    }

    /// Whom an address is counted for, where each has a share: the address itself, or outside the local networks, where
    /// one customer has a whole network of IPv6, that network.
    #[must_use]
    #[inline]
    pub fn source(&self, address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V6(v6) if v6.to_ipv4_mapped().is_none() && !self.is_local(address) => {
                let host_bits = Ipv6Addr::BITS - limits::SOURCE_PREFIX;
                IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> host_bits << host_bits))
            }
            IpAddr::V4(_) | IpAddr::V6(_) => address,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: "pigeond".to_owned(),
            version: env!("CARGO_PKG_VERSION"),
            port: limits::DEFAULT_PORT,
            own: Vec::new(),
            attached: Vec::new(),
            discovery: true,
            announce_every: Some(Duration::from_secs(30)),
            shout: false,
            clients_limit: 10,
            clients_idle: Duration::from_mins(5),
            text_reply: TextReply::Echo,
            text_quiet: Duration::from_millis(50),
            text_greeting: String::new(),
            text_answers: BTreeMap::new(),
            max_message_bytes: limits::MESSAGE_BYTES,
            tcp_connections: 1000,
            tcp_connections_per_address: 250,
            text_per_second: 200,
            unread_bytes: 256 << 10,
            first_line: Some(Duration::from_mins(1)),
            guest_idle: Some(Duration::from_hours(1)),
            values: 10_000,
            value_bytes: 16 << 20,
            per_client_values: 10_000,
            watches_per_client: 64,
            sessions: 32_768,
            sessions_per_address: 8192,
            session_idle: Duration::from_hours(1),
            ask_timeout: Duration::from_secs(10),
            mailbox: 100,
            mailboxes: 1000,
            mailboxes_per_address: 250,
            networks: Networks::Local,
            requests_per_second: NonZeroU32::new(50_000),
            burst: None,
            guests: None,
            keys: Keys::default(),
            keys_required: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_a_network_of_ipv6_is_one_source_and_on_the_lan_each_address() {
        let attached = vec!["2001:db8:5::/64".parse().unwrap()];
        let settings = Settings { attached, ..Settings::default() };
        for (address, source) in [
            ("2001:db8:7:1:a:b:c:d", "2001:db8:7:1::"),
            ("2001:db8:7:2::1", "2001:db8:7:2::"),
            ("2001:db8:5::1", "2001:db8:5::1"),
            ("fe80::1", "fe80::1"),
            ("fd00::1", "fd00::1"),
            ("::1", "::1"),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
            ("192.0.2.1", "192.0.2.1"),
        ] {
            assert_eq!(
                settings.source(address.parse().unwrap()),
                source.parse::<IpAddr>().unwrap(),
                "{address}"
            );
        }
    }
}
