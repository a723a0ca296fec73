//! What happens to a hub, drawn from the bytes of an input: mostly what its grammar knows, and now and then rubbish.

use std::collections::BTreeMap;
use std::time::Duration;

use arbitrary::{Result, Unstructured};
use pigeond::proof::{SessionKey, Way};
use pigeond::wire::{WORDS, Word};

/// Peers over UDP, by their places in the driver's list.
pub const PEERS: usize = 6;

/// Connections at a time.
pub const CONNS: u32 = 4;

/// Bytes that come at once: no datagram holds more.
const MOST_BYTES: usize = 65_507;

/// One thing that happens.
#[derive(Debug)]
pub enum Step {
    Datagram {
        peer: usize,
        to_many: bool,
        bytes: Vec<u8>,
    },
    Opened {
        conn: u32,
        peer: usize,
    },
    Stream {
        conn: u32,
        bytes: Vec<u8>,
    },
    HalfClosed {
        conn: u32,
    },
    Closed {
        conn: u32,
    },
    /// The store takes the next batch, if there is one.
    Takes,
    /// What the store has taken is kept, or not.
    Ends {
        is_kept: bool,
    },
    Passes(Duration),
    Crash {
        is_kept: bool,
        streams_live: bool,
    },
    Stops,
    /// The kernel had no room for datagrams.
    Drops(u64),
    Reconfigured {
        settings: usize,
    },
}

/// The codes that have a secret, where there are keys.
pub const SECRETS: [(&str, &str); 2] =
    [("ann", "00112233445566778899aabbccddeeff"), ("bob", "ffeeddccbbaa99887766554433221100")];

/// What was heard that may be said again.
#[derive(Default)]
pub struct Heard {
    pub tickets: Vec<String>,
    pub nonces: Vec<String>,
    /// Keyed sessions, each with its code's place among the secrets and the nonce that it began with.
    pub keyed: BTreeMap<String, (usize, String)>,
}

/// The next thing that happens.
pub fn step(u: &mut Unstructured<'_>, heard: &mut Heard) -> Result<Step> {
    let peer = |u: &mut Unstructured<'_>| u.int_in_range(0..=PEERS - 1);
    let conn = |u: &mut Unstructured<'_>| u.int_in_range(0..=CONNS - 1);
    Ok(match u.int_in_range(0..=31)? {
        0..=10 => Step::Datagram { peer: peer(u)?, to_many: false, bytes: lines(u, heard)? },
        11 => Step::Datagram { peer: peer(u)?, to_many: true, bytes: lines(u, heard)? },
        12 | 13 => Step::Opened { conn: conn(u)?, peer: peer(u)? },
        14..=20 => Step::Stream { conn: conn(u)?, bytes: lines(u, heard)? },
        21 => Step::HalfClosed { conn: conn(u)? },
        22 => Step::Closed { conn: conn(u)? },
        23 => Step::Takes,
        24 | 25 => Step::Ends { is_kept: true },
        26 => Step::Ends { is_kept: false },
        27 | 28 => {
            Step::Passes(Duration::from_millis(*u.choose(&[1, 60, 250, 1000, 9000, 61_000, 301_000])?))
        }
        29 => Step::Crash { is_kept: u.ratio(1, 2)?, streams_live: u.ratio(1, 2)? },
        30 => match u.int_in_range(0..=4)? {
            0 => Step::Stops,
            4 => Step::Drops(u.int_in_range(1..=1000)?),
            1 => Step::Passes(Duration::from_secs(*u.choose(&[3601, 8 * 24 * 3600])?)),
            _ => Step::Reconfigured { settings: u.int_in_range(0..=3)? },
        },
        _ => Step::Datagram { peer: peer(u)?, to_many: false, bytes: raw(u)? },
    })
}

fn raw(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let length = u.int_in_range(0..=40)?;
    Ok(u.bytes(length.min(u.len()))?.to_vec())
}

