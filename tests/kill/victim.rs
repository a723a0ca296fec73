//! The daemon that is killed again and again, and whoever works meanwhile.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use crate::common::{Daemon, ask};

/// How long it lives. If its clients are so fast that this would be most of their work, it is killed earlier.
const LIFE: Duration = Duration::from_millis(300);

/// In how many parts their work is cut by kills at least.
const LIVES: u64 = 8;

/// A daemon that nobody can take the address from while it is dead.
pub struct Victim {
    pub daemon: Daemon,
    /// Where it listens.
    pub address: SocketAddr,
    /// How often it was killed.
    pub kills: u32,
    /// Whether it is asked to end in place of being killed.
    pub gently: bool,
}

impl Victim {
    /// Starts one with these settings, without `[listen]`.
    ///
    /// It has a loopback address of its own: its port could else be given to another socket that asks for any, or
    /// to a connection that then finds itself.
    pub fn start(settings: &str) -> Self {
        static COUNT: AtomicU8 = AtomicU8::new(1);
        let [.., high, low] = std::process::id().to_be_bytes();
        let ip = Ipv4Addr::new(127, 1 + high % 254, low, COUNT.fetch_add(1, Ordering::Relaxed));
        let daemon = Daemon::with(&format!("[listen]\nbind = [\"{ip}\"]\nport = 0\n{settings}"));
        let address = daemon.at(ip.into());
        Self { daemon, address, kills: 0, gently: false }
    }

    /// Kills it, starts it again, and looks through what it said.
    pub fn kill(&mut self) {
        let log = if self.gently {
            self.daemon.signal("TERM");
            assert!(self.daemon.wait().success());
            self.daemon.end()
        } else {
            self.daemon.kill()
        };
        for bad in ["panicked", "damaged", "cannot be saved", "not closed in good order"] {
            assert!(!log.iter().any(|line| line.contains(bad)), "{log:#?}");
        }
        self.daemon.restart();
        self.kills += 1;
    }

    /// Kills it again and again until all that work have ended.
    pub fn kill_until_done(&mut self, work: &Work) {
        let mut next_at = work.step();
        while let Some(done) = work.wait(LIFE, next_at) {
            self.kill();
            next_at = done + work.step();
        }
    }

    /// What it answers over a quiet network.
    pub fn ask(&self, request: &str) -> String {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(self.address).unwrap();
        socket.set_read_timeout(Some(crate::common::PATIENCE)).unwrap();
        String::from_utf8(ask(&socket, request.as_bytes())).unwrap()
    }
}

/// How far those who work have come.
pub struct Work {
    total: u64,
    state: Mutex<State>,
    news: Condvar,
}

struct State {
    workers: u64,
    done: u64,
}

impl Work {
    /// So many workers have so much to do in all.
    pub fn new(workers: u64, total: u64) -> Self {
        Self { total, state: Mutex::new(State { workers, done: 0 }), news: Condvar::new() }
    }

    /// A worker has done one more.
    pub fn step_done(&self) {
        self.state.lock().unwrap().done += 1;
        self.news.notify_all();
    }

    /// Whoever holds this works; it is held once by each.
    pub fn worker(&self) -> Worker<'_> {
        Worker(self)
    }

    fn step(&self) -> u64 {
        (self.total / LIVES).max(1)
    }

    /// Waits so long, or until so much is done; how much is, or `None` if nobody works any more.
    fn wait(&self, time: Duration, done: u64) -> Option<u64> {
        let state = self.state.lock().unwrap();
        let goes_on = |state: &mut State| state.workers > 0 && state.done < done;
        let (state, _) = self.news.wait_timeout_while(state, time, goes_on).unwrap();
        (state.workers > 0).then_some(state.done)
    }
}

/// Ends with its worker, also if that fails.
pub struct Worker<'a>(&'a Work);

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        self.0.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner).workers -= 1;
        self.0.news.notify_all();
    }
}
