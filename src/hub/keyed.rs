//! Keyed sessions: whose lines are proved, and what is answered to others (protocol, section 7).

use subtle::ConstantTimeEq;

use super::actions::{Actions, Peer, Target};
use super::change::Change;
use super::directory::Slot;
use super::sessions::{Joining, Keyed, Life, Origin, REUSED, UNOPENED};
use super::timers::Due;
use super::{Asker, Hub};
use crate::moment::Moment;
use crate::names::{Code, Mac, Pattern, Session, Ticket};
use crate::proof::{Proof, SessionKey, Way, hmac};
use crate::wire::{Command, ErrorName, Number, Refusal, Reply, Request, Tag};

/// Who is asking, as far as keys can tell.
pub(super) enum Standing {
    /// Anybody.
    Guest,
    /// The client of the asker's session.
    Proved(SessionKey),
    /// Somebody who must prove it first.
    Unproved,
    /// Somebody who is told this; sealed if it is the client of a session.
    Refused(Refusal, Option<SessionKey>),
}

impl Standing {
    /// What the reply is sealed with.
    pub(super) fn key(&self) -> Option<&SessionKey> {
        match self {
            Self::Proved(key) | Self::Refused(_, Some(key)) => Some(key),
            Self::Guest | Self::Unproved | Self::Refused(_, None) => None,
        }
    }
}

impl Hub {
    /// Makes nonces that nobody can foresee, of what the system gives out for that purpose. To be called once, before
    /// any input.
    pub fn stir(&mut self, entropy: &[u8; 32]) {
        self.keyring.secret = hmac(entropy, &[&self.keyring.secret]);
    }

    /// Who is asking. Whoever is not proved leaves no trace.
    pub(super) fn standing(&mut self, asker: &mut Asker, request: &Request<'_>) -> Standing {
        if self.settings.keys.are_none() && !self.settings.keys_required {
            return Standing::Guest;
        }
        (asker.session, asker.place) = (None, self.open_place(asker.target.peer()));
        match &request.tag {
            Some(tag) => match tag.mac {
                Some(mac) => self.standing_with(asker, tag, mac, request),
                None => self.standing_without(asker, Some(tag.session), request),
            },
            None => self.standing_without(asker, None, request),
        }
    }

    /// The place of a peer, if no key is needed to act there.
    #[inline]
    pub(super) fn open_place(&self, peer: Peer) -> Option<Slot> {
        let place = self.clients.at(peer)?;
        self.clients.get(place).is_some_and(|client| client.session.is_none()).then_some(place)
    }

    fn standing_without(&self, asker: &Asker, tag: Option<Session<'_>>, request: &Request<'_>) -> Standing {
        let session = tag.and_then(|name| self.sessions.find(name));
        if session.is_some_and(|session| self.sessions.keyed(session).is_some()) {
            return Standing::Unproved;
        }
        let Ok(Command::Join { code, .. }) = request.command else { return Standing::Guest };
        if self.settings.keys.has(code) {
            Standing::Unproved
        } else if self.settings.keys_required {
            Standing::Refused(NO_SECRET, None)
        } else if self.clients.at(asker.target.peer()).is_some() && asker.place.is_none() {
            Standing::Refused(KEYED_PLACE, None)
        } else {
            Standing::Guest
        }
    }

    fn standing_with(
        &mut self,
        asker: &mut Asker,
        tag: &Tag<'_>,
        mac: Mac<'_>,
        request: &Request<'_>,
    ) -> Standing {
        let Some(origin) = self.origin(asker) else { return Standing::Unproved };
        let Some(slot) = self.sessions.find(tag.session) else {
            return self.open_keyed(asker, tag, mac, request, origin);
        };
        let Some(keyed) = self.sessions.keyed(slot) else { return Standing::Refused(REUSED, None) };
        let Some(key) = keyed.key.clone() else { return Standing::Unproved };
        let name = tag.session.as_str();
        if !key.is_proved(Way::Request, name, tag.number.get(), request.line, mac.as_bytes()) {
            return Standing::Unproved;
        }
        if keyed.origin != origin {
            let is_join = matches!(request.command, Ok(Command::Join { code, nonce: Some(nonce), .. })
                if *code.as_str() == *keyed.code && self.is_fresh(asker, origin, nonce));
            // An older line is a copy of one that was sent from elsewhere.
            if !is_join || !self.sessions.is_newest_place(slot, tag.number) {
                return Standing::Unproved;
            }
            if self.sessions.said_bye(slot) {
                return Standing::Refused(UNOPENED, Some(key));
            }
            self.move_keyed(asker, slot, origin);
        }
        if let Ok(Command::Join { nonce, .. }) = request.command
            && !self.may_stand_again(asker, slot, tag.number, origin, nonce)
        {
            return Standing::Unproved;
        }
        self.admit(asker, slot, tag.number);
        Standing::Proved(key)
    }