/// Some lines, the last of which may be cut short.
fn lines(u: &mut Unstructured<'_>, heard: &mut Heard) -> Result<Vec<u8>> {
    let count = *u.choose(&[1, 1, 1, 1, 1, 2, 2, 3, 5])?;
    let mut bytes = Vec::new();
    for _ in 0..count {
        let mut whole = line(u, heard)?;
        let ending: &[u8] =
            u.choose::<&[u8]>(&[b"\n", b"\n", b"\n", b"", b"\r\n", b"\0", b"\0\0\0", b"\r"])?;
        whole.extend_from_slice(ending);
        // Some ask for the same again and again.
        let times = *u.choose(&[1, 1, 1, 1, 1, 1, 1, 3, 40, 255, 257])?;
        bytes.extend(whole.repeat(times));
    }
    let cut = *u.choose(&[0, 0, 0, 0, 0, 1, 2, 5])?;
    bytes.truncate(bytes.len().saturating_sub(cut).min(MOST_BYTES));
    Ok(bytes)
}

fn line(u: &mut Unstructured<'_>, heard: &mut Heard) -> Result<Vec<u8>> {
    let mut line = Vec::new();
    match u.int_in_range(0..=19)? {
        0 => return text(u),
        1..=8 => {}
        9..=15 => line.extend(tag(u)?.into_bytes()),
        _ => return proved(u, heard),
    }
    let word = *u.choose(WORDS)?;
    line.extend(command(u, word, &heard.tickets)?);
    Ok(line)
}

fn command(u: &mut Unstructured<'_>, word: Word, tickets: &[String]) -> Result<Vec<u8>> {
    let mut line = word.as_str().as_bytes().to_vec();
    for argument in arguments(u, word, tickets)? {
        line.push(b' ');
        line.extend(argument);
    }
    Ok(line)
}

/// A line with a proof that is right, as far as the nonce is; at least it was right for some line.
fn proved(u: &mut Unstructured<'_>, heard: &mut Heard) -> Result<Vec<u8>> {
    let session = *u.choose(&["p", "q", "r"])?;
    let number = u.int_in_range(1..=5)?;
    let mut line = if number == 1 || u.ratio(1, 4)? {
        let whose = u.int_in_range(0..=SECRETS.len() - 1)?;
        let nonce = u.choose(&heard.nonces).map_or_else(|_| "n0nce".to_owned(), Clone::clone);
        let ack = if u.ratio(1, 2)? { " ack" } else { "" };
        let line = format!("JOIN {}{ack} {nonce}", SECRETS[whose].0).into_bytes();
        heard.keyed.entry(session.to_owned()).or_insert((whose, nonce));
        line
    } else {
        let word = *u.choose(WORDS)?;
        command(u, word, &heard.tickets)?
    };
    let Some((whose, nonce)) = heard.keyed.get(session) else { return Ok(line) };
    let key = SessionKey::new(SECRETS[*whose].1.as_bytes(), session, nonce);
    let proof = key.prove(Way::Request, session, number, &line);
    // Some begin anew, and some are changed on the way.
    match u.int_in_range(0..=31)? {
        0 => drop(heard.keyed.remove(session)),
        1 => line.push(b'x'),
        _ => {}
    }
    let proof = str::from_utf8(&proof).unwrap_or_default();
    Ok([format!("#{session}.{number}.{proof} ").into_bytes(), line].concat())
}

fn tag(u: &mut Unstructured<'_>) -> Result<String> {
    let session = *u.choose(&["s", "t", "u", "v", "w-1", "p", "sixteen_byteslong"])?;
    let number = match u.int_in_range(0..=7)? {
        0..=4 => u.int_in_range(1..=6)?,
        5 | 6 => u.int_in_range(1..=140)?,
        _ => *u.choose(&[0, 1, 63, 64, 65, i64::MAX.cast_unsigned(), 1 << 63])?,
    };
    let mac = *u.choose(&["", "", "", "", "", "", "", ".0123456789abcdef"])?;
    Ok(format!("#{session}.{number}{mac} "))
}

