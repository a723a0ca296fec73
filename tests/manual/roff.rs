//! Writes a manual page, in the macros that both groff and mandoc know.

/// Text lines of the source are at most this long.
const WIDTH: usize = 78;

/// Columns that a table or a block of code may take: what a terminal of 80 leaves.
const BLOCK_WIDTH: usize = 68;

/// From this length on a word of code may be broken behind its commas.
const LONG_WORD: usize = 40;

/// A page that is being written.
#[derive(Debug)]
pub struct Page {
    lines: Vec<String>,
    /// Whether a paragraph mark would be wrong here: right below a heading.
    is_fresh: bool,
}

impl Page {
    /// A page with its title line; `manual` is printed in the middle of its head.
    pub fn new(name: &str, section: u8, date: &str, manual: &str) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let title = name.to_uppercase();
        let lines = vec![
            // A table in it wants this mark, and the mark does no harm elsewhere.
            "'\\\" t".to_owned(),
            ".\\\" Made by the test `manual`; do not edit. CONTRIBUTING.md says how.".to_owned(),
            format!(".TH {title} {section} {date} \"pigeond {version}\" \"{manual}\""),
            // One long page: else a table may not fit on what is left of one.
            ".pl 3000v".to_owned(),
            // Nothing is hyphenated or stretched: names and commands stay as they are typed.
            ".nh".to_owned(),
            ".ad l".to_owned(),
        ];
        Self { lines, is_fresh: true }
    }

    /// The whole page.
    pub fn finish(self) -> String {
        self.lines.join("\n") + "\n"
    }

    /// A section.
    pub fn section(&mut self, title: &str) {
        self.lines.push(format!(".SH \"{}\"", prose(&title.to_uppercase()).replace('"', "\\(dq")));
        self.is_fresh = true;
    }

    /// A section within a section.
    pub fn subsection(&mut self, title: &str) {
        self.lines.push(format!(".SS \"{}\"", inline(title).replace('"', "\\(dq")));
        self.is_fresh = true;
    }

    /// A paragraph.
    pub fn paragraph(&mut self, markdown: &str) {
        self.gap();
        self.text(&inline(markdown));
    }

    /// Something with its description, one paragraph or more, below.
    pub fn tagged(&mut self, tag: &str, paragraphs: &[&str]) {
        self.tagged_roff(&inline(tag), paragraphs);
    }

    /// The same with a tag that is roff already.
    pub fn tagged_roff(&mut self, tag: &str, paragraphs: &[&str]) {
        self.lines.push(".TP".to_owned());
        self.lines.push(guarded(tag));
        for (index, paragraph) in paragraphs.iter().enumerate() {
            if index > 0 {
                self.lines.push(".IP".to_owned());
            }
            self.text(&inline(paragraph));
        }
        self.is_fresh = false;
    }

    /// Something with lines below, each of its own.
    pub fn rows(&mut self, tag: &str, lines: &[String]) {
        self.lines.extend([".TP".to_owned(), guarded(&inline(tag))]);
        for (index, line) in lines.iter().enumerate() {
            if index > 0 {
                self.lines.push(".br".to_owned());
            }
            self.text(&inline(line));
        }
        self.is_fresh = false;
    }

    /// An entry of a list, behind its bullet or number.
    pub fn item(&mut self, mark: &str, markdown: &str) {
        let (mark, indent) = if mark == "-" { ("\\(bu", 2) } else { (mark, 4) };
        self.lines.push(format!(".IP {mark} {indent}"));
        self.text(&inline(markdown));
        self.is_fresh = false;
    }

    /// Lines as they are. One that is too long for a terminal goes on in the next, further in.
    pub fn code(&mut self, lines: &[&str]) {
        self.gap();
        self.lines.extend([".RS 2".to_owned(), ".EX".to_owned()]);
        for line in lines.iter().flat_map(|line| folded(line)) {
            self.lines.push(if line.is_empty() { "\\&".to_owned() } else { guarded(&code(&line)) });
        }
        // To some macros the end of a block is the beginning of hyphenation.
        self.lines.extend([".EE".to_owned(), ".nh".to_owned(), ".RE".to_owned()]);
        self.is_fresh = false;
    }

    /// A table, its head first; cells that do not fit are folded.
    pub fn table(&mut self, rows: &[Vec<String>]) {
        self.gap();
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let longest =
            |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| shown(cell)).max();
        let mut widths: Vec<usize> = (0..columns).map(|column| longest(column).unwrap_or(0)).collect();
        while widths.iter().sum::<usize>() + 3 * columns > BLOCK_WIDTH {
            *widths.iter_mut().max().expect("a column") -= 1;
        }
        let layout = |style: &str| {
            let columns: Vec<_> = widths.iter().map(|width| format!("l{style}w({width}n)")).collect();
            columns.join(" ")
        };
        self.lines.extend([".TS".to_owned(), layout("b"), layout("") + "."]);
        for row in rows {
            let cells: Vec<_> =
                row.iter().map(|cell| format!("T{{\n{}\nT}}", guarded(&inline(cell)))).collect();
            self.lines.push(cells.join("\t").replace("T{\n\nT}", ""));
        }
        self.lines.push(".TE".to_owned());
        self.is_fresh = false;
    }

    /// Lines that another program wrote in roff.
    pub fn roff(&mut self, lines: &str) {
        for line in lines.lines() {
            if line.starts_with('.') { self.lines.push(line.to_owned()) } else { self.text(line) }
        }
        self.is_fresh = false;
    }

    /// The distance to what stands above.
    fn gap(&mut self) {
        if !core::mem::take(&mut self.is_fresh) {
            self.lines.push(".PP".to_owned());
        }
    }

    /// Text that is roff already: a line for each sentence, none too long.
    fn text(&mut self, roff: &str) {
        let mut line = String::new();
        for word in roff.split(' ') {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.lines.push(guarded(&core::mem::take(&mut line)));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
            if ends_sentence(word) {
                self.lines.push(guarded(&core::mem::take(&mut line)));
            }
        }
        if !line.is_empty() {
            self.lines.push(guarded(&line));
        }
    }
}

