//! Exactly once: tagged requests, their sessions, and what is kept of both (protocol, section 4).

use super::actions::Actions;
use super::asks::Tagged;
use super::change::Change;
use super::journal::DISK;
use super::sessions::{self, Verdict, fingerprint};
use super::timers::Due;
use super::{Asker, Hub, Slot};
use crate::moment::Moment;
use crate::names::Code;
use crate::wire::{Command, ErrorName, Kind, NO_MAC, Number, Refusal, Reply, Request, Tag};

impl Hub {
    /// Does a tagged request, unless it was done, and completes its reply.
    pub(super) fn tagged(
        &mut self,
        asker: &mut Asker,
        tag: &Tag<'_>,
        request: &Request<'_>,
        reply: &Reply,
        replies: &mut Vec<u8>,
        out: &mut Actions,
    ) {
        if let Some(refusal) = self.journal.overfull() {
            return reply.complete(replies, Err(self.refused(asker.from, refusal, out)));
        }
        let kind = request.kind();
        let print = fingerprint(request.line);
        let session = match self.session(asker, tag) {
            Ok(session) => session,
            Err(refusal) => return reply.complete(replies, Err(self.refused(asker.from, refusal, out))),
        };
        let is_kept = self.journal.is_committed(self.sessions.batch(session));
        let said_bye = self.sessions.said_bye(session);
        match self.sessions.check(asker.now, session, (tag.number, kind, print)) {
            // What would be answered rests on a session, or a record, that cannot be kept now.
            Ok(Verdict::Do) if tag.number == Number::FIRST && !is_kept && self.journal.is_failing() => {
                return reply.complete(replies, Err(DISK));
            }
            Ok(Verdict::Done(_) | Verdict::Refused(_)) | Err(_) if !is_kept && self.journal.is_failing() => {
                return reply.complete(replies, Err(DISK));
            }
            Ok(Verdict::Do) => {}
            Ok(Verdict::Done(outcome)) => {
                reply.replay(replies, outcome);
                return self.hold_unless(is_kept);
            }
            Ok(Verdict::Refused(refusal)) => {
                reply.complete(replies, Err(refusal));
                return self.hold_unless(is_kept);
            }
            Ok(Verdict::Asked(question)) => {
                asker.asked = Some(question);
                return;
            }
            Err(refusal) => {
                reply.complete(replies, Err(self.refused(asker.from, refusal, out)));
                // It rests on what may not be kept yet.
                return self.hold_unless(is_kept);
            }
        }
        if said_bye && !self.sessions.said_bye(session) {
            // The client goes on: it is not forgotten after a minute, nor after a restart and a minute.
            self.note_session(asker.now, session);
        }
        let outcome = self.perform(asker, request, replies, out);
        reply.complete(replies, outcome);
        match (kind, outcome) {
            (Kind::Place, Ok(())) => self.placed(asker, session, tag, print, request),
            // A session that has moved does not move again by a copy of the same line.
            (Kind::Place, Err(_))
                if asker.session.is_some() && matches!(request.command, Ok(Command::Join { .. })) =>
            {
                self.sessions.placed(session, tag.number, print, false);
                self.note_session(asker.now, session);
            }
            (Kind::Read, _) | (Kind::Place, Err(_)) => {}
            (Kind::Change, Err(refusal)) if refusal.name.is_no_answer() => {}
            (Kind::Change, _) => {
                self.record(asker, session, (tag, print), outcome, reply.outcome(replies));
            }
        }
        let is_kept = self.journal.is_committed(self.sessions.batch(session));
        self.hold_unless(is_kept || self.journal.is_failing());
    }

    fn hold_unless(&mut self, is_kept: bool) {
        if !is_kept {
            self.journal.hold();
        }
    }