fn arguments(u: &mut Unstructured<'_>, word: Word, tickets: &[String]) -> Result<Vec<Vec<u8>>> {
    // Some are given what they do not take.
    if u.ratio(1, 24)? {
        return Ok(vec![text(u)?]);
    }
    let some = u.ratio(3, 4)?;
    Ok(match word {
        Word::Bye | Word::Discover | Word::Info | Word::Stats => Vec::new(),
        Word::Join => {
            let further: &[&[u8]] =
                u.choose::<&[&[u8]]>(&[&[], &[], &[b"ack"], &[b"ack"], &[b"ack", b"n0nce"]])?;
            core::iter::once(code(u)?).chain(further.iter().map(|word| word.to_vec())).collect()
        }
        Word::Who => {
            if some {
                vec![]
            } else {
                vec![code(u)?]
            }
        }
        Word::Ping => {
            if some {
                vec![text(u)?]
            } else {
                vec![]
            }
        }
        Word::All | Word::Shout => vec![text(u)?],
        Word::Send | Word::Ask => vec![code(u)?, text(u)?],
        Word::Answer => vec![ticket(u, tickets)?, text(u)?],
        Word::Get | Word::Del => vec![key(u)?],
        Word::Set => vec![key(u)?, text(u)?],
        Word::Inc | Word::Dec => match u.int_in_range(0..=3)? {
            0 => vec![],
            1 => vec![key(u)?],
            2 => vec![number(u)?],
            _ => vec![key(u)?, number(u)?],
        },
        Word::Keys => match u.int_in_range(0..=2)? {
            0 => vec![],
            1 => vec![pattern(u)?],
            _ => vec![pattern(u)?, key(u)?],
        },
        Word::Watch | Word::Unwatch => vec![pattern(u)?],
        Word::Help => {
            if some {
                vec![u.choose(WORDS)?.as_str().into()]
            } else {
                vec![]
            }
        }
        Word::Ack => vec![number(u)?],
    })
}

fn code(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    Ok(match u.int_in_range(0..=7)? {
        7 => vec![b'c'; 64],
        at => ["ann", "ann", "bob", "bob", "cid", "dan", "5"][at].into(),
    })
}

fn key(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    Ok(match u.int_in_range(0..=9)? {
        8 => vec![b'k'; 64],
        9 => format!("k{}", u.int_in_range(0..=99)?).into_bytes(),
        at => ["counter", "a", "a", "b", "a/b", "a/c", "z", "7"][at].into(),
    })
}

fn pattern(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    match u.int_in_range(0..=5)? {
        0 | 1 => Ok(b"*".to_vec()),
        2 => Ok(b"a*".to_vec()),
        3 => Ok(b"a/*".to_vec()),
        4 => Ok(b"*a*b*".to_vec()),
        _ => key(u),
    }
}

fn number(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    Ok(match u.int_in_range(0..=7)? {
        0..=5 => u.int_in_range(1..=40)?.to_string().into_bytes(),
        6 => (*u.choose(&[i64::MAX, i64::MIN, -1, 0])?).to_string().into_bytes(),
        _ => (*u.choose(&["9223372036854775808", "1.5", "-", "01"])?).into(),
    })
}

fn ticket(u: &mut Unstructured<'_>, tickets: &[String]) -> Result<Vec<u8>> {
    if tickets.is_empty() || u.ratio(1, 8)? {
        return Ok(b"t1cket".to_vec());
    }
    Ok(u.choose(tickets)?.as_bytes().to_vec())
}

fn text(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    Ok(match u.int_in_range(0..=15)? {
        0..=5 => u.int_in_range(0..=999)?.to_string().into_bytes(),
        6 => Vec::new(),
        7 => b" two  words ".to_vec(),
        8 => b"GET / HTTP/1.1".to_vec(),
        9 => b"HERE hub 1 10125 0/10".to_vec(),
        10 => i64::MAX.to_string().into_bytes(),
        11 => vec![b'v'; 1000],
        12 => vec![b'v'; 8000],
        13 => vec![b'v'; u.int_in_range(1480..=1520)?],
        _ => raw(u)?,
    })
}
