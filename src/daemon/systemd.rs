//! What systemd is told: readiness, a line of status, that the hub's own loop still turns. Without systemd
//! all of it does nothing.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::hub::Summary;

/// How often the status is brought up to date where no watchdog asks for more.
const STATUS_EVERY: Duration = Duration::from_secs(10);

/// Every socket is bound.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The configuration is being read anew; [`ready`] follows.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The daemon is ending.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// How often [`alive`] is called: half the watchdog's time.
pub(super) fn interval() -> Duration {
    sd_notify::watchdog_enabled().map_or(STATUS_EVERY, |time| (time / 2).min(STATUS_EVERY))
}

/// The hub's own loop turns; and how it is doing.
pub(super) fn alive(before: &Summary, now: &Summary, passed: Duration) {
    tell(&[NotifyState::Watchdog, NotifyState::Status(&status(before, now, passed))]);
}

fn status(before: &Summary, now: &Summary, passed: Duration) -> String {
    let total = |summary: &Summary| summary.counters.requests + summary.counters.texts;
    let answered = total(now).saturating_sub(total(before));
    let rate = u128::from(answered) * 1000 / passed.as_millis().max(1);
    let mut status =
        format!("{}/{} clients, {} connections, {rate} requests/s", now.clients, now.limit, now.connections);
    if now.disk_fails {
        status.push_str(", THE STATE CANNOT BE SAVED");
    }
    if now.counters.set_aside > 0 {
        status.push_str(", THE STATE WAS DAMAGED, the log says where it is kept");
    }
    status
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!("systemd could not be told: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::Counters;

    #[test]
    fn the_status_shows_clients_and_rate() {
        let before = Summary {
            clients: 1,
            limit: 10,
            connections: 2,
            counters: Counters::default(),
            disk_fails: false,
        };
        let counters = Counters { requests: 90, texts: 10, ..Counters::default() };
        let now = Summary { clients: 3, counters, ..before };
        let line = status(&before, &now, Duration::from_secs(2));
        assert_eq!(line, "3/10 clients, 2 connections, 50 requests/s");
    }

    #[test]
    fn the_status_shows_that_nothing_can_be_saved_and_that_a_state_was_set_aside() {
        let summary = |disk_fails, set_aside| Summary {
            clients: 0,
            limit: 10,
            connections: 0,
            counters: Counters { set_aside, ..Counters::default() },
            disk_fails,
        };
        let line = |now| status(&summary(false, 0), &now, Duration::from_secs(1));
        assert!(line(summary(true, 0)).ends_with("requests/s, THE STATE CANNOT BE SAVED"));
        assert!(line(summary(false, 1)).ends_with(", THE STATE WAS DAMAGED, the log says where it is kept"));
    }
}
