//! Every setting by name, with how it is read, and what must hold between settings.

use super::section::{File, Reading, Section};
use super::settings::{Level, Sync};
use super::{Access, Broadcast, Clients, Config, Limits, Listen, State, Text, ranges, value};

/// Sets in `config` what this file sets.
pub(super) fn file(file: &mut File<'_>, config: &mut Config) {
    file.section("listen", |section| listen(section, &mut config.listen));
    file.section("clients", |section| clients(section, &mut config.clients));
    file.section("text", |section| text(section, &mut config.text));
    file.section("limits", |section| limits(section, &mut config.limits));
    file.section("broadcast", |section| broadcast(section, &mut config.broadcast));
    file.section("state", |section| state(section, &mut config.state));
    file.section("access", |section| access(section, &mut config.access));
    file.section("log", |section| section.set("level", &mut config.log.level, value::choice(&LEVELS)));
}

const LEVELS: [(&str, Level); 5] = [
    ("error", Level::Error),
    ("warn", Level::Warn),
    ("info", Level::Info),
    ("debug", Level::Debug),
    ("trace", Level::Trace),
];

const SYNCS: [(&str, Sync); 2] = [("normal", Sync::Normal), ("full", Sync::Full)];

fn listen(section: &mut Section<'_, '_>, listen: &mut Listen) {
    section.set("bind", &mut listen.bind, value::addresses);
    section.set("port", &mut listen.port, value::number(ranges::PORT_OR_ANY));
    section.set("extra_ports", &mut listen.extra_ports, value::ports(ranges::PORT));
    section.set("udp", &mut listen.udp, value::boolean);
    section.set("tcp", &mut listen.tcp, value::boolean);
}

fn clients(section: &mut Section<'_, '_>, clients: &mut Clients) {
    section.set("limit", &mut clients.limit, value::number(ranges::CLIENTS));
    section.set("idle", &mut clients.idle, value::duration(ranges::CLIENT_IDLE));
    section.set("mailbox", &mut clients.mailbox, value::number(ranges::MAILBOX));
}

fn text(section: &mut Section<'_, '_>, text: &mut Text) {
    section.set("reply", &mut text.reply, value::text_reply);
    section.set("quiet_ms", &mut text.quiet, value::millis(ranges::QUIET_MS));
    section.set("greeting", &mut text.greeting, value::line);
    section.set("answers", &mut text.answers, value::answers);
}

fn limits(section: &mut Section<'_, '_>, limits: &mut Limits) {
    use crate::limits::MESSAGE_BYTES_RANGE;
    use value::{duration, duration_or_never, number};

    section.set("max_message_bytes", &mut limits.max_message_bytes, number(MESSAGE_BYTES_RANGE));
    section.set("tcp_connections", &mut limits.tcp_connections, number(ranges::TCP_CONNECTIONS));
    let per_address = &mut limits.tcp_connections_per_address;
    section.set("tcp_connections_per_address", per_address, number(ranges::TCP_CONNECTIONS));
    section.set("text_per_second", &mut limits.text_per_second, number(ranges::TEXT_PER_SECOND));
    section.set("first_line", &mut limits.first_line, duration_or_never(ranges::FIRST_LINE));
    section.set("guest_idle", &mut limits.guest_idle, duration_or_never(ranges::GUEST_IDLE));
    section.set("unread_bytes", &mut limits.unread_bytes, number(ranges::UNREAD_BYTES));
    section.set("values", &mut limits.values, number(ranges::VALUES));
    section.set("value_bytes", &mut limits.value_bytes, number(ranges::VALUE_BYTES));
    section.set("per_client_values", &mut limits.per_client_values, number(ranges::VALUES));
    section.set("watches_per_client", &mut limits.watches_per_client, number(ranges::WATCHES));
    section.set("sessions", &mut limits.sessions, number(ranges::SESSIONS));
    section.set("sessions_per_address", &mut limits.sessions_per_address, number(ranges::SESSIONS));
    section.set("session_idle", &mut limits.session_idle, duration(ranges::SESSION_IDLE));
    section.set("ask_timeout", &mut limits.ask_timeout, duration(ranges::ASK_TIMEOUT));
    section.set("mailboxes", &mut limits.mailboxes, number(ranges::MAILBOXES));
    section.set("mailboxes_per_address", &mut limits.mailboxes_per_address, number(ranges::MAILBOXES));
}

