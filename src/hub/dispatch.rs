//! From what came to what is done: datagrams, tags, and one step from each request to its store.

use core::net::SocketAddr;

use super::access::{Access, Arrival};
use super::actions::{Action, Actions, Target, Via, empty};
use super::air::is_here;
use super::brake::Brake;
use super::journal::Mark;
use super::keyed::Standing;
use super::settings::TextReply;
use super::{Asker, Hub};
use crate::limits::{DATAGRAM_TURN_BYTES, KEPT_BYTES, REPLY_DATAGRAM_BYTES};
use crate::moment::Moment;
use crate::names::Key;
use crate::wire::{
    Command, Datagram, ErrorName, Kind, Lines, Message, Refusal, Reply, Request, Word, datagram, text_end,
};

/// The refusal of a datagram or line that is too long.
pub(super) const TOO_LONG: Refusal =
    Refusal::new(ErrorName::TooLong, "more bytes or lines than allowed (limits.max_message_bytes)");
const OVER_BUDGET: Refusal =
    Refusal::new(ErrorName::Busy, "too much was sent to your address, try in a second");
const OVER_RATE: Refusal =
    Refusal::new(ErrorName::Busy, "your address asks too often (access.requests_per_second), slow down");
const TOO_MUCH: Refusal =
    Refusal::new(ErrorName::Busy, "this datagram asks for too much at once, send less in one");
const GUESTS: Refusal = Refusal::new(ErrorName::Denied, "not for guests here (access.guests), JOIN first");

impl Hub {
    /// Answers a datagram.
    pub(super) fn datagram(
        &mut self,
        now: Moment,
        from: SocketAddr,
        via: Via,
        to_many: bool,
        bytes: &[u8],
        out: &mut Actions,
    ) {
        if Access::is_own(&self.settings, from, &via) {
            // A broadcast of the hub's own comes back to it.
            return;
        }
        self.counters.datagrams += 1;
        if !self.settings.answers(from.ip()) {
            self.counters.strangers += 1;
            return;
        }
        let target = Target::Udp { to: from, via };
        let here = self.clients.at(target.peer());
        let client = here.and_then(|here| self.clients.get_mut(here));
        let has_key = client.as_ref().is_some_and(|client| client.session.is_some());
        if let Some(client) = client.filter(|_| !has_key) {
            client.heard = now;
        }
        let arrival = self.access.arrives(now, &self.settings, from.ip(), bytes.len(), here.is_some());
        let mut asker = Asker::new(now, target, from, here.filter(|_| !has_key));
        // Who forges the address of a client with a key cannot spend what that has: what may be proved is looked at.
        if arrival != Arrival::Served
            && !(has_key && bytes.starts_with(b"#"))
            && !(self.asks_to_join(bytes) && self.access.may_ask_to_join(now, from.ip()))
        {
            self.counters.rate_dropped += 1;
            if arrival == Arrival::Told && !to_many {
                self.tell_rate(&asker, bytes, out);
            }
            return;
        }
        match datagram(bytes, self.settings.max_message_bytes) {
            Datagram::Lines(lines) => self.lines(&mut asker, lines, to_many, out),
            // What a hub says of itself to everybody is for those who look for one.
            Datagram::Text(text) if to_many && is_here(text) => {}
            Datagram::Text(text) => self.text_datagram(&asker, text, out),
            Datagram::TooLong(_) if to_many => {}
            Datagram::TooLong(end) => {
                let refusal = self.refused(from, TOO_LONG, out);
                self.reply_alone(&asker, out, |_, replies| {
                    Reply::begin(replies, None).finish(replies, Err(refusal), end);
                });
            }
        }
    }

    /// Whether a datagram is a JOIN of a code that has a secret, and nothing else.
    fn asks_to_join(&self, bytes: &[u8]) -> bool {
        if self.settings.keys.are_none() {
            return false;
        }
        let Datagram::Lines(mut lines) = datagram(bytes, self.settings.max_message_bytes) else {
            return false;
        };
        matches!(lines.next(), Some(Message::Request(request)) if self.is_join(&request))
            && lines.next().is_none()
    }

