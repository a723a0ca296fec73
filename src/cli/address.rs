//! Where the hub is, as people write it.

use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use nix::net::if_::if_indextoname;

use super::exit::{Exit, Failure};
use crate::limits::DEFAULT_PORT;

/// A host by name or address, and a port if one was written.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub(super) struct HubAddress {
    /// Without brackets.
    host: String,
    port: Option<u16>,
}

impl Default for HubAddress {
    fn default() -> Self {
        Self { host: "127.0.0.1".to_owned(), port: None }
    }
}

/// An address that a hub was found at. A scope is written as the interface's name, which the resolver reads.
impl From<SocketAddr> for HubAddress {
    fn from(address: SocketAddr) -> Self {
        let scope = match address {
            SocketAddr::V6(address) if address.scope_id() != 0 => {
                let name = if_indextoname(address.scope_id()).ok().and_then(|name| name.into_string().ok());
                format!("%{}", name.unwrap_or_else(|| address.scope_id().to_string()))
            }
            SocketAddr::V4(_) | SocketAddr::V6(_) => String::new(),
        };
        Self { host: format!("{}{scope}", address.ip()), port: Some(address.port()) }
    }
}

impl HubAddress {
    /// Reads `name`, `name:port`, an IPv4 address with or without a port, an IPv6 address with or without
    /// brackets, and one in brackets with a port.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let split = match text.strip_prefix('[') {
            Some(rest) => rest.split_once(']').and_then(|(host, port)| match port.strip_prefix(':') {
                Some(port) => Some((host, Some(port))),
                None => port.is_empty().then_some((host, None)),
            }),
            // More than one colon without brackets can only be an IPv6 address without a port.
            None if text.matches(':').count() > 1 => Some((text, None)),
            None => Some(text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))),
        };
        let port =
            |port: Option<&str>| port.map(|port| port.parse().ok()).map_or(Some(None), |port| port.map(Some));
        let hub = split.and_then(|(host, digits)| Some(Self { host: host.to_owned(), port: port(digits)? }));
        let fits = |hub: &Self| {
            hub.port != Some(0) && !hub.host.is_empty() && !hub.host.contains(char::is_whitespace)
        };
        hub.filter(fits).ok_or_else(|| {
            format!("`{text}` is no address of a hub; write HOST or HOST:PORT, such as 192.168.1.5:10125 or [::1]:10125")
        })
    }

    /// The same with this port, unless it names one.
    pub(super) fn or_port(mut self, port: u16) -> Self {
        self.port.get_or_insert(port);
        self
    }

    /// The port.
    pub(super) fn port(&self) -> u16 {
        self.port.unwrap_or(DEFAULT_PORT)
    }

    /// Whether it is written as an address of this machine alone.
    pub(super) fn is_loopback(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// Every socket address that the name stands for, as the system's resolver orders them; at least one.
    pub(super) fn resolve(&self) -> Result<Vec<SocketAddr>, Failure> {
        let found = (self.host.as_str(), self.port()).to_socket_addrs();
        let found: Vec<SocketAddr> = found.map(Iterator::collect).map_err(|error| {
            Failure::new(Exit::NoHub, format!("cannot find the host `{}`: {error}", self.host))
        })?;
        if found.is_empty() {
            return Err(Failure::new(Exit::NoHub, format!("the host `{}` has no address", self.host)));
        }
        Ok(found)
    }
}

impl TryFrom<String> for HubAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl fmt::Display for HubAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port())
        } else {
            write!(f, "{}:{}", self.host, self.port())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_and_without_a_port() {
        for (text, shown) in [
            ("10.0.0.7", "10.0.0.7:10125"),
            ("10.0.0.7:99", "10.0.0.7:99"),
            ("pi.local", "pi.local:10125"),
            ("pi.local:99", "pi.local:99"),
            ("::1", "[::1]:10125"),
            ("[::1]", "[::1]:10125"),
            ("[::1]:99", "[::1]:99"),
            ("fe80::1%eth0", "[fe80::1%eth0]:10125"),
        ] {
            assert_eq!(HubAddress::parse(text).map(|hub| hub.to_string()).as_deref(), Ok(shown), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_an_example() {
        for bad in ["", ":99", "pi:", "pi:0", "pi:65536", "pi:x", "[::1", "[::1]99", "[::1]:", "a b"] {
            let refusal = HubAddress::parse(bad).expect_err(bad);
            assert!(refusal.contains("HOST:PORT"), "{refusal}");
        }
    }

    #[test]
    fn an_address_resolves_to_itself() {
        let hub = HubAddress::parse("[::1]:99").unwrap();
        assert_eq!(hub.resolve(), Ok(vec!["[::1]:99".parse().unwrap()]));
    }

    #[test]
    fn a_port_that_is_written_goes_before_any_other() {
        for (text, shown) in [("pi", "pi:98"), ("pi:99", "pi:99"), ("::1", "[::1]:98")] {
            assert_eq!(HubAddress::parse(text).unwrap().or_port(98).to_string(), shown);
        }
    }

    #[test]
    fn a_link_local_address_keeps_its_interface() {
        let lo = nix::net::if_::if_nametoindex("lo").unwrap();
        let found = SocketAddr::V6(std::net::SocketAddrV6::new("fe80::1".parse().unwrap(), 99, 0, lo));
        let hub = HubAddress::from(found);
        assert_eq!(hub.to_string(), "[fe80::1%lo]:99");
        assert_eq!(HubAddress::parse(&hub.to_string()).unwrap().resolve(), Ok(vec![found]));
        assert_eq!(HubAddress::from(SocketAddr::from(([10, 0, 0, 7], 9))).to_string(), "10.0.0.7:9");
    }
}