/// Markdown within a paragraph, as roff: `code`, **strong** and *emphasis*; of a link its text.
pub fn inline(markdown: &str) -> String {
    let (mut out, mut rest) = (String::new(), markdown);
    let (mut strong, mut emphasis) = (false, false);
    while let Some(first) = rest.chars().next() {
        let font = |strong, emphasis| {
            if strong {
                "\\fB"
            } else if emphasis {
                "\\fI"
            } else {
                "\\fR"
            }
        };
        if let Some((span, after)) = rest.strip_prefix('`').and_then(|after| after.split_once('`')) {
            out.extend(["\\fB", &code_within(span), font(strong, emphasis)]);
            rest = after;
        } else if let Some(after) = rest.strip_prefix("**") {
            strong = !strong;
            out += font(strong, emphasis);
            rest = after;
        } else if first == '*' && (emphasis || opens(rest)) {
            emphasis = !emphasis;
            out += font(strong, emphasis);
            rest = &rest[1..];
        } else if let Some((text, after)) = link(rest) {
            out += &inline(text);
            rest = after;
        } else if let Some(after) = rest.strip_prefix('\\').filter(|after| after.starts_with(['*', '`', '|']))
        {
            out += &prose(&after[..1]);
            rest = &after[1..];
        } else {
            out += &prose(&rest[..first.len_utf8()]);
            rest = &rest[first.len_utf8()..];
        }
    }
    assert!(!strong && !emphasis, "emphasis without an end: {markdown}");
    out
}

/// Whether the star in front begins an emphasis.
fn opens(text: &str) -> bool {
    text[1..].starts_with(|next: char| !next.is_whitespace()) && text[1..].contains('*')
}

fn link(text: &str) -> Option<(&str, &str)> {
    let (label, after) = text.strip_prefix('[')?.split_once("](")?;
    let (_, after) = after.split_once(')')?;
    (!label.contains(']')).then_some((label, after))
}

/// Code within a sentence, which it does not end whatever it ends in.
fn code_within(span: &str) -> String {
    let is_long = span.len() >= LONG_WORD && !span.contains(' ');
    let span = if is_long { code(span).replace(',', ",\\:") } else { code(span) };
    if span.ends_with(['.', '?', '!']) { span + "\\&" } else { span }
}

/// Text that is to be read.
fn prose(text: &str) -> String {
    text.chars().map(|c| escaped(c).unwrap_or_else(|| c.to_string())).collect()
}

/// Text that is to be typed: its dashes and quotes are those of the keyboard.
pub fn code(text: &str) -> String {
    let one = |c: char| match c {
        '-' => "\\-".to_owned(),
        '\'' => "\\(aq".to_owned(),
        _ => escaped(c).unwrap_or_else(|| c.to_string()),
    };
    text.chars().map(one).collect()
}

fn escaped(c: char) -> Option<String> {
    Some(match c {
        '\\' => "\\e".to_owned(),
        '`' => "\\(ga".to_owned(),
        '^' => "\\(ha".to_owned(),
        '~' => "\\(ti".to_owned(),
        '→' => "\\(->".to_owned(),
        '←' => "\\(<-".to_owned(),
        '×' => "\\(mu".to_owned(),
        '·' => "\\(pc".to_owned(),
        '…' => "...\\&".to_owned(),
        c if c.is_ascii() => return None,
        c => format!("\\[u{:04X}]", u32::from(c)),
    })
}

/// A line that is text whatever it begins with.
fn guarded(line: &str) -> String {
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() }
}

fn ends_sentence(word: &str) -> bool {
    let word = word.replace("\\fR", "").replace("\\fB", "");
    let word = word.trim_end_matches([')', '"']);
    word.len() > 1 && word.ends_with(['.', '?', '!']) && !word.ends_with("...")
}

/// How many columns a cell takes when it is shown.
fn shown(cell: &str) -> usize {
    cell.chars().filter(|c| !matches!(c, '`' | '*')).count()
}

/// A line of code in pieces that fit a terminal.
fn folded(line: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest = line.to_owned();
    let indent = line.len() - line.trim_start().len();
    let further = line.find(" = ").map_or(indent + 4, |equals| equals + 3);
    while rest.chars().count() > BLOCK_WIDTH {
        let fits = rest.char_indices().nth(BLOCK_WIDTH).map_or(rest.len(), |(at, _)| at);
        // What stands apart goes on together.
        let apart = rest[..fits].rfind("   ").filter(|at| *at > further && !rest[..*at].trim().is_empty());
        let Some(at) = apart.or(rest[..fits].rfind(' ').filter(|at| *at > further)) else { break };
        // A comment goes on as one.
        let mark = if rest[..at].trim_start().starts_with(';') { "; " } else { "" };
        let next = format!("{:further$}{mark}{}", "", rest[at..].trim_start());
        rest.truncate(rest[..at].trim_end().len());
        pieces.push(core::mem::replace(&mut rest, next));
    }
    pieces.push(rest);
    pieces
}