    /// Whether this is a JOIN of a code that has a secret: who forges the address of its client could else keep it from
    /// asking for a nonce.
    fn is_join(&self, request: &Request<'_>) -> bool {
        matches!(request.command, Ok(Command::Join { code, .. }) if self.settings.keys.has(code))
    }

    /// Tells an address that it asks too often, in answer to the first request of a datagram; plain text is dropped.
    fn tell_rate(&mut self, asker: &Asker, bytes: &[u8], out: &mut Actions) {
        let Datagram::Lines(mut lines) = datagram(bytes, self.settings.max_message_bytes) else { return };
        let Some(Message::Request(request)) = lines.next() else { return };
        if !request.is_ack() {
            let refusal = self.refused(asker.from, OVER_RATE, out);
            self.reply_alone(asker, out, |_, replies| {
                Reply::begin(replies, request.tag.as_ref()).finish(replies, Err(refusal), request.end);
            });
        }
    }

    fn text_datagram(&mut self, asker: &Asker, text: &[u8], out: &mut Actions) {
        if !self.access.text(asker.now, asker.from, text, self.settings.text_per_second) {
            self.counters.texts_dropped += 1;
            return;
        }
        if self.access.is_over_budget(asker.now, asker.address()) {
            self.counters.over_budget += 1;
        } else {
            self.reply_alone(asker, out, |hub, replies| hub.text(asker, text, replies));
        }
    }

    /// Sends one reply in a datagram of its own.
    fn reply_alone(&mut self, asker: &Asker, out: &mut Actions, write: impl FnOnce(&mut Self, &mut Vec<u8>)) {
        let mut replies = core::mem::take(&mut self.replies);
        write(self, &mut replies);
        let reserved = out.reserve();
        self.flush(asker, reserved, &replies, out);
        self.recycle(replies);
    }

    /// Answers the lines of a datagram, together as far as one datagram holds the replies.
    fn lines(&mut self, asker: &mut Asker, lines: Lines<'_>, to_many: bool, out: &mut Actions) {
        let mut replies = core::mem::take(&mut self.replies);
        let mut reserved = out.reserve();
        let mut any = false;
        let mut count = 0_u32;
        let brake = Brake::new(out, self.steps, DATAGRAM_TURN_BYTES);
        for message in lines {
            let start = replies.len();
            count += 1;
            let held = brake.holds(out, self.steps, replies.len());
            if !self.line(asker, &message, to_many, held, &mut replies, out) {
                continue;
            }
            if any && replies.len() > REPLY_DATAGRAM_BYTES {
                let (full, _) = replies.split_at(start);
                self.flush(asker, reserved, full, out);
                reserved = out.reserve();
                replies.drain(..start);
            }
            any = true;
        }
        if any {
            self.flush(asker, reserved, &replies, out);
        }
        self.access.owes(asker.now, &self.settings, asker.address(), count.saturating_sub(1));
        self.recycle(replies);
    }

    /// Keeps the memory of replies that have been handed on, up to a bound.
    #[inline]
    pub(super) fn recycle(&mut self, mut replies: Vec<u8>) {
        empty(&mut replies, KEPT_BYTES);
        self.replies = replies;
    }

    /// Puts replies into the place that was kept for them, if their address may be sent so much.
    fn flush(&mut self, asker: &Asker, reserved: usize, replies: &[u8], out: &mut Actions) {
        let range = if self.may_send(asker.now, asker.from, replies.len()) {
            Some(out.fill(reserved, asker.target, replies))
        } else {
            self.counters.over_budget += 1;
            None
        };
        self.journal.replies_left(replies.len(), range.as_ref());
    }

