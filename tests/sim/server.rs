//! The shell around the real hub: its clock, its disk, and what it wants sent.

use core::time::Duration;
use std::net::SocketAddr;

use pigeond::hub::{Action, Actions, Conn, Hub, Input, Settings, Target, Via};
use pigeond::moment::Moment;

use super::bugs::Bug;
use super::client::Joins;
use super::ledger::Fault;
use super::plan::{MILLI, Micros, wait};
use super::world::{Commit, Event, World};

/// Where everything comes in.
pub const VIA: Via = Via { socket: 0, port: 10125, local: None, interface: 0 };
/// Whoever looks at the hub's values from outside the network.
const PROBE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);

impl World {
    /// When the hub wants to be asked again.
    pub fn hub_due(&self) -> Option<Micros> {
        let due = self.hub.as_ref()?.next_deadline()?.since(self.started);
        Some(self.booted + u64::try_from(due.as_nanos().div_ceil(1000)).unwrap_or(u64::MAX / 2))
    }

    fn hub_now(&self) -> Moment {
        self.started + Duration::from_micros(self.now - self.booted)
    }

    /// Lets the hub do something, saves what is to be saved, and sends what is to be sent.
    pub fn with_hub(
        &mut self,
        fed: Option<(u64, &[u8])>,
        act: impl FnOnce(&mut Hub, Moment, &mut Actions),
    ) -> Result<(), Fault> {
        let now = self.hub_now();
        let Some(hub) = &mut self.hub else { return Ok(()) };
        let mut out = core::mem::take(&mut self.out);
        act(hub, now, &mut out);
        let batch = hub.poll_commit(now).map(<[u8]>::to_vec);
        if let Some(batch) = batch {
            self.commit_begins(batch);
        }
        let routed = self.route(&out, fed);
        out.clear();
        self.out = out;
        routed
    }

    fn commit_begins(&mut self, batch: Vec<u8>) {
        self.trace.note(self.now, "commits", batch.len() as u64, b"");
        let takes = self.rng.u64(..=self.plan.commit);
        let mut how = Commit::Done;
        if self.rng.f64() < self.plan.commit_fails {
            how = if self.rng.f64() < self.plan.ambiguous { Commit::Doubtful } else { Commit::Failed };
        }
        let boot = self.boot;
        self.under_way = Some(batch.clone());
        if self.bug == Some(Bug::AnswerBeforeCommit) && how == Commit::Done {
            self.late = self.late.max(self.now + takes);
            self.at(self.late, Event::Commit { boot, how: Commit::Late, batch });
            self.after(0, Event::Commit { boot, how, batch: Vec::new() });
        } else {
            self.after(takes, Event::Commit { boot, how, batch });
        }
    }

    pub fn commit_ends(&mut self, boot: u64, how: Commit, batch: &[u8]) -> Result<(), Fault> {
        if boot != self.boot || self.hub.is_none() {
            return Ok(());
        }
        self.trace.note(self.now, "commit ends", u64::from(how == Commit::Done), b"");
        if how != Commit::Failed && !batch.is_empty() {
            self.disk.write(&mut self.rng, batch);
        }
        if how == Commit::Late {
            return Ok(());
        }
        self.under_way = None;
        let fails = how != Commit::Done && self.bug != Some(Bug::FailureIsSuccess);
        if how != Commit::Done {
            self.untagged.disk_failed(self.now);
        }
        let input = if fails { Input::CommitFailed } else { Input::Committed };
        self.with_hub(None, |hub, now, out| hub.handle(now, input, out))
    }

    /// The hub dies, or is asked to stop.
    pub fn hub_ends(&mut self) -> Result<(), Fault> {
        if self.healed || self.hub.is_none() {
            return Ok(());
        }
        let stops = self.rng.u8(..4) == 0;
        self.trace.note(self.now, if stops { "hub stops" } else { "hub dies" }, self.boot, b"");
        let fails = self.hub.as_ref().is_some_and(|hub| hub.summary().disk_fails);
        if stops {
            self.stop_hub()?;
            if fails {
                self.untagged.died(self.now);
            } else {
                self.untagged.saved();
            }
        } else if let Some(batch) = self.under_way.take() {
            if self.bug == Some(Bug::HalfBatch) {
                self.disk.write_half(&batch);
            } else if self.rng.bool() && self.bug != Some(Bug::AnswerBeforeCommit) {
                self.disk.write(&mut self.rng, &batch);
            }
            self.untagged.died(self.now);
        } else {
            self.untagged.died(self.now);
        }
        self.hub = None;
        self.under_way = None;
        self.break_all_links();
        let pause = self.rng.u64(MILLI..=500 * MILLI);
        self.after(pause, Event::HubBegins);
        Ok(())
    }

