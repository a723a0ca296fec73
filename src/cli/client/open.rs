//! How a client begins.

use std::collections::VecDeque;

use super::{Client, verdict};
use crate::cli::clock::Clock;
use crate::cli::exit::Failure;
use crate::cli::link::Link;
use crate::cli::listen::own_keyed_code;
use crate::cli::place::Place;
use crate::cli::secret::Secret;
use crate::cli::session_name::SessionName;
use crate::cli::settings::Settings;
use crate::cli::signals::Interrupt;
use crate::courier::{Carrier, Courier, Inbox};
use crate::moment::Moment;
use crate::wire::ErrorName;

impl Client {
    /// Opens a link with a new session. With a key that means to join; where the code has a mailbox, whose program
    /// keeps the place, the hub's refusal is proved and opens the session all the same.
    pub(in crate::cli) fn open(settings: &Settings) -> Result<Self, Failure> {
        if settings.keys.is_none() {
            return Self::connected(settings, None);
        }
        let code = own_keyed_code(settings)?;
        let mut client = Self::connected(settings, settings.secret(code)?)?;
        client.needs_no_place = true;
        client.place.stay_unchecked();
        let line = format!("JOIN {code}").into_bytes();
        match client.take_place(line.clone(), None) {
            Err(failure) if failure.name == Some(ErrorName::Denied) && client.courier.is_open() => {
                // Elsewhere, or in another session, it must be said again.
                client.place.add(client.clock.now(), line);
            }
            joined => joined?,
        }
        Ok(client)
    }

    fn connected(settings: &Settings, secret: Option<&Secret>) -> Result<Self, Failure> {
        let link = Link::open(settings)?;
        let carrier = if link.is_tcp() { Carrier::Stream } else { Carrier::Datagrams };
        let name = SessionName::random()?;
        Ok(Self {
            settings: settings.clone(),
            courier: match secret {
                Some(secret) => Courier::keyed(name.session()?, carrier, name.seed, secret.as_bytes()),
                None => Courier::new(name.session()?, carrier, name.seed),
            },
            link,
            clock: Clock::start(),
            happened: VecDeque::new(),
            place: Place::none(),
            inbox: Inbox::new(carrier),
            joining: None,
            needs_no_place: false,
            in_hand: None,
            next_connect: Moment::ZERO,
        })
    }

    /// Opens a link and joins under a code, only to send: without a mailbox, and not where the code has one.
    pub(in crate::cli) fn join(settings: &Settings, code: &str) -> Result<Self, Failure> {
        let mut client = Self::connected(settings, settings.secret(code)?)?;
        let joined = client.take_place(format!("JOIN {code}").into_bytes(), None);
        joined.map_err(|failure| verdict::explain_denied(code, failure))?;
        Ok(client)
    }

    /// Opens a link and joins under a code with a mailbox, whose pushes are acknowledged.
    pub(in crate::cli) fn join_mailbox(
        settings: &Settings,
        code: &str,
        interrupt: &Interrupt,
    ) -> Result<Self, Failure> {
        let mut client = Self::connected(settings, settings.secret(code)?)?;
        client.take_place(format!("JOIN {code} ack").into_bytes(), Some(interrupt))?;
        Ok(client)
    }
}
