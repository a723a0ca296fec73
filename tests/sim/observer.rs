//! Looks at every byte between the hub and the network: same tag, same reply; same number, same push; and the bounds.

use std::collections::{BTreeMap, BTreeSet};

use pigeond::limits::{DELIVERY_WINDOW, SESSION_WINDOW};

use super::ledger::{Fault, Ledger};

/// What is known of one tag.
#[derive(Default)]
struct Tag {
    /// Whether it stands before a line that changes something.
    changes: bool,
    joins: bool,
    reply: Option<Vec<u8>>,
}

/// What is known of the mailbox of one client.
#[derive(Default)]
struct Box {
    name: String,
    /// Whether it may be another one by now, of which nobody was told the name.
    is_unnamed: bool,
    /// The highest number that the hub can have been told to be acknowledged.
    acked: u64,
    /// Whether something was acknowledged since the last JOIN came.
    proven: bool,
    /// How many JOINs have come whose replies have not left.
    joining: u64,
    /// Whether the reply to the last JOIN has left.
    joined: bool,
    /// What was sent since.
    sent: BTreeSet<u64>,
}

/// See the module's documentation.
#[derive(Default)]
pub struct Observer {
    tags: BTreeMap<(String, u64), Tag>,
    /// The highest number that each session has sent.
    highest: BTreeMap<String, u64>,
    boxes: BTreeMap<usize, Box>,
    /// Every numbered push, by client, mailbox and number.
    pushes: BTreeMap<(usize, String, u64), Vec<u8>>,
    pub replies: u64,
    pub repeats: u64,
}

impl Observer {
    /// Another hub has begun: what the one before had been asked is forgotten.
    pub fn hub_began(&mut self) {
        for its_box in self.boxes.values_mut() {
            its_box.joining = 0;
        }
    }

    /// A client sends a line.
    pub fn asked(&mut self, line: &[u8]) -> Result<(), Fault> {
        let line = text(line);
        let Some((session, number, request)) = tag(&line) else { return Ok(()) };
        let highest = self.highest.entry(session.to_owned()).or_default();
        *highest = number.max(*highest);
        if number + SESSION_WINDOW <= *highest {
            return Err(format!("{line} is sent when {highest} was"));
        }
        let word = request.split(' ').next().unwrap_or_default();
        let changes = matches!(word, "SET" | "INC" | "DEC" | "DEL" | "SEND" | "ALL" | "ASK" | "ANSWER");
        let tag = self.tags.entry((session.to_owned(), number)).or_default();
        (tag.changes, tag.joins) = (changes, word == "JOIN");
        Ok(())
    }

    /// The hub gets a line from a client.
    pub fn heard(&mut self, client: usize, line: &[u8]) {
        let line = text(line);
        let its_box = self.boxes.entry(client).or_default();
        if let Some(number) = line.strip_prefix("ACK ").and_then(|number| number.parse().ok()) {
            its_box.acked = its_box.acked.max(number);
            its_box.proven = true;
        } else if tag(&line).is_some_and(|(_, _, request)| request.starts_with("JOIN ")) {
            (its_box.proven, its_box.joined) = (false, false);
            its_box.joining += 1;
        }
    }

    /// The hub sends a line to a client.
    pub fn said(&mut self, client: usize, line: &[u8], ledger: &mut Ledger) -> Result<(), Fault> {
        if let Some(push) = line.strip_prefix(b"@") {
            return self.pushed(client, push);
        }
        let line = text(line);
        if let Some((session, number, reply)) = tag(&line) {
            return self.replied(client, session, number, reply);
        }
        let mut words = line.splitn(3, ' ');
        if let (Some("MSG"), Some(_), Some(text)) = (words.next(), words.next(), words.next()) {
            return ledger.told(text, client);
        }
        Ok(())
    }

    fn replied(&mut self, client: usize, session: &str, number: u64, reply: &str) -> Result<(), Fault> {
        self.replies += 1;
        let highest = self.highest.get(session).copied().unwrap_or_default();
        let Some(tag) = self.tags.get_mut(&(session.to_owned(), number)) else {
            return Err(format!("a reply to #{session}.{number}, which nobody sent: {reply}"));
        };
        let error = reply.strip_prefix("ERR ").map(|rest| rest.split(' ').next().unwrap_or_default());
        if tag.joins && error.is_some() {
            // The JOIN may have been done all the same, in a mailbox whose name nobody was told.
            self.boxes.entry(client).or_default().is_unnamed = true;
        }
        match error {
            Some("busy" | "stopping" | "disk") => return Ok(()),
            Some("unopened" | "reused" | "unknown" | "usage" | "too-long") => {
                return Err(format!("#{session}.{number} got {reply}"));
            }
            Some("stale") if tag.changes && number + SESSION_WINDOW > highest => {
                return Err(format!("#{session}.{number} got {reply}, the highest being {highest}"));
            }
            Some("stale") => return Ok(()),
            Some(_) | None => {}
        }
        if tag.changes {
            match &tag.reply {
                Some(first) if first != reply.as_bytes() => {
                    let first = first.escape_ascii();
                    return Err(format!("#{session}.{number} got {first:?} and then {reply:?}"));
                }
                Some(_) => self.repeats += 1,
                None => tag.reply = Some(reply.as_bytes().to_vec()),
            }
        }
        let name = reply.strip_prefix("OK joined ").and_then(|joined| joined.split(' ').nth(2));
        if let Some(name) = name {
            let its_box = self.boxes.entry(client).or_default();
            if its_box.name != name {
                let (name, joining) = (name.to_owned(), its_box.joining);
                *its_box = Box { name, joining, proven: its_box.proven, ..Box::default() };
            }
            its_box.is_unnamed = false;
            its_box.joining = its_box.joining.saturating_sub(1);
            its_box.joined = its_box.joining == 0;
            its_box.sent.clear();
        }
        Ok(())
    }

    fn pushed(&mut self, client: usize, push: &[u8]) -> Result<(), Fault> {
        let words = text(push);
        let its_box = self.boxes.entry(client).or_default();
        let number = words.split(' ').next().and_then(|number| number.parse::<u64>().ok());
        let number = number.ok_or_else(|| format!("@{words} has no number"))?;
        if number > its_box.acked + DELIVERY_WINDOW {
            return Err(format!("@{words} leaves when only {} was acknowledged", its_box.acked));
        }
        if its_box.joined && !its_box.proven {
            its_box.sent.insert(number);
            if its_box.sent.len() > 1 {
                return Err(format!("{:?} are in flight before the first ACK", its_box.sent));
            }
        }
        if its_box.is_unnamed || its_box.name.is_empty() {
            return Ok(());
        }
        let place = (client, its_box.name.clone(), number);
        let first = self.pushes.entry(place).or_insert_with(|| push.to_vec());
        if first == push {
            Ok(())
        } else {
            Err(format!("@{} became @{words} in {}", first.escape_ascii(), its_box.name))
        }
    }
}

/// A line without its end.
fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).trim_end_matches(['\r', '\n']).to_owned()
}

/// Session, number, and what stands behind the tag.
fn tag(line: &str) -> Option<(&str, u64, &str)> {
    let (tag, rest) = line.strip_prefix('#')?.split_once(' ')?;
    let (session, number) = tag.split_once('.')?;
    Some((session, number.parse().ok()?, rest))
}
