//! The plot: processor time a request of each server, as an SVG that is readable in light and in dark.

use std::fmt::Write;
use std::path::Path;

use crate::server::Kind;
use crate::table::{Figure, Figures};
use crate::work::Work;

/// The works that are drawn, column by column.
const COLUMNS: [&[&str]; 2] = [
    &[
        "UDP increment, 4 x 32",
        "UDP increment, 32 x 1",
        "UDP 16 lines a datagram, 4 x 32",
        "UDP fan-out to 1,000",
    ],
    &["TCP increment, 4 x 32", "TCP message, 4 x 32", "TCP fan-out to 10", "TCP fan-out to 1,000"],
];

/// Measures of the drawing, in pixels.
const WIDTH: u32 = 760;
const COLUMN: u32 = 380;
const MARGIN: u32 = 12;
const HEAD: u32 = 44;
const TITLE: u32 = 26;
const ROW: u32 = 20;
const BAR: u32 = 13;
const GAP: u32 = 14;
const NAMES: u32 = 84;
const FOOT: u32 = 12;
const LONGEST_BAR: f64 = 200.0;

/// A bar that is longer than so many of the hub's is cut off there: it would leave the others no length to compare.
const MOST_HUBS: f64 = 5.0;

/// Where the cut is seen: so far from the bar's end, and so wide.
const CUT_AT: f64 = 16.0;
const CUT: f64 = 5.0;

const STYLE: &str = "\
text { font: 12px system-ui, sans-serif; fill: #24292f } \
.name { text-anchor: end } .title { font-weight: 600 } \
.page { fill: #ffffff } .hub { fill: #d4570a } .floor { fill: #8c959f } .peer { fill: #5b8fc7 } \
@media (prefers-color-scheme: dark) { text { fill: #d1d7de } .page { fill: #161b22 } .hub { fill: #f58a3c } \
.floor { fill: #6e7681 } }";

/// Writes the plot of what was measured.
pub fn write(path: &Path, figures: &Figures, works: &[&Work]) {
    let mut body = String::new();
    let mut height = 0;
    for (left, names) in (0..).step_by(COLUMN as usize).zip(COLUMNS) {
        let mut top = HEAD;
        for name in names {
            let Some(work) = works.iter().find(|work| work.name == *name) else { continue };
            top = panel(&mut body, (left, top), work, figures);
        }
        height = height.max(top + 4);
    }
    let what =
        "Processor time of the server for each request, line or delivery, in microseconds: less is better";
    let note = "A bar with a gap is longer than drawn.";
    let foot = height + FOOT;
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{foot}\" \
         viewBox=\"0 0 {WIDTH} {foot}\" role=\"img\" aria-label=\"{what}\">\n<style>{STYLE}</style>\n\
         <rect class=\"page\" width=\"{WIDTH}\" height=\"{foot}\" rx=\"6\"/>\n\
         <text x=\"{MARGIN}\" y=\"24\">{what}</text>\n{body}\
         <text x=\"{MARGIN}\" y=\"{height}\">{note}</text>\n</svg>\n",
    );
    if let Err(error) = std::fs::write(path, svg) {
        panic!("the plot cannot be written to {}: {error}", path.display());
    }
}

/// Draws the bars of one work, the longest as long as there is room, and says where the next may begin.
fn panel(body: &mut String, (left, top): (u32, u32), work: &Work, figures: &Figures) -> u32 {
    let cost = |kind: &Kind| Some((*kind, figures.median(Figure::Cost, (work.name, *kind))?));
    let costs: Vec<_> = work.servers.iter().filter_map(cost).collect();
    let longest = costs.iter().map(|(_, cost)| *cost).fold(f64::MIN_POSITIVE, f64::max);
    let hub = figures.median(Figure::Cost, (work.name, Kind::Pigeond));
    let most = longest.min(hub.map_or(longest, |hub| MOST_HUBS * hub));
    let mut line = |text: std::fmt::Arguments<'_>| writeln!(body, "{text}").expect("memory takes it");
    let (title_x, title_y) = (left + MARGIN, top + 16);
    line(format_args!("<text class=\"title\" x=\"{title_x}\" y=\"{title_y}\">{}</text>", work.name));
    let mut y = top + TITLE;
    for (kind, cost) in costs {
        let class = match kind {
            Kind::Pigeond | Kind::PigeondFull => "hub",
            Kind::FloorMany | Kind::Floor | Kind::FloorFanOut => "floor",
            Kind::Python
            | Kind::Memcached
            | Kind::Redis
            | Kind::RedisEverySecond
            | Kind::RedisAlways
            | Kind::Nats
            | Kind::Mosquitto => "peer",
        };
        let (bar_x, bar_width) = (left + MARGIN + NAMES, (cost / most).min(1.0) * LONGEST_BAR);
        let (name_x, text_y) = (bar_x - 6, y + 11);
        let number_x = f64::from(bar_x) + bar_width + 6.0;
        line(format_args!("<text class=\"name\" x=\"{name_x}\" y=\"{text_y}\">{}</text>", kind.name()));
        line(format_args!(
            "<rect class=\"{class}\" x=\"{bar_x}\" y=\"{y}\" width=\"{bar_width:.1}\" height=\"{BAR}\" rx=\"2\"/>"
        ));
        if cost > most {
            let cut_x = f64::from(bar_x) + bar_width - CUT_AT;
            line(format_args!(
                "<rect class=\"page\" x=\"{cut_x:.1}\" y=\"{y}\" width=\"{CUT}\" height=\"{BAR}\"/>"
            ));
        }
        line(format_args!("<text x=\"{number_x:.1}\" y=\"{text_y}\">{cost:.2}</text>"));
        y += ROW;
    }
    y + GAP
}
