//! Reads the examples from the protocol page.

/// One row of the table.
#[derive(Debug)]
pub struct Example {
    pub number: u32,
    pub what: String,
    pub steps: Vec<Step>,
}

impl Example {
    /// Whether it needs a clock that can be told what time it is.
    pub fn names_time(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Pause(_)))
    }
}

/// One thing that happens.
#[derive(Debug)]
pub enum Step {
    /// Somebody sends bytes, and may then say that no more will come.
    Send(char, Vec<u8>, bool),
    /// Somebody receives bytes.
    Expect(char, Expected),
    /// Milliseconds pass.
    Pause(u64),
}

/// What somebody receives.
#[derive(Debug)]
pub enum Expected {
    /// No byte within 50 ms.
    Nothing,
    /// Just these bytes, and the end of the connection if so.
    Bytes { start: Vec<u8>, any_explanation: bool, closed: bool },
}

impl Expected {
    /// Whether these bytes are what is expected.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Nothing => bytes.is_empty(),
            Self::Bytes { start, any_explanation: false, .. } => bytes == start,
            Self::Bytes { start, any_explanation: true, .. } => bytes.starts_with(start),
        }
    }

    /// Makes it something that will not come.
    pub fn spoil(&mut self) {
        *self = match self {
            Self::Nothing => Self::Bytes { start: b"x".to_vec(), any_explanation: false, closed: false },
            Self::Bytes { start, any_explanation, closed } => {
                let start = [&start[..], b"!"].concat();
                Self::Bytes { start, any_explanation: *any_explanation, closed: *closed }
            }
        };
    }
}

/// All examples of the page.
pub fn examples() -> Vec<Example> {
    let page = include_str!("../../docs/protocol.md");
    let table = page.split("## 9. Examples").nth(1).expect("the examples");
    table.lines().filter_map(example).collect()
}

fn example(row: &str) -> Option<Example> {
    let mut cells = row.trim_matches('|').splitn(3, '|').map(str::trim);
    let number = cells.next()?.parse().ok()?;
    let what = cells.next().expect("what it shows").to_owned();
    let mut steps = Vec::new();
    if let Some(first) = what.split("(after a first line: ").nth(1) {
        let (line, _) = first.split_once(')').expect("a closing parenthesis");
        steps.push(Step::Send('T', bytes(line), false));
        steps.push(Step::Expect('T', expected("`pong\\n`")));
    }
    for step in cells.next().expect("bytes in and out").split(" · ") {
        steps_of(step, &mut steps);
    }
    Some(Example { number, what, steps })
}

fn steps_of(step: &str, steps: &mut Vec<Step>) {
    if let Some(time) = step.strip_prefix('(') {
        let milliseconds = time.strip_suffix(" ms)").and_then(|time| time.parse().ok());
        steps.push(Step::Pause(milliseconds.expect("milliseconds")));
    } else if let Some((who, pushed)) = step.split_once(" ← ") {
        steps.push(Step::Expect(name(who), expected(pushed)));
    } else {
        let (sent, received) = step.split_once(" → ").unwrap_or_else(|| panic!("{step:?}"));
        let (who, sent) = sent.split_once(": ").expect("who sends");
        let (sent, half_close) = match sent.strip_suffix(" (half-close)") {
            Some(sent) => (sent, true),
            None => (sent, false),
        };
        steps.push(Step::Send(name(who), bytes(sent), half_close));
        steps.push(Step::Expect(name(who), expected(received)));
    }
}

fn name(who: &str) -> char {
    who.chars().next().filter(|who| "UVTS".contains(*who)).expect("U, V, T or S")
}

fn expected(text: &str) -> Expected {
    if text == "nothing" {
        return Expected::Nothing;
    }
    let (text, closed) = match text.strip_suffix(" (closed)") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let (text, any_explanation) = match text.strip_suffix("…`") {
        Some(start) => (format!("{start}`"), true),
        None => (text.to_owned(), false),
    };
    Expected::Bytes { start: bytes(&text), any_explanation, closed }
}

/// Reads `` `INC\n`+8200×`x` `` and the like.
fn bytes(text: &str) -> Vec<u8> {
    if text == "(empty)" {
        return Vec::new();
    }
    let mut all = Vec::new();
    for part in text.split('+') {
        let (times, quoted) = match part.split_once('×') {
            Some((times, quoted)) => (times.parse().expect("a number"), quoted),
            None => (1, part),
        };
        let literal = quoted.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
        let literal = literal.unwrap_or_else(|| panic!("no literal: {text:?}"));
        all.extend(unescape(literal).repeat(times));
    }
    all
}

fn unescape(literal: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = literal.chars();
    while let Some(c) = rest.next() {
        match c {
            '␣' => bytes.push(b' '),
            '\\' => match rest.next() {
                Some('n') => bytes.push(b'\n'),
                Some('r') => bytes.push(b'\r'),
                Some('0') => bytes.push(0),
                Some('x') => {
                    let digits: String = rest.by_ref().take(2).collect();
                    bytes.push(u8::from_str_radix(&digits, 16).expect("two hex digits"));
                }
                other => panic!("unknown escape {other:?} in {literal:?}"),
            },
            other => bytes.extend(other.to_string().bytes()),
        }
    }
    bytes
}
