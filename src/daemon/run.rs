//! Starts the daemon, keeps it going, and ends it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use futures_util::StreamExt;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_tokio::Signals;
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::{Instant, MissedTickBehavior};

use super::bind::{self, Bound, Wanted};
use super::core::{Core, Shared, end_turns};
use super::descriptors::{self, Name};
use super::drops::Drops;
use super::files::Loaded;
use super::handover;
use super::options::{Options, Task, usage};
use super::{ears, files, interfaces, journal, state, store, systemd, tcp, udp};
use crate::config::Config;
use crate::hub::Summary;

/// Exit codes, as sysexits.h names them; systemd's unit does not restart after [`Exit::Config`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    Ok = 0,
    Usage = 64,
    Software = 70,
    System = 71,
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Runs `pigeond` with this process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    let options = match Options::parse(std::env::args_os().skip(1)) {
        Ok(options) => options,
        Err(error) => return complain(Exit::Usage, &format!("{error}, see pigeond --help")),
    };
    match options.task {
        Task::Help => print(&usage()),
        Task::Version => print(concat!("pigeond ", env!("CARGO_PKG_VERSION"), "\n")),
        Task::Run | Task::CheckConfig | Task::PrintConfig => {
            let load = if options.task == Task::Run { files::load } else { files::look };
            let loaded = match load(options.config.as_deref()) {
                Ok(loaded) => loaded,
                Err(error) => return complain_about_config(&options.task, &error),
            };
            if options.task != Task::Run {
                for warning in &loaded.warnings {
                    // Nothing can be done if even that cannot be said.
                    let _ = writeln!(io::stderr(), "pigeond: {warning}");
                }
            }
            match options.task {
                Task::CheckConfig => print("the configuration is good\n"),
                Task::PrintConfig => print(&loaded.to_toml()),
                Task::Run | Task::Help | Task::Version => run(options.config, loaded),
            }
        }
    }
}

fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Exit::Software.into(),
        Ok(()) | Err(_) => Exit::Ok.into(),
    }
}

fn complain(exit: Exit, message: &str) -> ExitCode {
    // Nothing can be done if even that cannot be said.
    let _ = writeln!(io::stderr(), "pigeond: {message}");
    exit.into()
}

fn complain_about_config(task: &Task, error: &files::Error) -> ExitCode {
    if *task == Task::Run {
        // The journal carries it with its priority; on a terminal it reads as well.
        journal::start(crate::config::Level::Info);
        for line in error.to_string().lines() {
            tracing::error!("{line}");
        }
        return Exit::Config.into();
    }
    complain(Exit::Config, &error.to_string())
}

fn run(file: Option<PathBuf>, loaded: Loaded) -> ExitCode {
    let Loaded { config, warnings, .. } = loaded;
    let log = journal::start(config.log.level);
    warn(&warnings);
    descriptors::raise_limit(&config);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("the runtime could not be started: {error}");
            return Exit::System.into();
        }
    };
    let tasks = LocalSet::new();
    // It is a task as all others: what is waited for outside of them is looked at each time that one has run.
    let daemon = tasks.spawn_local(async {
        match Daemon::start(file, config, log).await {
            Ok(mut daemon) => daemon.serve().await,
            Err(error) => {
                tracing::error!("{error}");
                Exit::System
            }
        }
    });
    let exit = tasks.block_on(&runtime, daemon).unwrap_or_else(|error| {
        tracing::error!("the daemon has broken down: {error}");
        Exit::Software
    });
    exit.into()
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        tracing::warn!("{warning}");
    }
}

