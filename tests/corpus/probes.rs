//! What a hub that goes on from what was kept says to what was asked before.

use std::collections::BTreeSet;

use pigeond::hub::Hub;

use super::driver::{Driver, settings};

/// Pages of a list that are read.
const PAGES: usize = 8;

/// What a hub is asked, and what it says.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    /// The first replies to tagged lines, or the same again; `None` where there is none yet.
    tagged: Vec<Option<Vec<u8>>>,
    values: Vec<(Vec<u8>, Vec<Vec<u8>>)>,
    codes: BTreeSet<Vec<u8>>,
}

/// The hub, the same hub again, and one that is restored from what was kept say the same.
pub fn check(mut driver: Driver) {
    // What one of the lines opens or makes stale is another matter for those before it: after two rounds that is done.
    tagged(&mut driver);
    tagged(&mut driver);
    let before = said(&mut driver);
    let torn = driver.torn();
    driver.hub = Hub::restore(settings(driver.settings), 1000, &driver.disk).expect("what was kept is read");
    driver.now = driver.hub.started();
    driver.resume(&torn);
    driver.commit();
    let mut after = said(&mut driver);
    for (before, after) in before.tagged.iter().zip(&mut after.tagged) {
        if before.is_none() {
            *after = None;
        }
    }
    if driver.is_reconfigured {
        after.codes.clone_from(&before.codes);
    }
    assert_eq!(after, before);
}

fn said(driver: &mut Driver) -> Said {
    let tagged = tagged(driver);
    let keys = pages(driver, "KEYS", "KEYS *");
    let values = keys.into_iter().map(|key| {
        let said = driver.probe(&[b"GET ", &key[..]].concat());
        (key, said)
    });
    Said { tagged, values: values.collect(), codes: pages(driver, "WHO", "WHO") }
}

fn tagged(driver: &mut Driver) -> Vec<Option<Vec<u8>>> {
    let asked: Vec<Vec<u8>> = driver.asked.iter().cloned().collect();
    let mut ask = |line: &Vec<u8>| driver.probe(line).into_iter().next().filter(|reply| is_answer(reply));
    let twice = asked.iter().map(|line| {
        let (first, again) = (ask(line), ask(line));
        assert!(first.is_none() || first == again, "a reply is sent again, byte for byte");
        first
    });
    twice.collect()
}

/// Whether a reply is one for good.
fn is_answer(reply: &[u8]) -> bool {
    !["ERR busy", "ERR stopping", "ERR disk", "ERR prove"].iter().any(|none| contains(reply, none.as_bytes()))
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// A list that is asked for page by page.
fn pages(driver: &mut Driver, first: &str, next: &str) -> BTreeSet<Vec<u8>> {
    let mut all = BTreeSet::new();
    let mut line = first.to_owned().into_bytes();
    for _ in 0..PAGES {
        let said = driver.probe(&line).concat();
        if said.starts_with(b"ERR ") {
            break;
        }
        let mut words: Vec<&[u8]> = said.split(|&b| b == b' ').filter(|word| !word.is_empty()).collect();
        let more = words.pop_if(|word| *word == b"+").is_some();
        let last = words.last().map(|word| word.to_vec());
        all.extend(words.iter().map(|word| word.to_vec()));
        match last.filter(|_| more) {
            Some(last) => line = [next.as_bytes(), b" ", &last].concat(),
            None => break,
        }
    }
    all
}
