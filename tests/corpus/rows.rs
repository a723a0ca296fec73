//! Rows of a state, drawn from bytes: names and numbers that meet, and now and then some that cannot be.

use std::net::IpAddr;

use arbitrary::{Result, Unstructured};
use pigeond::hub::{Change, Content, Spot};

/// Rows of one input at most.
const ROWS: usize = 200;

/// A batch of rows.
pub fn rows(u: &mut Unstructured<'_>) -> Vec<u8> {
    let mut batch = Vec::new();
    for _ in 0..ROWS {
        if u.is_empty() {
            break;
        }
        let Ok(change) = row(u) else { break };
        change.write(&mut batch);
    }
    batch
}

/// The place of a client on the connection of this name.
pub fn place(id: u64) -> Vec<u8> {
    let mut batch = Vec::new();
    Change::Clock { uptime_ms: 1, next_id: 2 }.write(&mut batch);
    Change::Place { id: 1, code: "bob", spot: Spot::Tcp { id }, ending: b"\n", boxed: false }
        .write(&mut batch);
    batch
}

fn row<'a>(u: &mut Unstructured<'a>) -> Result<Change<'a>> {
    Ok(match u.int_in_range(0..=16)? {
        0 => Change::Clock { uptime_ms: number(u)?, next_id: number(u)? },
        1 | 2 => Change::Value { key: name(u)?, text: text(u)?, maker: address(u)? },
        3 => Change::ValueGone { key: name(u)? },
        4 => Change::Session {
            id: number(u)?,
            name: u.choose(&["s", "t", "", "sixteen_bytes_xx", "seventeen_bytes_x", "a b"])?,
            opener: address(u)?,
            place: if u.ratio(1, 2)? { Some((number(u)?, number(u)?)) } else { None },
            superseded: u.ratio(1, 4)?,
            claimed: if u.ratio(1, 2)? { Some(name(u)?) } else { None },
            bye: u.ratio(1, 4)?,
        },
        5 => Change::SessionGone { id: number(u)? },
        6 => Change::Reply { session: number(u)?, number: number(u)?, line: number(u)?, outcome: text(u)? },
        7 | 8 => Change::Mailbox {
            id: number(u)?,
            code: name(u)?,
            name: u.choose(&["b0xx", "other", "", "sixteenbytesxxxx", "seventeenbytesxxx"])?,
            opener: address(u)?,
            left_ms: number(u)?,
        },
        9 => Change::Delivery { mailbox: number(u)?, sent: number(u)?, acked: number(u)? },
        10 => Change::MailboxGone { id: number(u)? },
        11 => {
            let content = match u.int_in_range(0..=2)? {
                0 => Content::Text { sender: name(u)?, push: text(u)? },
                1 => Content::Key { key: name(u)? },
                _ => Content::Told { key: name(u)?, push: text(u)? },
            };
            Change::Letter { mailbox: number(u)?, number: number(u)?, content }
        }
        12 => Change::Watch { owner: number(u)?, pattern: name(u)? },
        13 => Change::WatchGone { owner: number(u)?, pattern: name(u)? },
        14 => Change::Place {
            id: number(u)?,
            code: name(u)?,
            spot: spot(u)?,
            ending: u.choose::<&[u8]>(&[b"", b"\n", b"\r\n", b"\0", b"\r", b"x"])?,
            boxed: u.ratio(1, 2)?,
        },
        15 => Change::Keyed {
            session: number(u)?,
            code: name(u)?,
            nonce: u.choose(&["n0nce", "", "0123456789abcdef", "seventeenbytesxxx"])?,
            check: *b"0123456789abcdef",
            spot: spot(u)?,
            joined: if u.ratio(1, 2)? { Some(number(u)?) } else { None },
        },
        _ => Change::PlaceGone { id: number(u)? },
    })
}

fn spot(u: &mut Unstructured<'_>) -> Result<Spot> {
    if u.ratio(1, 2)? {
        return Ok(Spot::Tcp { id: number(u)? });
    }
    let to = (address(u)?, 5000).into();
    let local = if u.ratio(1, 2)? { Some(address(u)?) } else { None };
    Ok(Spot::Udp { to, local, port: 10125, interface: u.int_in_range(0..=2)? })
}

/// Mostly small, so that rows meet.
fn number(u: &mut Unstructured<'_>) -> Result<u64> {
    Ok(match u.int_in_range(0..=15)? {
        0..=11 => u.int_in_range(0..=6)?,
        12 | 13 => u.int_in_range(0..=150)?,
        _ => *u.choose(&[u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) - 1, 1 << 32, 604_800_000])?,
    })
}

fn name<'a>(u: &mut Unstructured<'a>) -> Result<&'a str> {
    Ok(match u.int_in_range(0..=15)? {
        0..=13 => u.choose(&["ann", "bob", "a", "b", "counter", "a/*", "*"])?,
        14 => u.choose(&["", "a b", "7", "\u{e9}"])?,
        _ => str::from_utf8(text(u)?).unwrap_or("ann"),
    })
}

fn text<'a>(u: &mut Unstructured<'a>) -> Result<&'a [u8]> {
    Ok(match u.int_in_range(0..=7)? {
        0 => b"",
        1 => b"5",
        2 => b"9223372036854775807",
        3 => b"OK 1",
        4 => b"MSG ann hi",
        5 => b"VAL a 1",
        _ => {
            let length = u.int_in_range(0..=80)?;
            u.bytes(length.min(u.len()))?
        }
    })
}

fn address(u: &mut Unstructured<'_>) -> Result<IpAddr> {
    Ok(match u.int_in_range(0..=4)? {
        0 | 1 => IpAddr::from([127, 0, 0, 1]),
        2 => IpAddr::from([192, 168, 0, 1]),
        3 => IpAddr::from([198, 51, 100, 7]),
        _ => IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, 1]),
    })
}
