//! The table that the long form prints, one row for each test.

use std::sync::Once;

/// What was done.
pub struct Row {
    pub way: &'static str,
    pub requests: usize,
    /// Datagrams passed, dropped and repeated.
    pub relay: Option<[u64; 3]>,
}

impl Row {
    /// Prints the row, below the table's head if it is the first.
    pub fn print(&self, kills: u32, seconds: f64, result: &str) {
        static HEAD: Once = Once::new();
        HEAD.call_once(|| {
            println!(
                "\n{:<20} {:>9} {:>6} {:>9} {:>9} {:>9} {:>8}  result",
                "way", "requests", "kills", "passed", "dropped", "repeated", "seconds"
            );
        });
        let [passed, dropped, repeated] = self.relay.map_or_else(
            || ["-", "-", "-"].map(str::to_owned),
            |counts| counts.map(|count| count.to_string()),
        );
        println!(
            "{:<20} {:>9} {kills:>6} {passed:>9} {dropped:>9} {repeated:>9} {seconds:>8.1}  {result}",
            self.way, self.requests
        );
    }
}
