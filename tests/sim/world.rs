//! One run: the hub, its disk, the network and the clients, and one queue of what will happen when.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use fastrand::Rng;
use pigeond::hub::{Actions, Hub};
use pigeond::moment::Moment;

use super::bugs::Bug;
use super::client::{Client, Joins};
use super::disk::Disk;
use super::ledger::{Fault, Ledger};
use super::network::Links;
use super::observer::Observer;
use super::plan::{Micros, Plan, SECOND, wait};
use super::trace::Trace;

/// Something that will happen.
#[derive(Debug)]
pub enum Event {
    /// A datagram reaches the hub.
    ToHub {
        from: SocketAddr,
        bytes: Vec<u8>,
    },
    /// A datagram reaches an address.
    ToClient {
        to: SocketAddr,
        bytes: Vec<u8>,
    },
    /// A connection reaches the hub.
    Opened {
        link: u64,
    },
    /// Bytes of a connection reach the hub.
    UpLink {
        link: u64,
        bytes: Vec<u8>,
    },
    /// Bytes of a connection reach its client.
    DownLink {
        link: u64,
        bytes: Vec<u8>,
    },
    /// The hub learns that a connection has ended.
    EndedAtHub {
        link: u64,
    },
    /// The client learns that a connection has ended.
    EndedAtClient {
        link: u64,
    },
    /// Bytes that the hub did not take are given again.
    Again {
        link: u64,
    },
    /// A commit ends, unless the hub has ended before.
    Commit {
        boot: u64,
        how: Commit,
        batch: Vec<u8>,
    },
    /// The hub dies, or is asked to stop.
    HubEnds,
    HubBegins,
    /// A client asks for something.
    Act {
        client: usize,
    },
    /// A client without a mailbox asks nobody's leave.
    Untagged,
    /// A client makes sure of its place.
    Rejoin {
        client: usize,
    },
    Connect {
        client: usize,
    },
    ClientEnds {
        client: usize,
    },
    ClientBegins {
        client: usize,
    },
    Move {
        client: usize,
    },
    LinkBreaks {
        client: usize,
    },
    Partition {
        client: usize,
        begins: bool,
    },
    /// Nothing goes wrong any more.
    Heal,
    /// It is time to see whether everything has come to rest.
    Look,
}

/// How a commit ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    Done,
    Failed,
    /// It is reported as failed, but has reached the disk.
    Doubtful,
    /// It reaches the disk although the hub was told so before.
    Late,
}

/// See the module's documentation.
pub struct World {
    pub rng: Rng,
    pub plan: Plan,
    pub bug: Option<Bug>,
    pub now: Micros,
    queue: BTreeMap<(Micros, u64), Event>,
    order: u64,
    pub hub: Option<Hub>,
    /// How many hubs there were, when the present one began, and what its clock said then.
    pub boot: u64,
    pub booted: Micros,
    pub started: Moment,
    pub out: Actions,
    pub disk: Disk,
    pub under_way: Option<Vec<u8>>,
    /// When the last of the commits ends that were reported as done before.
    pub late: Micros,
    pub clients: Vec<Client>,
    pub links: Links,
    pub ledger: Ledger,
    pub observer: Observer,
    pub untagged: super::untagged::Untagged,
    pub aliases: BTreeMap<(String, u64), (String, u64)>,
    pub trace: Trace,
    pub healed: bool,
    done: bool,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    pub hash: u64,
    pub steps: u64,
    pub boots: u64,
    pub answers: u64,
    pub deliveries: u64,
    pub repeats: u64,
}

/// A run takes no more steps than this, or it will never end.
const STEPS: u64 = 400_000;
/// After the network is healed everything comes to rest in this time.
const REST: Micros = 243 * SECOND;

impl World {
    pub fn new(seed: u64, bug: Option<Bug>, keeps_words: bool) -> Self {
        let mut rng = Rng::with_seed(seed);
        let plan = Plan::new(&mut rng);
        let disk = Disk::new(plan.folds, bug);
        let clients = (0..plan.clients).map(|index| Client::new(&mut rng, index)).collect();
        let mut world = Self {
            rng,
            plan,
            bug,
            now: 0,
            queue: BTreeMap::new(),
            order: 0,
            hub: None,
            boot: 0,
            booted: 0,
            started: Moment::ZERO,
            out: Actions::default(),
            disk,
            under_way: None,
            late: 0,
            clients,
            links: Links::default(),
            ledger: Ledger::default(),
            observer: Observer::default(),
            untagged: super::untagged::Untagged::default(),
            aliases: BTreeMap::new(),
            trace: Trace::new(keeps_words),
            healed: false,
            done: false,
        };
        world.schedule();
        world
    }

    /// Sets off everything that goes on by itself.
    fn schedule(&mut self) {
        self.after(0, Event::HubBegins);
        self.after(self.plan.length, Event::Heal);
        self.after(SECOND, Event::Untagged);
        for client in 0..self.clients.len() {
            self.after(0, Event::ClientBegins { client });
            self.after(SECOND, Event::Act { client });
            self.misfortune(self.plan.client_life, |client| Event::ClientEnds { client }, client);
            self.misfortune(self.plan.move_every, |client| Event::Move { client }, client);
            self.misfortune(self.plan.link_life, |client| Event::LinkBreaks { client }, client);
            self.misfortune(
                self.plan.partition_every,
                |client| Event::Partition { client, begins: true },
                client,
            );
        }
    }

