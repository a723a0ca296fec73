//! Whatever a state holds, a hub goes on from it or says that it is damaged; and what it then keeps is good.
//!
//! An input is one byte that chooses how the rest is taken: as the bytes of batches, as rows drawn from them, or as
//! what a connection had said that was not understood yet.

#[path = "rows.rs"]
mod rows;

use std::net::SocketAddr;
use std::time::Duration;

use arbitrary::Unstructured;
use pigeond::hub::{
    Actions, Allowed, Change, CodeKey, Conn, Hub, Input, Keys, Resumed, Secret, Settings, Via,
};
use pigeond::limits::{IDS, UPTIME};
use pigeond::moment::Moment;
use pigeond::wire::Stream;

const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5000);
const VIA: Via = Via { socket: 0, port: 10125, local: None, interface: 0 };

/// What the restored hub is asked: something of everything that it could have restored.
const ASKED: &[u8] = b"KEYS\nWHO\nSTATS\nJOIN ann ack\nWATCH *\nSET a 1\nINC counter\nGET b\nSEND bob hi\nALL hi\n\
    ACK 1\nACK 5\n#s.1 INC\n#s.2 INC a\n#s.70 SET a 2\n#t.1 JOIN bob ack\n#s.3 SEND ann hi\nDEL b\nASK bob x\nBYE\n";

/// Checks one input; panics if something is wrong.
pub fn check(bytes: &[u8]) {
    let Some((&first, rest)) = bytes.split_first() else { return };
    let is_stream = first & 2 != 0;
    let batches = match first % 4 {
        0 => rest.to_vec(),
        1 => rows::rows(&mut Unstructured::new(rest)),
        // A connection's place, so that there is something to give it back to.
        _ => rows::place(1),
    };
    read_back(&batches);
    let settings = if first & 4 == 0 { Settings::default() } else { keyed() };
    let Ok(mut hub) = Hub::restore(settings.clone(), 1, &batches) else { return };
    let stream = if is_stream { rest } else { b"" };
    let kept = goes_on(&mut hub, stream);
    if is_near_its_end(&batches) {
        return;
    }
    let all = [batches, kept].concat();
    let mut again = Hub::restore(settings, 2, &all).expect("what a hub keeps is no damage");
    goes_on(&mut again, b"");
}

/// Settings in which one code has a secret.
fn keyed() -> Settings {
    let key =
        CodeKey { secret: Secret::new(b"00112233445566778899aabbccddeeff"), allowed: Allowed::default() };
    Settings { keys: Keys { codes: [("ann".into(), key)].into(), others: None }, ..Settings::default() }
}

/// What can be read is written as it was read, but for numbers that were longer than need be.
fn read_back(batches: &[u8]) {
    let changes: Vec<Change<'_>> = Change::read(batches).map_while(Result::ok).collect();
    let mut written = Vec::new();
    for change in &changes {
        change.write(&mut written);
    }
    let again: Result<Vec<Change<'_>>, _> = Change::read(&written).collect();
    assert_eq!(again.as_ref(), Ok(&changes));
}

/// Whether what is driven here would take the state beyond the time and the numbers that there are for any.
fn is_near_its_end(batches: &[u8]) -> bool {
    const ROOM: u64 = 1 << 20;
    let most_ms = UPTIME.saturating_sub(Duration::from_hours(30 * 24)).as_millis();
    let is_near = |change: Change<'_>| {
        matches!(change, Change::Clock { uptime_ms, next_id }
            if u128::from(uptime_ms) > most_ms || next_id > IDS - ROOM)
            || matches!(change, Change::Delivery { sent, acked, .. } if sent.max(acked) > IDS - ROOM)
    };
    Change::read(batches).map_while(Result::ok).any(is_near)
}

/// Lets the hub find its clients, asks it, and lets time pass; returns what it has kept.
fn goes_on(hub: &mut Hub, stream: &[u8]) -> Vec<u8> {
    let (mut out, mut kept) = (Actions::default(), Vec::new());
    let mut now = hub.started();
    let resumed = [Resumed { conn: Conn(0), id: 1, from: PEER, stream }];
    hub.resume(now, &resumed, &mut out);
    commit(hub, now, &mut out, &mut kept);
    let length = hub.unfinished(Conn(0)).map_or(0, |unfinished| unfinished.len());
    assert!(length <= stream.len() + Stream::default().to_bytes().len());
    for bytes in [ASKED, b"KEYS *", b"WHO"] {
        hub.handle(now, Input::Datagram { from: PEER, via: VIA, to_many: false, bytes }, &mut out);
        hub.handle(now, Input::Stream { conn: Conn(0), bytes }, &mut out);
        commit(hub, now, &mut out, &mut kept);
    }
    for time in [1, 12, 400, 4000, 8 * 24 * 3600].map(Duration::from_secs) {
        let end = now + time;
        while let Some(at) = hub.next_deadline().filter(|&at| at <= end) {
            now = at.max(now);
            hub.tick(now, &mut out);
            assert!(hub.next_deadline().is_none_or(|at| at >= now), "a deadline is left behind");
            commit(hub, now, &mut out, &mut kept);
            // At the end of time nothing can be put off any more.
            if now.since_start() == Duration::from_nanos(u64::MAX) {
                return kept;
            }
        }
        now = end;
    }
    kept
}

fn commit(hub: &mut Hub, now: Moment, out: &mut Actions, kept: &mut Vec<u8>) {
    while let Some(batch) = hub.poll_commit(now) {
        kept.extend_from_slice(batch);
        hub.handle(now, Input::Committed, out);
    }
    out.clear();
}