    /// Answers one line of a datagram; `false` if it has no reply.
    fn line(
        &mut self,
        asker: &mut Asker,
        message: &Message<'_>,
        to_many: bool,
        held: bool,
        replies: &mut Vec<u8>,
        out: &mut Actions,
    ) -> bool {
        let request = match message {
            Message::Text(text) if held || (to_many && is_here(text)) => return false,
            Message::Text(text) => {
                self.text(asker, text, replies);
                return true;
            }
            Message::Request(request) => request,
        };
        // What is sent to everybody may ask who is there, and nothing else.
        if to_many && !self.is_for_many(request) {
            return false;
        }
        let refusal = if held {
            TOO_MUCH
        } else if request.tag.is_none_or(|tag| tag.mac.is_none())
            && !self.is_join(request)
            && self.access.is_over_budget(asker.now, asker.address())
        {
            self.counters.over_budget += 1;
            if !self.access.tell(asker.now, asker.address()) {
                return false;
            }
            OVER_BUDGET
        } else {
            return self.request(asker, request, replies, out);
        };
        // An ACK is never answered.
        if !request.is_ack() {
            let reply = Reply::begin(replies, request.tag.as_ref());
            reply.finish(replies, Err(self.refused(asker.from, refusal, out)), request.end);
            return true;
        }
        false
    }

    /// Whether a request may be sent to everybody.
    fn is_for_many(&self, request: &Request<'_>) -> bool {
        match request.command.map(|command| command.word()) {
            Ok(Word::Ping) => true,
            Ok(Word::Discover) => self.settings.discovery,
            Ok(_) | Err(_) => false,
        }
    }

    /// Answers plain text, its end included. A counter that the asker may not GET is answered as if it were not there.
    pub(super) fn text(&mut self, asker: &Asker, text: &[u8], replies: &mut Vec<u8>) {
        self.counters.texts += 1;
        let own = if self.settings.text_answers.is_empty() { None } else { self.own_answer(text) };
        match (own, &self.settings.text_reply) {
            (Some(answer), _) | (None, TextReply::Fixed(answer)) => {
                replies.extend_from_slice(answer.as_bytes());
            }
            (None, TextReply::Echo) => {
                replies.extend_from_slice(text);
                return;
            }
            (None, TextReply::Counter) => {
                if !self.may_see_counter(asker) || self.values.get(Key::COUNTER, replies).is_err() {
                    replies.push(b'0');
                }
            }
        }
        replies.extend_from_slice(text_end(text).as_bytes());
    }

    /// Whether who sends plain text, which proves nothing, may GET the counter.
    fn may_see_counter(&self, asker: &Asker) -> bool {
        let get = Command::Get { key: Key::COUNTER };
        let is_guest = self.open_place(asker.target.peer()).is_none();
        self.settings.keys.permit(None, &get).is_ok() && !(is_guest && self.is_closed_to_guests(&get))
    }

    /// Whether those who have not joined may not ask this.
    fn is_closed_to_guests(&self, command: &Command<'_>) -> bool {
        self.settings.guests.as_ref().is_some_and(|words| {
            let word = command.word();
            let always = matches!(word, Word::Join | Word::Bye | Word::Help | Word::Discover);
            !always && !words.contains(&word)
        })
    }

    /// The answer that the operator set for just this message, without its end and padding.
    fn own_answer(&self, text: &[u8]) -> Option<&String> {
        let padding: &[char] = &['\r', '\n', '\0'];
        self.settings.text_answers.get(str::from_utf8(text).ok()?.trim_end_matches(padding))
    }

