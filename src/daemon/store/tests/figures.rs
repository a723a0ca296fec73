//! What the store costs. Not a test: `cargo test --release --lib store::tests::figures -- --ignored --nocapture`

use std::fs;
use std::net::IpAddr;
use std::time::Instant;

use super::super::ledger::Ledger;
use crate::config::Sync;
use crate::hub::Change;
use crate::machine::proc;

fn batch(number: u64, requests: u64) -> Vec<u8> {
    let mut batch = Vec::new();
    Change::Clock { uptime_ms: 1_000_000 + number * 100, next_id: 300 }.write(&mut batch);
    let digits = number.to_string();
    let maker = IpAddr::from([192, 168, 1, 17]);
    Change::Value { key: "counter", text: digits.as_bytes(), maker }.write(&mut batch);
    for request in 0..requests {
        let (session, number) = (request % 4, number * requests / 4 + request / 4);
        let line = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let outcome = format!("OK {digits}");
        Change::Reply { session, number, line, outcome: outcome.as_bytes() }.write(&mut batch);
    }
    batch
}

#[test]
#[ignore = "prints figures"]
#[expect(clippy::disallowed_methods, clippy::cast_precision_loss, reason = "it measures")]
fn commits_a_second_and_bytes_a_commit() {
    let figures = [(Sync::Normal, 1, 50_000_u64), (Sync::Normal, 128, 5_000), (Sync::Full, 1, 5_000)];
    for (sync, requests, commits) in figures {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pigeond.db");
        let (mut ledger, _) = Ledger::open(&file, sync).unwrap();
        let written = || {
            let io = fs::read_to_string("/proc/thread-self/io").unwrap();
            proc::figure(&io, "wchar").unwrap().parse::<u64>().unwrap()
        };
        let (before, start) = (written(), Instant::now());
        let (mut folding, mut folds, mut kept) = (0.0, 0_u32, 0);
        for number in 0..commits {
            let batch = batch(number, requests);
            kept += batch.len();
            ledger.commit(&batch).unwrap();
            if ledger.is_full() {
                let start = Instant::now();
                ledger.fold().unwrap();
                folding += start.elapsed().as_secs_f64();
                folds += 1;
            }
        }
        let (seconds, written) = (start.elapsed().as_secs_f64(), written() - before);
        println!(
            "{sync:?}, {requests} requests a commit: {:.0} commits/s, {} bytes a commit, {} of them the batch, \
             {:.0} % of the time in {folds} folds of {:.2} ms",
            commits as f64 / seconds,
            written / commits,
            kept as u64 / commits,
            100.0 * folding / seconds,
            1e3 * folding / f64::from(folds.max(1)),
        );
    }
}