    /// Something goes wrong with a client after a while.
    pub fn misfortune(&mut self, mean: Micros, event: impl Fn(usize) -> Event, client: usize) {
        let pause = wait(&mut self.rng, mean);
        self.after(pause, event(client));
    }

    pub fn after(&mut self, pause: Micros, event: Event) {
        self.at(self.now + pause, event);
    }

    pub fn at(&mut self, when: Micros, event: Event) {
        self.order += 1;
        self.queue.insert((when.max(self.now), self.order), event);
    }

    /// Lets everything happen.
    pub fn run(&mut self) -> Result<Summary, Fault> {
        let mut steps = 0;
        while !self.done {
            self.step()?;
            steps += 1;
            if steps > STEPS {
                return Err("it never comes to rest".to_owned());
            }
        }
        Ok(Summary {
            hash: self.trace.hash(),
            steps,
            boots: self.boot,
            answers: self.ledger.answers,
            deliveries: self.ledger.deliveries,
            repeats: self.observer.repeats,
        })
    }

    /// What comes next: an event, the hub's deadline, or a client's.
    fn step(&mut self) -> Result<(), Fault> {
        let event = self.queue.keys().next().map_or(Micros::MAX, |&(when, _)| when);
        let hub = self.hub_due().unwrap_or(Micros::MAX);
        let client = self.clients.iter().filter_map(|client| Some((client.due()?, client.index))).min();
        let courier = client.map_or(Micros::MAX, |(when, _)| when);
        self.now = event.min(hub).min(courier).max(self.now);
        if event <= hub && event <= courier {
            let Some((_, event)) = self.queue.pop_first() else {
                return Err("nothing will ever happen again".to_owned());
            };
            self.happen(event)
        } else if hub <= courier {
            self.trace.note(self.now, "tick", 0, b"");
            self.with_hub(None, |hub, now, out| hub.tick(now, out))
        } else {
            self.pump(client.map_or(0, |(_, index)| index))
        }
    }

    fn happen(&mut self, event: Event) -> Result<(), Fault> {
        match event {
            Event::ToHub { from, bytes } => self.datagram_to_hub(from, &bytes),
            Event::ToClient { to, bytes } => self.datagram_to_client(to, &bytes),
            Event::Opened { link } => self.opened(link),
            Event::UpLink { link, bytes } => self.up_link(link, bytes),
            Event::DownLink { link, bytes } => self.down_link(link, &bytes),
            Event::EndedAtHub { link } => self.ended_at_hub(link),
            Event::EndedAtClient { link } => self.ended_at_client(link),
            Event::Again { link } => self.again(link),
            Event::Commit { boot, how, batch } => self.commit_ends(boot, how, &batch),
            Event::HubEnds => self.hub_ends(),
            Event::HubBegins => self.hub_begins(),
            Event::Act { client } => self.act(client),
            Event::Untagged => self.ask_untagged(),
            Event::Rejoin { client } => self.keep_place(client),
            Event::Connect { client } => self.connect(client),
            Event::ClientEnds { client } => self.client_ends(client),
            Event::ClientBegins { client } => self.client_begins(client),
            Event::Move { client } => self.moves(client),
            Event::LinkBreaks { client } => self.link_breaks(client),
            Event::Partition { client, begins } => self.partition(client, begins),
            Event::Heal => self.heal(),
            Event::Look => self.look(),
        }
    }

    /// From now on nothing goes wrong, and nobody asks for more.
    fn heal(&mut self) -> Result<(), Fault> {
        self.trace.note(self.now, "healed", 0, b"");
        self.healed = true;
        self.plan.commit_fails = 0.0;
        (self.plan.loss, self.plan.twice, self.plan.slow) = (0.0, 0.0, 0.0);
        for client in &mut self.clients {
            client.is_cut_off = false;
        }
        self.after(SECOND, Event::Look);
        Ok(())
    }

    /// Whether everything has come to rest, and is as it must be.
    fn look(&mut self) -> Result<(), Fault> {
        let unrest = self.unrest()?;
        let Some(unrest) = unrest else {
            self.done = true;
            return self.last_check();
        };
        if self.now > self.plan.length + REST {
            return Err(format!("it does not come to rest: {unrest}"));
        }
        self.after(SECOND, Event::Look);
        Ok(())
    }

    fn unrest(&mut self) -> Result<Option<String>, Fault> {
        if self.hub.is_none() {
            return Ok(Some("the hub is away".to_owned()));
        }
        if let Some(client) = self.clients.iter().find(|client| !client.is_settled()) {
            let (ops, joined): (Vec<_>, _) = (client.ops.values().take(3).collect(), client.joined);
            return Ok(Some(format!("client {} (joined: {joined}) waits for {ops:?}", client.index)));
        }
        if self.under_way.is_some() || self.untagged.is_recent(self.now) {
            return Ok(Some("the disk is busy".to_owned()));
        }
        let with_box: Vec<bool> = self.clients.iter().map(|it| it.joins == Joins::WithBox).collect();
        let without = with_box.iter().filter(|with| !**with).count();
        if let Some(missing) = self.ledger.missing(|at| with_box[at], without) {
            return Ok(Some(missing));
        }
        self.stale_watch()
    }

    /// What is true now must be true after one more crash.
    fn last_check(&mut self) -> Result<(), Fault> {
        self.check_values()?;
        self.untagged.saved();
        self.hub = None;
        self.hub_begins()
    }
}