    /// Whether a proved JOIN may be done: who once stood there may be gone, and anybody may have recorded how it came.
    fn may_stand_again(
        &mut self,
        asker: &Asker,
        slot: Slot,
        number: Number,
        origin: Origin,
        nonce: Option<Ticket<'_>>,
    ) -> bool {
        let is_used = nonce.is_none_or(|nonce| self.sessions.is_joined_by_again(slot, nonce));
        let is_fresh = nonce.is_some_and(|nonce| self.is_fresh(asker, origin, nonce)) && !is_used;
        is_fresh || self.keyed_place(slot).is_some() || !self.sessions.may_be_copy(slot, number)
    }

    /// Opens a session with the first line of one.
    fn open_keyed(
        &mut self,
        asker: &mut Asker,
        tag: &Tag<'_>,
        mac: Mac<'_>,
        request: &Request<'_>,
        origin: Origin,
    ) -> Standing {
        let Ok(Command::Join { code, nonce: Some(nonce), .. }) = request.command else {
            return Standing::Unproved;
        };
        let Some(held) = self.settings.keys.get(code.as_str()) else { return Standing::Unproved };
        let (name, number) = (tag.session.as_str(), tag.number.get());
        let key = SessionKey::new(held.secret.as_bytes(), name, nonce.as_str());
        let is_proved = key.is_proved(Way::Request, name, number, request.line, mac.as_bytes());
        if tag.number != Number::FIRST || !self.is_fresh(asker, origin, nonce) || !is_proved {
            return Standing::Unproved;
        }
        let Some(spot) = self.spot(asker.target) else { return Standing::Unproved };
        let session = match self.open_session(asker, tag, Some(code)) {
            Ok((session, _)) => session,
            Err(refusal) => return Standing::Refused(refusal, Some(key)),
        };
        let (code, nonce): (_, Box<str>) = (code.as_str().into(), nonce.as_str().into());
        let joining = Joining::NotYet;
        let keyed = Keyed {
            key: Some(key.clone()),
            code,
            joined_by: nonce.clone(),
            nonce,
            origin,
            spot,
            joining,
            newest: (0, asker.now),
        };
        self.sessions.set_keyed(session, keyed);
        self.wake_session(session);
        self.note_session(asker.now, session);
        self.admit(asker, session, tag.number);
        Standing::Proved(key)
    }

    /// A session's client has another address now.
    fn move_keyed(&mut self, asker: &Asker, session: Slot, origin: Origin) {
        let Some(spot) = self.spot(asker.target) else { return };
        if let Some(keyed) = self.sessions.keyed_mut(session) {
            (keyed.origin, keyed.spot) = (origin, spot);
        }
        self.note_session(asker.now, session);
    }

    /// Lets the client of a session act.
    fn admit(&mut self, asker: &mut Asker, slot: Slot, number: Number) {
        asker.session = Some(slot);
        asker.place = self.keyed_place(slot);
        let life = self.sessions.hear(slot, number, asker.now);
        asker.is_copy = life != Life::New;
        if life == Life::New
            && let Some(client) = asker.place.and_then(|place| self.clients.get_mut(place))
        {
            client.heard = asker.now;
        }
        match asker.target {
            Target::Udp { to, .. } if life != Life::Old => self.access.prove(asker.now, to.ip()),
            Target::Udp { .. } => {}
            Target::Tcp(conn) => self.streams.prove(conn),
        }
    }

    /// The place that a session's client has.
    pub(super) fn keyed_place(&self, session: Slot) -> Option<Slot> {
        let keyed = self.sessions.keyed(session)?;
        let place = self.clients.find(Code::parse(keyed.code.as_bytes())?)?;
        self.clients.get(place).is_some_and(|client| client.session == Some(session)).then_some(place)
    }

    fn origin(&self, asker: &Asker) -> Option<Origin> {
        match asker.target {
            Target::Udp { to, .. } => Some(Origin::Udp(to)),
            Target::Tcp(conn) => self.streams.id(conn).map(Origin::Tcp),
        }
    }

    /// Whether this nonce was made for this asker, in this minute or the one before.
    fn is_fresh(&self, asker: &Asker, origin: Origin, nonce: Ticket<'_>) -> bool {
        let made = |ago| self.keyring.nonce(asker.now, ago, origin, asker.from);
        let is = |made: Option<Proof>| made.is_some_and(|made| made.ct_eq(nonce.as_bytes()).into());
        is(made(0)) | is(made(1))
    }

    /// Completes a reply with the word that it must be proved who asks, and the nonce for it.
    pub(super) fn ask_for_proof(
        &mut self,
        asker: &Asker,
        reply: &Reply,
        replies: &mut Vec<u8>,
        out: &mut Actions,
    ) {
        self.refused(asker.from, UNPROVED, out);
        reply.complete(replies, Err(Refusal { why: "", ..UNPROVED }));
        let origin = self.origin(asker);
        let nonce = origin.and_then(|origin| self.keyring.nonce(asker.now, 0, origin, asker.from));
        replies.push(b' ');
        replies.extend_from_slice(&nonce.unwrap_or_default());
    }