    /// Answers a request; `false` if it has no reply.
    pub(super) fn request(
        &mut self,
        asker: &mut Asker,
        request: &Request<'_>,
        replies: &mut Vec<u8>,
        out: &mut Actions,
    ) -> bool {
        self.counters.requests += 1;
        let standing = self.standing(asker, request);
        if request.is_ack() {
            let may_act = matches!(standing, Standing::Guest | Standing::Proved(_));
            if may_act && let Ok(Command::Ack { number: Some(number) }) = request.command {
                self.acknowledge(asker, number, out);
            }
            return false;
        }
        let sealed = standing.key().zip(request.tag.as_ref());
        let reply = match sealed {
            Some((_, tag)) => Reply::begin_sealed(replies, tag),
            None => Reply::begin(replies, request.tag.as_ref()),
        };
        match standing {
            Standing::Guest | Standing::Proved(_) => self.complete(asker, request, &reply, replies, out),
            Standing::Refused(refusal, _) => {
                reply.complete(replies, Err(self.refused(asker.from, refusal, out)));
            }
            Standing::Unproved => self.ask_for_proof(asker, &reply, replies, out),
        }
        if let Some(question) = asker.asked.take() {
            self.asked(asker, question, request, &reply, replies, out);
            return false;
        }
        if let Some((key, tag)) = sealed {
            Self::seal(&reply, tag, key, replies);
        }
        replies.extend_from_slice(request.end.as_bytes());
        // An untagged JOIN … ack promises a mailbox.
        if request.tag.is_some() || matches!(request.command, Ok(Command::Join { ack: true, .. })) {
            let tag = reply.tag();
            let (start, length) = (tag.start, replies.len() - tag.start);
            let seal = sealed.map(|(key, tag)| Self::disk_seal(tag.session.as_str(), tag.number.get(), key));
            self.journal.mark(Mark { start, tag: tag.len(), length, end: request.end, seal });
        }
        true
    }

    /// Completes the reply to a request of somebody who may ask.
    fn complete(
        &mut self,
        asker: &mut Asker,
        request: &Request<'_>,
        reply: &Reply,
        replies: &mut Vec<u8>,
        out: &mut Actions,
    ) {
        if let Some(tag) = &request.tag {
            return self.tagged(asker, tag, request, reply, replies, out);
        }
        let outcome = self.perform(asker, request, replies, out);
        if let (Ok(()), Ok(Command::Join { code, .. })) = (outcome, &request.command) {
            self.claim(asker.now, *code, None);
        }
        reply.complete(replies, outcome);
    }

    /// A question was asked, or is still open: its reply comes later.
    fn asked(
        &mut self,
        asker: &Asker,
        number: u64,
        request: &Request<'_>,
        reply: &Reply,
        replies: &mut Vec<u8>,
        out: &mut Actions,
    ) {
        reply.withdraw(replies);
        let Some(question) = self.asks.get_mut(number) else { return };
        // The answer goes where the newest copy came from.
        (question.target, question.end) = (Some(asker.target), request.end);
        if let Some(conn) = question.holds_up() {
            out.list.push(Action::Await { conn, question: number });
        }
    }

    /// Does what is asked, if it may be.
    pub(super) fn perform(
        &mut self,
        asker: &mut Asker,
        request: &Request<'_>,
        replies: &mut Vec<u8>,
        out: &mut Actions,
    ) -> Result<(), Refusal> {
        let outcome = match self.permitted(asker, request) {
            Ok(command) => self.execute(asker, command, request.end, replies, out),
            Err(refusal) => Err(refusal),
        };
        outcome.map_err(|refusal| self.refused(asker.from, refusal, out))
    }

    /// The command, if it was read, the asker may ask it, and what it changes could be saved.
    fn permitted<'r, 'a>(&self, asker: &Asker, request: &'r Request<'a>) -> Result<&'r Command<'a>, Refusal> {
        let command = request.command.as_ref().map_err(|&fault| fault)?;
        if !self.settings.keys.are_none() {
            let keyed = asker.session.and_then(|session| self.sessions.keyed(session));
            self.settings.keys.permit(keyed.map(|keyed| &*keyed.code), command)?;
        }
        let is_guest = asker.place.is_none() && asker.session.is_none();
        if is_guest && self.is_closed_to_guests(command) {
            return Err(GUESTS);
        }
        match self.journal.refusal() {
            Some(refusal) if request.kind() != Kind::Read => Err(refusal),
            Some(_) | None => Ok(command),
        }
    }
}