/// Why the daemon could not start.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("{0}")]
    Bind(#[from] bind::Error),
    #[error("a socket could not be served: {0}")]
    Serve(io::Error),
    #[error("signals could not be awaited: {0}")]
    Signals(io::Error),
    #[error("{0}")]
    State(#[from] store::OpenError),
    #[error("the thread that saves could not be started: {0}")]
    Thread(#[from] io::Error),
}

/// A socket that is being served.
pub(super) struct Served {
    pub(super) task: JoinHandle<()>,
    address: std::net::SocketAddr,
    udp: Option<Rc<udp::Socket>>,
    pub(super) tcp: Option<Rc<tokio::net::TcpListener>>,
}

pub(super) struct Daemon {
    file: Option<PathBuf>,
    config: Config,
    log: journal::Handle,
    pub(super) shared: Shared,
    pub(super) sockets: BTreeMap<Wanted, Served>,
    signals: Signals,
}

impl Daemon {
    async fn start(file: Option<PathBuf>, config: Config, log: journal::Handle) -> Result<Self, StartError> {
        // Signals are awaited first: one that comes while the sockets are bound is not lost.
        let signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(StartError::Signals)?;
        let mut left = descriptors::take();
        let (mut bound, new) = handover::kept(bind::wanted(&config.listen), &mut left.sockets);
        // What is not wanted any more may stand in the way of what is.
        for (wanted, socket) in left.sockets {
            descriptors::forget(Name::Socket(wanted));
            drop(socket);
        }
        if !new.is_empty() {
            bound.append(&mut handover::bind_patiently(&new).await?);
        }
        let (hub, store, is_same) = state::open(&config)?;
        let unread_bytes = config.limits.unread_bytes;
        let (writer, results) = store.map_or(Ok((None, None)), |store| {
            store.start().map(|(writer, results)| (Some(writer), Some(results)))
        })?;
        let shared = Rc::new(RefCell::new(Core::new(hub, unread_bytes, writer)));
        if let Some(results) = results {
            tokio::task::spawn_local(state::hear(Rc::clone(&shared), results));
            tokio::task::spawn_local(state::commit(Rc::clone(&shared)));
        }
        let mut daemon = Self { file, config, log, shared, sockets: BTreeMap::new(), signals };
        for (wanted, socket) in bound {
            daemon.serve_socket(wanted, socket).map_err(StartError::Serve)?;
        }
        daemon.shared.borrow_mut().look_around(interfaces::View::now());
        daemon.configure_hub();
        tokio::task::spawn_local(interfaces::watch(Rc::clone(&daemon.shared)));
        tokio::task::spawn_local(end_turns(Rc::clone(&daemon.shared)));
        daemon.log_ports();
        daemon.resume(left.streams, left.tails.as_ref(), is_same);
        systemd::ready();
        Ok(daemon)
    }

    fn serve_socket(&mut self, wanted: Wanted, socket: Bound) -> io::Result<()> {
        let address = socket.address()?;
        let shared = Rc::clone(&self.shared);
        let served = match socket {
            Bound::Udp(socket) => {
                descriptors::keep(Name::Socket(wanted), socket.as_fd());
                let socket = self.shared.borrow_mut().udp.add(socket)?;
                let task = tokio::task::spawn_local(udp::serve(shared, Rc::clone(&socket)));
                Served { task, address, udp: Some(socket), tcp: None }
            }
            Bound::Tcp(listener) => {
                descriptors::keep(Name::Socket(wanted), listener.as_fd());
                let listener = Rc::new(tokio::net::TcpListener::from_std(listener)?);
                let task = tokio::task::spawn_local(tcp::accept(shared, Rc::clone(&listener)));
                Served { task, address, udp: None, tcp: Some(listener) }
            }
        };
        tracing::debug!("listening on {} {address}", wanted.0);
        self.sockets.insert(wanted, served);
        Ok(())
    }

    /// Gives the hub its settings, and the port and addresses that its sockets have got.
    fn configure_hub(&self) {
        let mut settings = files::settings(&self.config);
        let bound: Vec<_> = self.sockets.values().map(|served| served.address).collect();
        let main = self.sockets.iter().find(|((_, wanted), _)| wanted.port() == self.config.listen.port);
        if let Some((_, served)) = main {
            settings.port = served.address.port();
        }
        self.shared.borrow_mut().reconfigure(settings, &self.config.broadcast, bound);
        ears::fit(&self.shared);
    }

    fn log_ports(&self) {
        let mut ports: Vec<u16> = self.sockets.values().map(|served| served.address.port()).collect();
        ports.sort_unstable();
        ports.dedup();
        for port in ports {
            tracing::info!("listening on port {port}");
        }
    }

    /// Keeps the daemon going until it is told to end.
    async fn serve(&mut self) -> Exit {
        let mut alive = tokio::time::interval(systemd::interval());
        alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let rearm = Rc::clone(&self.shared.borrow().rearm);
        let (mut summary, mut since) = (self.summary(), alive.tick().await);
        let mut drops = Drops::new(since);
        systemd::alive(&summary, &summary, Duration::ZERO);
        loop {
            let wake = self.arm();
            tokio::select! {
                biased;
                // 1. The operator's word comes before anything else.
                signal = self.signals.next() => match signal {
                    Some(SIGHUP) => {
                        self.reload().await;
                        if self.sockets.is_empty() {
                            tracing::error!("no address is left to listen on");
                            self.stop().await;
                            return Exit::System;
                        }
                    }
                    Some(_) | None => break,
                },
                // 2. Time that the hub asked to be told of.
                () = tokio::time::sleep_until(wake) => self.shared.borrow_mut().tick(),
                // 3. The hub wants to be woken earlier than it said.
                () = rearm.notified() => {}
                // 4. systemd wants to know that this loop turns.
                now = alive.tick() => {
                    let next = self.summary();
                    systemd::alive(&summary, &next, now - since);
                    if let Some(lost) = drops.news(now, next.counters.dropped) {
                        tracing::warn!("{lost} datagrams were lost: more came than could be read (dropped= in STATS)");
                    }
                    (summary, since) = (next, now);
                }
            }
        }
        self.stop().await;
        Exit::Ok
    }

    fn summary(&self) -> Summary {
        self.shared.borrow().hub.summary()
    }

    /// Says when the hub will be woken, and remembers it.
    fn arm(&self) -> Instant {
        let mut core = self.shared.borrow_mut();
        core.armed = core.hub.next_deadline();
        // Nothing to wait for is waited for in long steps: an hour costs nothing.
        core.armed.map_or_else(|| core.instant(core.now() + Duration::from_hours(1)), |at| core.instant(at))
    }

    /// Reads the configuration anew; a bad one changes nothing.
    async fn reload(&mut self) {
        systemd::reloading();
        match self.try_reload().await {
            Ok(()) => tracing::info!("the configuration was reloaded"),
            Err(error) => {
                for line in error.lines() {
                    tracing::error!("{line}");
                }
                tracing::error!("the configuration was not reloaded, the old one stays in force");
            }
        }
        systemd::ready();
    }

    async fn try_reload(&mut self) -> Result<(), String> {
        let file: Option<&Path> = self.file.as_deref();
        let Loaded { config, warnings, .. } = files::load(file).map_err(|error| error.to_string())?;
        warn(&warnings);
        descriptors::raise_limit(&config);
        let wanted = bind::wanted(&config.listen);
        let new: Vec<Wanted> =
            wanted.iter().filter(|wanted| !self.sockets.contains_key(wanted)).copied().collect();
        let old: Vec<Wanted> =
            self.sockets.keys().filter(|served| !wanted.contains(served)).copied().collect();
        self.rebind(&new, &old).await?;
        if config.state != self.config.state {
            tracing::warn!("[state] takes effect at the next start");
        }
        self.log.set(config.log.level);
        self.config = config;
        self.configure_hub();
        if !(new.is_empty() && old.is_empty()) {
            self.log_ports();
        }
        Ok(())
    }

    /// Binds the new sockets and gives up the old ones, or else keeps all as it was.
    async fn rebind(&mut self, new: &[Wanted], old: &[Wanted]) -> Result<(), String> {
        // Where nothing stands in the way the new ones are there before the old ones are gone.
        let in_the_way = |(kind, address): &Wanted| {
            old.iter()
                .any(|(old_kind, old)| old_kind == kind && old.port() == address.port() && old.port() != 0)
        };
        let first = new.iter().any(in_the_way);
        if first {
            self.give_up(old).await;
        }
        let bound = match (new, first) {
            ([], _) => Ok(BTreeMap::new()),
            (_, true) => handover::bind_patiently(new).await,
            (_, false) => bind::bind(new),
        };
        match bound {
            Ok(bound) => {
                self.serve_sockets(bound)?;
                self.give_up(old).await;
                Ok(())
            }
            Err(error) if first => {
                let back = handover::bind_patiently(old)
                    .await
                    .map_err(|again| format!("{error}; and the way back is barred: {again}"))?;
                self.serve_sockets(back)?;
                Err(error.to_string())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    fn serve_sockets(&mut self, bound: BTreeMap<Wanted, Bound>) -> Result<(), String> {
        for (wanted, socket) in bound {
            self.serve_socket(wanted, socket)
                .map_err(|error| format!("a socket could not be served: {error}"))?;
        }
        Ok(())
    }

    /// Closes sockets that listen; connections and clients that came by them stay.
    async fn give_up(&mut self, old: &[Wanted]) {
        for (old, served) in old.iter().filter_map(|old| self.sockets.remove_entry(old)) {
            descriptors::forget(Name::Socket(old));
            served.task.abort();
            // Once the task is gone nothing but us holds the socket.
            let _ = served.task.await;
            if let Some(socket) = &served.udp {
                self.shared.borrow_mut().udp.remove(socket);
            }
        }
    }
}
