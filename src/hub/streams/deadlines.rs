//! When connections are looked at again: those that are silent, those that never finish their first line, and those that
//! have asked too often.

use super::super::Hub;
use super::super::actions::{Actions, Conn, Target};
use super::super::timers::Due;
use crate::moment::Moment;

impl Hub {
    /// Sets anew when each connection is looked at.
    pub(in super::super) fn wake_streams(&mut self) {
        for (at, _) in (0..).zip(0..self.streams.connections.len()) {
            self.wake_stream(Conn(at));
        }
    }

    pub(super) fn wake_stream(&mut self, conn: Conn) {
        let Some(connection) = self.streams.get_mut(conn) else { return };
        let silent = self.settings.guest_idle.map(|idle| connection.heard + idle);
        self.timers.reset(&mut connection.silent_due, silent, Due::Silent(conn));
        let first = connection.began.zip(self.settings.first_line).map(|(began, time)| began + time);
        self.timers.reset(&mut connection.first_due, first, Due::FirstLine(conn));
    }

    /// A guest may have been silent too long; who has joined may be silent for ever.
    pub(in super::super) fn silent(&mut self, now: Moment, conn: Conn, out: &mut Actions) {
        let joined = self.clients.at(Target::Tcp(conn).peer()).is_some();
        let Some(connection) = self.streams.get_mut(conn) else { return };
        connection.silent_due = None;
        let Some(idle) = self.settings.guest_idle else { return };
        if !joined && now.since(connection.heard) >= idle {
            self.hang_up(now, conn, "silent", out);
            return;
        }
        let due = if joined { now + idle } else { connection.heard + idle };
        self.timers.reset(&mut connection.silent_due, Some(due), Due::Silent(conn));
    }

    /// A connection has taken too long for its first line.
    pub(in super::super) fn first_line_due(&mut self, now: Moment, conn: Conn, out: &mut Actions) {
        if let Some(connection) = self.streams.get_mut(conn) {
            connection.first_due = None;
            self.hang_up(now, conn, "never finished a line", out);
        }
    }

    /// A connection may be read from again: sending nothing lets it go on.
    pub(in super::super) fn allowed(&mut self, conn: Conn, out: &mut Actions) {
        if let Some(connection) = self.streams.get_mut(conn) {
            connection.allowed_due = None;
            out.reply(Target::Tcp(conn), &[]);
        }
    }
}