    /// Whether a session may join so, given how it has joined before.
    pub(super) fn check_joining(&self, session: Slot, code: Code<'_>, ack: bool) -> Result<(), Refusal> {
        let mailbox = self.mailboxes.find(code).and_then(|slot| self.mailboxes.get(slot));
        let Some(keyed) = self.sessions.keyed(session) else { return Ok(()) };
        match keyed.joining {
            _ if *keyed.code != *code.as_str() => Err(OTHER_CODE),
            Joining::NotYet => Ok(()),
            Joining::Plain if !ack => Ok(()),
            Joining::Boxed(id) if ack && mailbox.is_some_and(|mailbox| mailbox.id == id) => Ok(()),
            Joining::Plain | Joining::Boxed(_) => Err(OTHERWISE_JOINED),
        }
    }

    /// Remembers how a session has joined.
    pub(super) fn note_joining(&mut self, session: Slot, mailbox: Option<Slot>) {
        let mailbox = mailbox.and_then(|mailbox| self.mailboxes.get(mailbox)).map(|mailbox| mailbox.id);
        if let Some(keyed) = self.sessions.keyed_mut(session) {
            keyed.joining = mailbox.map_or(Joining::Plain, Joining::Boxed);
        }
    }

    /// The keys have changed: what was proved with a secret that is no more is proved no longer. The rest is done when
    /// time next passes.
    pub(super) fn rekey(&mut self, before: &super::Keys) {
        self.keyring.generation += 1;
        for slot in self.sessions.slots() {
            let Some(keyed) = self.sessions.keyed_mut(slot) else { continue };
            let secret = |keys: &super::Keys| keys.get(&keyed.code).map(|key| key.secret.clone());
            if secret(before) != secret(&self.settings.keys) {
                keyed.key = None;
            }
        }
        self.timers.reset(&mut self.keyring.due, Some(Moment::ZERO), Due::Keys);
    }

    /// Sees to what other keys have changed.
    pub(super) fn keys_due(&mut self, now: Moment, out: &mut Actions) {
        self.keyring.due = None;
        self.drop_unproved(now, out);
        self.mailboxes.rekey(&self.settings.keys);
        let places: Vec<Slot> = self.clients.iter().map(|(place, _)| place).collect();
        for place in places {
            let is_open = self.clients.get(place).is_some_and(|client| client.session.is_none());
            if is_open && self.clients.code(place).is_some_and(|code| self.settings.keys.has(code)) {
                self.leave(now, place, "its code has a secret now", out);
            }
        }
        self.drop_watches(now);
    }

    /// Forgets sessions whose secret is no more, with their places; returns their codes.
    pub(super) fn drop_unproved(&mut self, now: Moment, out: &mut Actions) -> Vec<Box<str>> {
        let mut codes = Vec::new();
        for slot in self.sessions.slots() {
            let Some(keyed) = self.sessions.keyed(slot).filter(|keyed| keyed.key.is_none()) else { continue };
            codes.push(keyed.code.clone());
            if let Some(place) = self.keyed_place(slot) {
                self.leave(now, place, SECRET_GONE, out);
            }
            self.end_session(now, slot);
        }
        codes
    }

    /// Drops watches of what may not be watched any more.
    pub(super) fn drop_watches(&mut self, now: Moment) {
        let keys = &self.settings.keys;
        let mut lost = Vec::new();
        for (place, client) in self.clients.iter() {
            let Some(allowed) = keys.allowed(self.clients.code(place).map(Code::as_str)) else { continue };
            let patterns = self.watches.of(place).filter(|pattern| !allowed.may_watch(pattern));
            lost.extend(patterns.map(|pattern| (false, place, client.id, Box::<str>::from(pattern))));
        }
        for (slot, mailbox) in self.mailboxes.iter() {
            let Some(allowed) = keys.allowed(self.mailboxes.code(slot)) else { continue };
            let patterns = self.box_watches.of(slot).filter(|pattern| !allowed.may_watch(pattern));
            lost.extend(patterns.map(|pattern| (true, slot, mailbox.id, Box::<str>::from(pattern))));
        }
        for (is_box, slot, owner, pattern) in lost {
            let Some(parsed) = Pattern::parse(pattern.as_bytes()) else { continue };
            let watches = if is_box { &mut self.box_watches } else { &mut self.watches };
            watches.unwatch(slot, parsed);
            self.journal.note(now, &Change::WatchGone { owner, pattern: &pattern });
        }
    }
}

/// Why a place is lost with its secret.
pub(super) const SECRET_GONE: &str = "its secret was changed or taken away";

const UNPROVED: Refusal = Refusal::new(ErrorName::Prove, "not proved: this needs the code's secret");
const NO_SECRET: Refusal =
    Refusal::new(ErrorName::Denied, "this code has no secret, and every client needs one (access.required)");
const KEYED_PLACE: Refusal =
    Refusal::new(ErrorName::Denied, "who is joined at this address has a secret: JOIN from another port");
const OTHER_CODE: Refusal =
    Refusal::new(ErrorName::Denied, "this session is for another code, begin a new one");
const OTHERWISE_JOINED: Refusal = Refusal::new(
    ErrorName::Unopened,
    "this session joined otherwise, or its mailbox is gone: begin a new one",
);
