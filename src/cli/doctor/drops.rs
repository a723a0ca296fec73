//! Datagrams that the kernel dropped because nobody read them in time.

use std::fs;

use super::finding::{Finding, Report};
use crate::cli::exit::Failure;

const CHECK: &str = "dropped";

pub(super) fn check(port: u16, report: &mut Report<'_>) -> Result<(), Failure> {
    let texts: Vec<String> =
        ["/proc/net/udp", "/proc/net/udp6"].iter().filter_map(|path| fs::read_to_string(path).ok()).collect();
    match judge(texts.iter().filter_map(|text| drops(text, port)).reduce(u64::saturating_add)) {
        Some(finding) => report.add(&finding),
        None => Ok(()),
    }
}

fn judge(drops: Option<u64>) -> Option<Finding> {
    Some(match drops? {
        0 => Finding::ok(CHECK, "the kernel has dropped no datagram of the hub's sockets"),
        drops => Finding::warn(
            CHECK,
            format!("the kernel has dropped {drops} datagrams that the hub could not read in time"),
            "pigeon stats shows how busy it is; more room: sudo sysctl -w net.core.rmem_max=4194304, \
             then restart the hub",
        ),
    })
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
    fn any_drop_is_worth_a_word() {
        let state = |drops| judge(drops).map(|finding| finding.state);
        assert_eq!([state(None), state(Some(0)), state(Some(1))], [None, Some(State::Ok), Some(State::Warn)]);
    }
}