    /// Saves what there is, as a daemon does that is told to stop.
    fn stop_hub(&mut self) -> Result<(), Fault> {
        let boot = self.boot;
        if let Some(batch) = self.under_way.take() {
            self.commit_ends(boot, Commit::Done, &batch)?;
        }
        self.with_hub(None, Hub::stop)?;
        while let Some(batch) = self.under_way.take() {
            self.commit_ends(boot, Commit::Done, &batch)?;
        }
        Ok(())
    }

    pub fn hub_begins(&mut self) -> Result<(), Fault> {
        let state = self.disk.state(&mut self.rng);
        let settings = Settings {
            ask_timeout: Duration::from_secs(4),
            mailbox: self.plan.mailbox,
            clients_idle: Duration::from_micros(self.plan.clients_idle),
            ..Settings::default()
        };
        let seed = if self.bug == Some(Bug::ForgetClock) { 1 } else { self.rng.u64(..) };
        let hub = Hub::restore(settings, seed, &state).map_err(|damage| damage.to_string())?;
        self.boot += 1;
        self.observer.hub_began();
        self.trace.note(self.now, "hub begins", self.boot, b"");
        self.booted = self.now;
        self.started = hub.started();
        self.hub = Some(hub);
        if !self.healed {
            let life = wait(&mut self.rng, self.plan.hub_life);
            self.after(life, Event::HubEnds);
        }
        self.check_values()?;
        self.untagged_restored()?;
        self.with_hub(None, |hub, now, out| {
            hub.resume(now, &[], out);
            hub.tick(now, out);
        })
    }

    /// What a key holds at present, asked without anybody noticing; `None` if there is none, or no hub.
    pub fn peek(&mut self, key: &str) -> Option<String> {
        let now = self.hub_now();
        let hub = self.hub.as_mut()?;
        let mut out = Actions::default();
        let line = format!("GET {key}");
        let line = line.as_bytes();
        hub.handle(now, Input::Datagram { from: PROBE, via: VIA, to_many: false, bytes: line }, &mut out);
        let reply = String::from_utf8_lossy(&out.bytes).into_owned();
        (!reply.starts_with("ERR no-such-key")).then_some(reply)
    }

    /// Compares all values with what was answered.
    pub fn check_values(&mut self) -> Result<(), Fault> {
        if self.hub.is_none() {
            return Ok(());
        }
        let keys = self.ledger.counters.keys().chain(self.ledger.registers.keys());
        for key in keys.cloned().collect::<Vec<_>>() {
            let value = self.peek(&key);
            self.ledger.check(&key, value.as_deref())?;
        }
        for client in &self.clients {
            let (all, most) = self.ledger.waiting(client.index);
            if client.joins == Joins::WithBox
                && (all > self.plan.mailbox || most > (self.plan.mailbox / 4).max(1))
            {
                return Err(format!("{all} wait for {}, {most} of them from one", client.index));
            }
        }
        Ok(())
    }

    /// Sends what the hub wants sent.
    fn route(&mut self, out: &Actions, fed: Option<(u64, &[u8])>) -> Result<(), Fault> {
        for action in &out.list {
            match action {
                Action::Send { target: Target::Udp { to, .. }, range, .. } => {
                    self.send_datagram(*to, out.slice(range))?;
                }
                Action::Send { target: Target::Tcp(conn), range, push } => {
                    self.send_stream(*conn, out.slice(range), !*push)?;
                }
                Action::Close(conn) => self.close(*conn),
                Action::Hold { conn, bytes, until_reply } => self.hold(*conn, *bytes, *until_reply, fed),
                Action::Await { .. } | Action::Answer { .. } => {
                    return Err("the hub leaves its own order to the shell".to_owned());
                }
                // Nobody in the simulation listens to what is for everybody.
                Action::Broadcast { .. } | Action::Nothing => {}
            }
        }
        Ok(())
    }

    fn close(&mut self, conn: Conn) {
        if let Some(link) = self.links.at(conn) {
            self.end_link(link, 0);
        }
    }

    /// What the hub did not take is given again later.
    fn hold(&mut self, conn: Conn, bytes: usize, until_reply: bool, fed: Option<(u64, &[u8])>) {
        let Some(number) = self.links.at(conn) else { return };
        let Some((_, given)) = fed.filter(|(link, _)| *link == number) else { return };
        let rest = given[given.len() - bytes..].to_vec();
        if let Some(link) = self.links.get_mut(number) {
            link.held.splice(..0, rest);
            link.awaits_reply = until_reply;
        }
        if !until_reply {
            self.after(MILLI, Event::Again { link: number });
        }
    }
}
