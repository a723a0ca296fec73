//! The client's half of acknowledged delivery: pushes once and in order, and what is to be acknowledged
//! (protocol, section 6).
//!
//! Pure. It is closed from the moment a JOIN is asked until its reply is read: what comes meanwhile may be of an
//! older mailbox and comes again anyway.

use std::collections::{BTreeMap, VecDeque};

use super::Carrier;
use crate::limits::{INBOX_AHEAD, INBOX_BYTES};
use crate::names::Ticket;
use crate::wire::Number;

/// Copies of one and the same number, and of no other, after which a gap in front of it counts as read by
/// somebody else: another program that had the code meanwhile. More than a network keeps back of what was under
/// way before the JOIN, fewer than the hub sends.
const LONE_COPIES: u32 = 6;

/// A push that was handed out, for [`Inbox::handled`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    mailbox: u64,
    number: u64,
}

/// The pushes of one mailbox. See the module's documentation.
#[derive(Debug)]
pub struct Inbox {
    carrier: Carrier,
    /// The mailbox's name; `None` before the first JOIN.
    name: Option<String>,
    /// Counts the mailboxes.
    mailbox: u64,
    is_open: bool,
    /// The highest number taken in order; `None` while it is not known where this mailbox goes on.
    taken: Option<u64>,
    /// The highest number that is done with.
    handled: u64,
    /// How many were taken and are not done with.
    pending: usize,
    ready: VecDeque<(Receipt, Vec<u8>)>,
    /// What came before its turn.
    early: BTreeMap<u64, Vec<u8>>,
    early_bytes: usize,
    heard: Heard,
    owes: bool,
}

/// Which numbers have come since the last JOIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Nothing,
    /// This one only, so many times.
    Only(u64, u32),
    More,
}

impl Inbox {
    /// An inbox before its first JOIN.
    #[must_use]
    pub fn new(carrier: Carrier) -> Self {
        Self {
            carrier,
            name: None,
            mailbox: 0,
            is_open: false,
            taken: None,
            handled: 0,
            pending: 0,
            ready: VecDeque::new(),
            early: BTreeMap::new(),
            early_bytes: 0,
            heard: Heard::Nothing,
            owes: false,
        }
    }

    /// A JOIN is asked: nothing is taken or acknowledged until it is answered.
    pub fn close(&mut self) {
        self.is_open = false;
    }

    /// A JOIN was answered with this body (`joined code n/limit box`). A mailbox by another name begins anew; a
    /// body without one says that pushes are not acknowledged.
    pub fn joined(&mut self, body: &[u8]) {
        let name = body.split(|&b| b == b' ').nth(3).and_then(Ticket::parse);
        self.is_open = name.is_some();
        self.heard = Heard::Nothing;
        self.forget_early();
        let Some(name) = name.filter(|name| self.name.as_deref() != Some(name.as_str())) else { return };
        // Of the first mailbox another program may have read a part; one that is new meanwhile begins with 1.
        self.taken = self.name.is_some().then_some(0);
        self.name = Some(name.as_str().to_owned());
        self.mailbox += 1;
        self.handled = 0;
        self.pending = 0;
        self.owes = false;
    }

    /// Takes a push by its number; what is next in order is then yielded by [`Inbox::poll_delivery`]. What comes
    /// too early waits for its turn while there is room; what was had before is dropped.
    pub fn take(&mut self, number: Number, line: &[u8]) {
        let number = number.get();
        if !self.is_open || self.pending >= INBOX_AHEAD {
            return;
        }
        self.listen(number);
        let taken = *self.taken.get_or_insert(number - 1);
        if number <= taken {
            // The ACK was lost, unless the push waits here to be done with.
            self.owes |= number <= self.handled;
        } else if number == taken + 1 || self.begins_here(number) {
            self.deliver(number, line.to_vec());
            self.deliver_early();
        } else if number - taken <= INBOX_AHEAD as u64
            && self.early_bytes + line.len() <= INBOX_BYTES
            && !self.early.contains_key(&number)
        {
            self.early_bytes += line.len();
            self.early.insert(number, line.to_vec());
        }
    }

    /// The next push in order, as it was given to [`Inbox::take`].
    pub fn poll_delivery(&mut self) -> Option<(Receipt, Vec<u8>)> {
        self.ready.pop_front()
    }

    /// A push that was yielded is done with: it may be acknowledged, with all before it.
    pub fn handled(&mut self, receipt: Receipt) {
        if receipt.mailbox == self.mailbox {
            self.handled = self.handled.max(receipt.number);
            self.pending = self.pending.saturating_sub(1);
            self.owes = true;
        }
    }