fn broadcast(section: &mut Section<'_, '_>, broadcast: &mut Broadcast) {
    section.set("discovery", &mut broadcast.discovery, value::boolean);
    let announce_every = value::duration_or_never(ranges::ANNOUNCE_EVERY);
    section.set("announce_every", &mut broadcast.announce_every, announce_every);
    section.set("address", &mut broadcast.address, value::address_or_auto);
    section.set("port", &mut broadcast.port, value::number(ranges::PORT));
    section.set("shout", &mut broadcast.shout, value::boolean);
    section.set("name", &mut broadcast.name, value::hub_name);
}

fn state(section: &mut Section<'_, '_>, state: &mut State) {
    section.set("directory", &mut state.directory, value::directory);
    section.set("sync", &mut state.sync, value::choice(&SYNCS));
}

fn access(section: &mut Section<'_, '_>, access: &mut Access) {
    section.set("networks", &mut access.networks, value::networks);
    section.set("guests", &mut access.guests, value::guests);
    section.set("requests_per_second", &mut access.requests_per_second, value::count_or_zero);
    section.set("burst", &mut access.burst, value::count_or_zero);
    section.set("keys_file", &mut access.keys_file, value::path_or_empty);
    section.set("required", &mut access.required, value::boolean);
}

/// Checks what must hold between settings once every file is read.
pub(super) fn relations(reading: &mut Reading, config: &Config, keys_given: bool) {
    let Listen { bind, port, extra_ports, udp, tcp } = &config.listen;
    reading.relation(*udp || *tcp, &[("listen", "tcp"), ("listen", "udp")], || {
        "`listen.udp` and `listen.tcp` are both false; at least one must be true".to_owned()
    });
    reading.relation(!extra_ports.contains(port), &[("listen", "extra_ports"), ("listen", "port")], || {
        format!("`listen.extra_ports` names {port}, which is `listen.port`; leave it out")
    });
    let sockets = bind.len().saturating_mul(extra_ports.len().saturating_add(1));
    let names = [("listen", "extra_ports"), ("listen", "bind")];
    reading.relation(sockets <= ranges::SOCKETS_CONFIGURED, &names, || {
        let (addresses, ports, most) = (bind.len(), extra_ports.len() + 1, ranges::SOCKETS_CONFIGURED);
        format!(
            "`listen.bind` names {addresses} addresses, with {ports} ports each that makes {sockets}; \
             at most {most} are possible"
        )
    });

    let limits = &config.limits;
    let unread = limits.max_message_bytes.saturating_mul(ranges::UNREAD_MESSAGES);
    let names = [("limits", "unread_bytes"), ("limits", "max_message_bytes")];
    reading.relation(limits.unread_bytes >= unread, &names, || {
        let (is, times) = (limits.unread_bytes, ranges::UNREAD_MESSAGES);
        format!(
            "`limits.unread_bytes` is {is}; it must be at least {times} times `limits.max_message_bytes`, here {unread}"
        )
    });
    let names = [("limits", "sessions_per_address"), ("limits", "sessions")];
    reading.relation(limits.sessions_per_address <= limits.sessions, &names, || {
        format!(
            "`limits.sessions_per_address` is {}; it must be at most `limits.sessions`, which is {}",
            limits.sessions_per_address, limits.sessions
        )
    });

    let names = [("access", "required"), ("access", "keys_file")];
    let has_keys = config.access.keys_file.is_some() || keys_given;
    reading.relation(!config.access.required || has_keys, &names, || {
        "`access.required` is true, but there are no keys: no `access.keys_file`, and nothing in /etc/pigeond/keys, \
         of which the service gets a copy; add one of them, or set it to false"
            .to_owned()
    });
}
