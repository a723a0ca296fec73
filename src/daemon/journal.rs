//! The log: to journald with fields when systemd has started us, else to standard error.

use std::os::fd::AsFd;

use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt};

use crate::config::Level;
use crate::hub::Event;
use crate::moment::Moment;

/// Changes what is logged while the daemon runs.
#[derive(Clone, Debug)]
pub(super) struct Handle(reload::Handle<LevelFilter, Registry>);

impl Handle {
    /// Logs this level and what is worse from now on.
    pub(super) fn set(&self, level: Level) {
        // It fails only once the log itself is gone.
        let _ = self.0.reload(filter(level));
    }
}

/// Starts the log. Done once, before anything is logged.
pub(super) fn start(level: Level) -> Handle {
    let (filter, handle) = reload::Layer::new(filter(level));
    let registry = tracing_subscriber::registry().with(filter);
    let journald = if is_connected() { tracing_journald::layer().ok() } else { None };
    // Fields are found by name: journalctl PIGEON_CLIENT=alice
    let journald = journald.map(|layer| {
        layer.with_field_prefix(Some("PIGEON".to_owned())).with_priority_mappings(PriorityMappings {
            info: Priority::Informational,
            debug: Priority::Debug,
            ..PriorityMappings::new()
        })
    });
    // Every message reads by itself; its fields are for journald.
    let message_only = fmt::format::debug_fn(|out, field, value| match field.name() {
        "message" => write!(out, "{value:?}"),
        _ => Ok(()),
    });
    let stderr = fmt::layer()
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(false)
        .fmt_fields(message_only);
    let stderr = journald.is_none().then_some(stderr);
    // It fails only where a log was started before; that one is kept.
    let _ = registry.with(journald).with(stderr).try_init();
    Handle(handle)
}

/// Whether standard error goes to journald: systemd says which device and inode that is.
fn is_connected() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(stat) = nix::sys::stat::fstat(std::io::stderr().as_fd()) else { return false };
    stream == format!("{}:{}", stat.st_dev, stat.st_ino)
}

fn filter(level: Level) -> LevelFilter {
    match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    }
}

/// Events logged in one second at most: beyond, a guest who joins and leaves a thousand times a second would
/// fill the log, and slow the hub down by it.
const EVENTS_A_SECOND: u32 = 100;

/// Logs what the hub tells of, as far as there is room in each second, and says how much there was not.
#[derive(Debug, Default)]
pub(super) struct EventLog {
    second: u64,
    logged: u32,
    left_out: u32,
}

impl EventLog {
    /// Logs an event.
    pub(super) fn write(&mut self, now: Moment, event: &Event) {
        if now.second() != self.second {
            if self.left_out > 0 {
                tracing::info!("{} more events were not logged", self.left_out);
            }
            *self = Self { second: now.second(), logged: 0, left_out: 0 };
        }
        if self.logged < EVENTS_A_SECOND {
            self.logged += 1;
            write(event);
        } else {
            self.left_out += 1;
        }
    }
}

/// Clients coming and going are for everybody, a peer's mistakes for who looks closer.
fn write(event: &Event) {
    match event {
        Event::Joined { code, from } => {
            tracing::info!(client = %code, peer = %from, "{code} joined from {from}");
        }
        Event::Moved { code, from } => tracing::info!(client = %code, peer = %from, "{code} moved to {from}"),
        Event::Left { code, why } => tracing::info!(client = %code, why, "{code} left: {why}"),
        Event::Refused { from, refusal } => {
            let (error, why) = (refusal.name.as_str(), refusal.why);
            tracing::debug!(peer = %from, error, "{from} was refused: {error} {why}");
        }
    }
}
