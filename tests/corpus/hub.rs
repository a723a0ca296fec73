//! Whatever happens to a hub, in whatever order: it does not panic, what it wants done can be done, and what it has
//! kept is enough to go on from.

#[path = "driver.rs"]
mod driver;
#[path = "probes.rs"]
mod probes;
#[path = "script.rs"]
mod script;

use arbitrary::Unstructured;

use driver::Driver;

/// Things that happen in one input at most.
const STEPS: usize = 300;

/// Checks one input; panics if something is wrong.
pub fn check(bytes: &[u8]) {
    let mut u = Unstructured::new(bytes);
    let Ok(settings) = u.int_in_range(0..=3) else { return };
    let mut driver = Driver::new(settings);
    for _ in 0..STEPS {
        if u.is_empty() {
            break;
        }
        let Ok(step) = script::step(&mut u, &mut driver.heard) else { break };
        driver.take(&step);
    }
    driver.settle();
    probes::check(driver);
}
