//! The line by which a hub says where it is: `HERE name version port n/limit`.

use crate::names::Code;

/// Longest version that is believed, in bytes.
const VERSION_BYTES: usize = 32;

/// What a hub says about itself. Every part has been checked: nothing in it can disturb a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Here {
    pub(in crate::cli) name: String,
    pub(in crate::cli) version: String,
    pub(in crate::cli) port: u16,
    pub(in crate::cli) clients: u32,
    pub(in crate::cli) limit: u32,
}

impl Here {
    /// Reads the line; `None` if it is anything else.
    pub(in crate::cli) fn parse(line: &[u8]) -> Option<Self> {
        let line = str::from_utf8(line).ok()?.trim_end_matches(['\r', '\n']);
        let mut words = line.strip_prefix("HERE ")?.split(' ');
        let (name, version, port, clients) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let (clients, limit) = clients.split_once('/')?;
        let is_version = (1..=VERSION_BYTES).contains(&version.len())
            && version.bytes().all(|b| b.is_ascii_alphanumeric() || b".-+~".contains(&b));
        // What stands behind is for later versions of the protocol.
        Some(Self {
            name: Code::parse(name.as_bytes())?.as_str().to_owned(),
            version: is_version.then(|| version.to_owned())?,
            port: number(port).filter(|&port| port > 0)?,
            clients: number(clients)?,
            limit: number(limit)?,
        })
    }
}

/// A number of digits and nothing else.
fn number<N: std::str::FromStr>(digits: &str) -> Option<N> {
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_read_with_any_end() {
        for end in ["", "\n", "\r\n", " more"] {
            let here = Here::parse(format!("HERE pi/a 0.1.0 10125 3/100{end}").as_bytes()).unwrap();
            assert_eq!((here.name.as_str(), here.version.as_str(), here.port), ("pi/a", "0.1.0", 10125));
            assert_eq!((here.clients, here.limit), (3, 100));
        }
    }

    #[test]
    fn what_is_no_such_line_or_would_disturb_a_terminal_is_not_read() {
        for bad in [
            &b""[..],
            b"HERE",
            b"HERE pi 0.1.0 10125",
            b"here pi 0.1.0 10125 3/100",
            b"HERE pi 0.1.0 0 3/100",
            b"HERE pi 0.1.0 65536 3/100",
            b"HERE pi 0.1.0 +99 3/100",
            b"HERE pi 0.1.0 99 3",
            b"HERE pi 0.1.0 99 -3/100",
            b"HERE  pi 0.1.0 99 3/100",
            b"HERE p\x1b[31mi 0.1.0 99 3/100",
            b"HERE pi 0.1\x07 99 3/100",
            b"HERE pi \xff 99 3/100",
            b"DISCOVER",
            b"#s.1 OK HERE pi 0.1.0 10125 3/100",
        ] {
            assert_eq!(Here::parse(bad), None, "{}", bad.escape_ascii());
        }
        let long = |bytes: usize| format!("HERE pi {} 99 3/100", "1".repeat(bytes));
        assert!(Here::parse(long(VERSION_BYTES).as_bytes()).is_some());
        assert_eq!(Here::parse(long(VERSION_BYTES + 1).as_bytes()), None);
    }
}