    /// The number to acknowledge, if any: one for all that has come since the last.
    pub fn poll_ack(&mut self) -> Option<u64> {
        let owes = self.is_open && self.owes;
        self.owes &= !owes;
        owes.then_some(self.handled)
    }

    fn listen(&mut self, number: u64) {
        self.heard = match self.heard {
            Heard::Nothing => Heard::Only(number, 1),
            Heard::Only(only, copies) if only == number => Heard::Only(only, copies.saturating_add(1)),
            Heard::Only(..) | Heard::More => Heard::More,
        };
    }

    /// Whether the mailbox goes on with this number although others before it were not had here. After a JOIN
    /// only one is under way, the oldest; datagrams from before the JOIN may still come in between.
    fn begins_here(&self, number: u64) -> bool {
        let needed = match self.carrier {
            Carrier::Stream => 1,
            Carrier::Datagrams => LONE_COPIES,
        };
        matches!(self.heard, Heard::Only(only, copies) if only == number && copies >= needed)
    }

    fn deliver(&mut self, number: u64, line: Vec<u8>) {
        self.taken = Some(number);
        self.pending += 1;
        self.ready.push_back((Receipt { mailbox: self.mailbox, number }, line));
    }

    fn deliver_early(&mut self) {
        while let Some(entry) = self.early.first_entry() {
            let (number, next) = (*entry.key(), self.taken.map_or(0, |taken| taken + 1));
            if number > next || self.pending >= INBOX_AHEAD {
                return;
            }
            let line = entry.remove();
            self.early_bytes -= line.len();
            if number == next {
                self.deliver(number, line);
            }
        }
    }

