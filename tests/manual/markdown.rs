//! Turns the markdown that this project writes into a manual page: headings, paragraphs, lists, tables, code.
//!
//! A line `{name}` of its own stands for what the caller puts there. Anything else that it does not know fails.

use super::roff::Page;

/// A table with a cell longer than this is told row by row.
const LONGEST_CELL: usize = 60;

/// Writes a text to a page.
pub fn write(page: &mut Page, markdown: &str, mut insert: impl FnMut(&mut Page, &str)) {
    let lines: Vec<&str> = markdown.lines().collect();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let rest = &lines[at..];
        at += if line.trim().is_empty() {
            1
        } else if let Some(name) = line.strip_prefix('{').and_then(|line| line.strip_suffix('}')) {
            insert(page, name);
            1
        } else if line.starts_with('#') {
            heading(page, line);
            1
        } else if line.starts_with("    ") {
            code(page, rest)
        } else if line.starts_with('|') {
            table(page, rest)
        } else if mark(line).is_some() {
            list(page, rest)
        } else {
            paragraph(page, rest)
        };
    }
}

fn heading(page: &mut Page, line: &str) {
    match line.split_once(' ') {
        // `# name - what it is`
        Some(("#", title)) => {
            page.section("Name");
            page.roff(&title.replace(" - ", " \\- "));
        }
        Some(("##", title)) => page.section(title),
        Some(("###", title)) => page.subsection(title),
        _ => panic!("no heading that is known: {line}"),
    }
}

/// Takes lines as long as they belong together; how many, and their text.
fn gather<'a>(lines: &[&'a str], belongs: impl Fn(&&&'a str) -> bool) -> (usize, String) {
    let taken: Vec<&str> =
        lines.iter().take(1).chain(lines[1..].iter().take_while(belongs)).copied().collect();
    (taken.len(), taken.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" "))
}

fn paragraph(page: &mut Page, lines: &[&str]) -> usize {
    let (count, text) = gather(lines, |line| {
        !line.trim().is_empty() && !line.starts_with(['#', '|', '{']) && mark(line).is_none()
    });
    page.paragraph(&text);
    count
}

/// The bullet or number that a line of a list begins with, and what follows.
fn mark(line: &str) -> Option<(&str, &str)> {
    let (mark, text) = line.split_once(' ')?;
    let number = mark.strip_suffix('.').unwrap_or_default();
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    (mark == "-" || is_number).then_some((mark, text))
}

fn list(page: &mut Page, lines: &[&str]) -> usize {
    let (count, text) = gather(lines, |line| line.starts_with("  "));
    let (mark, text) = mark(&text).expect("a line of a list");
    // An entry that begins with names in code and a colon explains them: they stand over it.
    match text.split_once("`: ").filter(|_| text.starts_with('`')) {
        Some((names, what)) => page.tagged(&format!("{names}`"), &[what]),
        None => page.item(mark, text),
    }
    count
}

fn code(page: &mut Page, lines: &[&str]) -> usize {
    let is_code = |line: &&&str| line.starts_with("    ") || line.is_empty();
    let mut count = lines.iter().take_while(is_code).count();
    while lines[count - 1].is_empty() {
        count -= 1;
    }
    let block: Vec<&str> = lines[..count].iter().map(|line| line.get(4..).unwrap_or_default()).collect();
    page.code(&block);
    count
}

fn table(page: &mut Page, lines: &[&str]) -> usize {
    let count = lines.iter().take_while(|line| line.starts_with('|')).count();
    let mut rows: Vec<Vec<String>> = lines[..count].iter().map(|line| cells(line)).collect();
    assert!(rows.remove(1).iter().all(|cell| cell == "---"), "a table without a head: {}", lines[0]);
    if rows.iter().flatten().any(|cell| cell.chars().count() > LONGEST_CELL) {
        row_by_row(page, &rows);
    } else {
        page.table(&rows);
    }
    count
}

fn cells(line: &str) -> Vec<String> {
    let inner = line.strip_prefix('|').and_then(|line| line.trim_end().strip_suffix('|'));
    inner.expect("a row of a table").split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// The first cell stands over the others; a number that only counts, together with the one behind it.
fn row_by_row(page: &mut Page, rows: &[Vec<String>]) {
    let (names, rows) = rows.split_first().expect("a head");
    for row in rows {
        let is_counted = names[0].is_empty();
        let (tag, skip) =
            if is_counted { (format!("{}. {}", row[0], row[1]), 2) } else { (row[0].clone(), 1) };
        let last = row.len() - 1;
        let mut below = Vec::new();
        for (column, cell) in row.iter().enumerate().skip(skip).filter(|(_, cell)| !cell.is_empty()) {
            if column == last {
                // Steps that follow each other stand below each other.
                below.extend(cell.split(" · ").map(str::to_owned));
            } else {
                below.push(format!("*{}:* {cell}", names[column]));
            }
        }
        page.rows(&tag, &below);
    }
}
