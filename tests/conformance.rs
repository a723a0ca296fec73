//! The examples of the protocol page are tests: against the pure hub with a clock of its own, and over real
//! sockets against the real daemon.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and lives outside the core"
)]

mod common;
#[path = "conformance/page.rs"]
mod page;
#[path = "conformance/pure.rs"]
mod pure;
#[path = "conformance/real.rs"]
mod real;

use page::{Example, Step};

/// Somebody who talks to a hub, in whatever world.
trait World {
    fn send(&mut self, who: char, bytes: &[u8], half_close: bool);
    fn expect(&mut self, who: char, expected: &page::Expected) -> Result<(), String>;
    fn pause(&mut self, milliseconds: u64);
    fn nothing_is_left(&mut self) -> Result<(), String>;
}

fn run(example: &Example, world: &mut dyn World) -> Result<(), String> {
    for step in &example.steps {
        match step {
            Step::Send(who, bytes, half_close) => world.send(*who, bytes, *half_close),
            Step::Expect(who, expected) => world.expect(*who, expected)?,
            Step::Pause(milliseconds) => world.pause(*milliseconds),
        }
    }
    world.nothing_is_left()
}

fn check(examples: &[Example], world: impl Fn() -> Box<dyn World>) {
    let failures: Vec<String> = examples
        .iter()
        .filter_map(|example| {
            let result = run(example, world().as_mut());
            result.err().map(|why| format!("{} ({}): {why}", example.number, example.what))
        })
        .collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn every_example_holds_for_the_pure_hub() {
    let examples = page::examples();
    assert_eq!(examples.len(), 43, "the page has 43 examples");
    check(&examples, || Box::new(pure::Pure::new()));
}

#[test]
fn every_example_that_names_no_time_holds_over_real_sockets() {
    let mut examples = page::examples();
    examples.retain(|example| !example.names_time());
    assert!(examples.len() >= 40);
    check(&examples, || Box::new(real::Real::new()));
}

#[test]
fn a_wrong_reply_would_be_noticed() {
    let mut examples = page::examples();
    for example in &mut examples {
        for step in &mut example.steps {
            if let Step::Expect(_, expected) = step {
                expected.spoil();
            }
        }
    }
    let passing: Vec<_> =
        examples.iter().filter(|example| run(example, &mut pure::Pure::new()).is_ok()).collect();
    assert!(passing.is_empty(), "{passing:?}");
}