    /// Records what a change came to; of a question, that it was asked, which is kept as if nobody had answered.
    fn record(
        &mut self,
        asker: &Asker,
        slot: Slot,
        request: (&Tag<'_>, u64),
        result: Result<(), Refusal>,
        outcome: &[u8],
    ) {
        let (tag, line) = request;
        let Some(id) = self.sessions.id(slot) else { return };
        let (session, number) = (id, tag.number.get());
        if let Some(question) = asker.asked {
            let mut unanswered = Vec::new();
            Reply::begin_with(&mut unanswered, None)
                .complete(&mut unanswered, Err(super::questions::TIMEOUT));
            self.journal.note(asker.now, &Change::Reply { session, number, line, outcome: &unanswered });
            self.sessions.record_asked(slot, tag.number, line, question);
            let mut text = Vec::new();
            tag.write(&mut text);
            if let Some(question) = self.asks.get_mut(question) {
                let is_sealed = asker.session.is_some();
                text.extend_from_slice(if is_sealed { NO_MAC } else { b"" });
                let (number, tag) = (tag.number, text.into());
                let tagged =
                    Tagged { session: slot, session_id: id, number, fingerprint: line, tag, is_sealed };
                question.tagged = Some(tagged);
            }
        } else {
            self.journal.note(asker.now, &Change::Reply { session, number, line, outcome });
            match result {
                Ok(()) => drop(self.sessions.record(slot, tag.number, line, outcome)),
                Err(refusal) => self.sessions.record_refused(slot, tag.number, line, refusal),
            }
        }
        self.sessions.changes(slot, self.journal.batch());
        self.counters.kept += 1;
    }

    /// The tag's session, opened if it is its first request.
    fn session(&mut self, asker: &Asker, tag: &Tag<'_>) -> Result<Slot, Refusal> {
        match asker.session {
            Some(session) => Ok(session),
            None if tag.mac.is_some() => Err(NO_KEYS),
            None => self.open_session(asker, tag, None).map(|(session, _)| session),
        }
    }

    /// The tag's session, and whether it was opened now; for a code, if its secret is proved.
    pub(super) fn open_session(
        &mut self,
        asker: &Asker,
        tag: &Tag<'_>,
        code: Option<Code<'_>>,
    ) -> Result<(Slot, bool), Refusal> {
        let bounds = sessions::Bounds {
            sessions: self.settings.sessions,
            per_owner: self.settings.sessions_per_address,
        };
        let by = (self.source(asker), code);
        let journal = &mut self.journal;
        let new_id = || journal.refusal().map_or_else(|| Ok(journal.new_id()), Err);
        let opened = self.sessions.find_or_open(asker.now, tag, by, bounds, new_id)?;
        let (session, is_new) = opened;
        if is_new {
            self.wake_session(session);
            self.note_session(asker.now, session);
        }
        Ok((session, is_new))
    }

    fn placed(&mut self, asker: &Asker, session: Slot, tag: &Tag<'_>, print: u64, request: &Request<'_>) {
        let bye = request.command == Ok(Command::Bye);
        let mut is_news = self.sessions.placed(session, tag.number, print, bye);
        if let Ok(Command::Join { code, .. }) = request.command {
            self.claim(asker.now, code, Some(session));
            is_news = true;
        }
        if bye {
            self.wake_session(session);
        }
        // Also of what changed nothing: earlier requests are stale from here on, also after a restart.
        if is_news {
            self.note_session(asker.now, session);
        }
    }

    /// Notes who joined last under a code.
    pub(super) fn claim(&mut self, now: Moment, code: Code<'_>, session: Option<Slot>) {
        if let Some(superseded) = self.sessions.claim(code, session) {
            self.note_session(now, superseded);
        }
    }

    /// Keeps a session.
    pub(super) fn note_session(&mut self, now: Moment, session: Slot) {
        if let Some(row) = self.sessions.row(session) {
            self.journal.note(now, &row);
        }
        if let Some(row) = self.sessions.keyed_row(session) {
            self.journal.note(now, &row);
        }
        self.sessions.changes(session, self.journal.batch());
    }

    pub(super) fn wake_session(&mut self, session: Slot) {
        if let Some((ends, held)) = self.sessions.ends(session, self.settings.session_idle) {
            self.timers.reset(held, Some(ends), Due::Session(session));
        }
    }

    /// A session may have been idle too long, or its client may have said BYE a minute ago.
    pub(super) fn session_due(&mut self, now: Moment, session: Slot) {
        let Some((ends, held)) = self.sessions.ends(session, self.settings.session_idle) else { return };
        *held = None;
        if ends > now {
            self.timers.reset(held, Some(ends), Due::Session(session));
        } else if self.keyed_place(session).is_some() {
            // Who listens only has to say nothing; its pushes need the session.
            self.sessions.touch(session, now);
            self.wake_session(session);
        } else if let Some(id) = self.sessions.forget(session) {
            self.journal.note(now, &Change::SessionGone { id });
        }
    }
    /// Forgets a session before its time.
    pub(super) fn end_session(&mut self, now: Moment, session: Slot) {
        if let Some((_, held)) = self.sessions.ends(session, self.settings.session_idle) {
            self.timers.reset(held, None, Due::Session(session));
        }
        if let Some(id) = self.sessions.forget(session) {
            self.journal.note(now, &Change::SessionGone { id });
        }
    }
}

const NO_KEYS: Refusal =
    Refusal::new(ErrorName::Denied, "this hub has no keys, send the tag without a proof");