    fn forget_early(&mut self) {
        self.early.clear();
        self.early_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::courier::jitter::Jitter;
    use proptest::prelude::*;

    fn number(number: u64) -> Number {
        Number::new(number).unwrap()
    }

    fn opened(carrier: Carrier) -> Inbox {
        let mut inbox = Inbox::new(carrier);
        inbox.joined(b"joined ann 1/9 box1");
        inbox
    }

    /// Takes these and hands out what is in order: the numbers, as their lines say.
    fn take(inbox: &mut Inbox, numbers: &[u64]) -> Vec<u64> {
        for &n in numbers {
            inbox.take(number(n), n.to_string().as_bytes());
        }
        let mut had = Vec::new();
        while let Some((receipt, line)) = inbox.poll_delivery() {
            had.push(String::from_utf8(line).unwrap().parse().unwrap());
            inbox.handled(receipt);
        }
        had
    }

    #[test]
    fn what_comes_early_waits_for_its_turn_and_one_ack_is_for_all() {
        let mut inbox = opened(Carrier::Datagrams);
        assert_eq!(take(&mut inbox, &[1, 3, 4, 3]), [1]);
        assert_eq!(inbox.poll_ack(), Some(1));
        assert_eq!((take(&mut inbox, &[5]), inbox.poll_ack()), (Vec::new(), None));
        assert_eq!(take(&mut inbox, &[2]), [2, 3, 4, 5]);
        assert_eq!((inbox.poll_ack(), inbox.poll_ack()), (Some(5), None));
    }

    #[test]
    fn a_number_that_was_had_is_acknowledged_again_but_not_before_it_is_done_with() {
        let mut inbox = opened(Carrier::Datagrams);
        inbox.take(number(1), b"1");
        inbox.take(number(1), b"1");
        assert_eq!(inbox.poll_ack(), None);
        let (receipt, _) = inbox.poll_delivery().unwrap();
        assert_eq!((inbox.poll_delivery(), inbox.poll_ack()), (None, None));
        inbox.handled(receipt);
        assert_eq!(inbox.poll_ack(), Some(1));
        assert_eq!((take(&mut inbox, &[1]), inbox.poll_ack()), (Vec::new(), Some(1)));
    }

    #[test]
    fn the_same_mailbox_goes_on_and_another_begins_anew() {
        let mut inbox = opened(Carrier::Datagrams);
        assert_eq!(take(&mut inbox, &[1, 2, 4]), [1, 2]);
        inbox.close();
        assert_eq!((take(&mut inbox, &[3]), inbox.poll_ack()), (Vec::new(), None), "it is closed");
        inbox.joined(b"joined ann 1/9 box1");
        assert_eq!(take(&mut inbox, &[2, 3, 4]), [3, 4]);
        inbox.take(number(5), b"5");
        let (old, _) = inbox.poll_delivery().unwrap();
        inbox.close();
        inbox.joined(b"joined ann 1/9 box2");
        inbox.handled(old);
        assert_eq!(inbox.poll_ack(), None, "5 was a number of the other mailbox");
        assert_eq!((take(&mut inbox, &[2, 1]), inbox.poll_ack()), (vec![1, 2], Some(2)));
    }

    #[test]
    fn a_mailbox_that_others_have_read_is_read_on() {
        let mut inbox = opened(Carrier::Datagrams);
        assert_eq!(take(&mut inbox, &[51, 52]), [51, 52]);
        for (carrier, copies) in [(Carrier::Stream, 1), (Carrier::Datagrams, LONE_COPIES)] {
            let mut inbox = opened(carrier);
            assert_eq!(take(&mut inbox, &[1]), [1]);
            inbox.close();
            inbox.joined(b"joined ann 1/9 box1");
            for _ in 1..copies {
                assert_eq!(take(&mut inbox, &[7]), Vec::<u64>::new());
            }
            assert_eq!((take(&mut inbox, &[7, 8]), inbox.poll_ack()), (vec![7, 8], Some(8)));
        }
    }

    #[test]
    fn what_waits_is_bounded_in_number_and_bytes() {
        let mut inbox = opened(Carrier::Datagrams);
        assert_eq!(take(&mut inbox, &[1]), [1]);
        let ahead = INBOX_AHEAD as u64;
        for n in 3..200 {
            inbox.take(number(n), &vec![0; INBOX_BYTES / 8]);
        }
        assert_eq!((inbox.early.len(), inbox.early_bytes), (8, INBOX_BYTES));
        inbox.forget_early();
        assert_eq!(take(&mut inbox, &(3..200).rev().collect::<Vec<_>>()), Vec::<u64>::new());
        assert_eq!(inbox.early.keys().next_back(), Some(&(1 + ahead)));
        for n in 2..200 {
            inbox.take(number(n), b"x");
        }
        assert_eq!(inbox.ready.len(), INBOX_AHEAD, "nobody is done with any");
    }

    /// The hub's half, as short as can be: what is in flight is sent again and again.
    struct Mailbox {
        acknowledged: u64,
        window: u64,
    }

    /// What is in the air, to the client or to the hub.
    #[derive(Clone, Debug)]
    enum Parcel {
        Push(u64),
        Ack(u64),
    }

    proptest! {
        #[test]
        fn every_push_comes_once_and_in_order(
            seed in any::<u64>(), all in 1_u64..200, loss in 0.0..0.5, repeats in 0.0..0.5, rejoins in 0.0..0.02,
        ) {
            let mut dice = Jitter(seed);
            let mut inbox = opened(Carrier::Datagrams);
            let mut mailbox = Mailbox { acknowledged: 0, window: 1 };
            let (mut air, mut had) = (Vec::new(), Vec::new());
            let mut rounds = 0;
            while mailbox.acknowledged < all {
                rounds += 1;
                prop_assert!(rounds < 20_000, "{} of {all}, {inbox:?}", mailbox.acknowledged);
                if dice.next() < rejoins {
                    inbox.close();
                    inbox.joined(b"joined ann 1/9 box1");
                    mailbox.window = 1;
                }
                let mut sent: Vec<Parcel> = (mailbox.acknowledged + 1..=all.min(mailbox.acknowledged + mailbox.window))
                    .map(Parcel::Push)
                    .collect();
                sent.extend(inbox.poll_ack().map(Parcel::Ack));
                for parcel in sent {
                    let copies = 1 + u32::from(dice.next() < repeats);
                    for _ in 0..copies {
                        // Each stays in the air for up to two rounds, so that some are overtaken.
                        let delay = u32::from(dice.next() < 0.3) + u32::from(dice.next() < 0.3);
                        if dice.next() >= loss {
                            air.push((rounds + delay, dice.next(), parcel.clone()));
                        }
                    }
                }
                air.sort_by(|a, b| a.1.total_cmp(&b.1));
                let (landed, flying) = air.into_iter().partition(|(due, ..)| *due <= rounds);
                air = flying;
                for (_, _, parcel) in landed {
                    match parcel {
                        Parcel::Push(n) => had.extend(take(&mut inbox, &[n])),
                        Parcel::Ack(n) => {
                            prop_assert!(had.contains(&n), "{n} is acknowledged and was not had");
                            mailbox.acknowledged = mailbox.acknowledged.max(n);
                            mailbox.window = INBOX_AHEAD as u64;
                        }
                    }
                }
            }
            prop_assert_eq!(had, (1..=all).collect::<Vec<_>>());
        }
    }
}
