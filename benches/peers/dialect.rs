//! What is said to a hub or a broker so that one client's messages reach others, and what it says.

use crate::server::Kind;

/// The words of one group of clients: one that publishes, and those that get what it publishes.
#[derive(Clone, Debug)]
pub struct Dialect {
    /// What the publisher says first.
    pub publisher: Hello,
    /// One message.
    pub publish: Vec<u8>,
    /// The same, as a subscriber gets it.
    pub delivery: Vec<u8>,
    /// What the publisher is told about it; nothing where brokers do not.
    pub receipt: Vec<u8>,
    /// What the server may ask in between, and what it is answered.
    pub aside: Option<(&'static [u8], &'static [u8])>,
    kind: Kind,
    group: usize,
}

/// The first words of a client.
#[derive(Clone, Debug)]
pub struct Hello {
    /// All at once.
    pub says: Vec<u8>,
    /// How the answer begins, and how it ends.
    pub begins: &'static [u8],
    /// The end.
    pub ends: &'static [u8],
}

/// MQTT 3.1.1: types of packets, and the answers that say yes.
const CONNECT: u8 = 0x10;
const SUBSCRIBE: u8 = 0x82;
const PUBLISH: u8 = 0x30;
const CONNACK: &[u8] = b"\x20\x02\x00\x00";
const SUBACK: &[u8] = b"\x90\x03\x00\x01\x00";

impl Dialect {
    /// How this group, of so many subscribers, talks to this server in texts of so many bytes.
    pub fn new(kind: Kind, group: usize, subscribers: usize, text_bytes: usize) -> Self {
        let text = "x".repeat(text_bytes);
        let empty = Vec::new();
        let (publish, delivery, receipt, aside): (_, _, _, Option<(&[u8], &[u8])>) = match language(kind) {
            Language::Nats => (
                format!("PUB t{group} {text_bytes}\r\n{text}\r\n").into_bytes(),
                format!("MSG t{group} 1 {text_bytes}\r\n{text}\r\n").into_bytes(),
                empty,
                Some((b"PING\r\n", b"PONG\r\n")),
            ),
            Language::Mqtt => {
                let packet = mqtt(PUBLISH, &[&mqtt_text(&format!("t{group}")), text.as_bytes()]);
                (packet.clone(), packet, empty, None)
            }
            Language::Lines => {
                let (publish, receipt) = if subscribers == 1 {
                    (format!("SEND s{group}.0 {text}\n"), "sent\n".to_owned())
                } else {
                    (format!("ALL {text}\n"), format!("{subscribers}\n"))
                };
                let delivery = format!("MSG p{group} {text}\n");
                (publish.into_bytes(), delivery.into_bytes(), receipt.into_bytes(), None)
            }
        };
        let publisher = hello(kind, &format!("p{group}"), None);
        Self { publisher, publish, delivery, receipt, aside, kind, group }
    }

    /// What a subscriber says first.
    pub fn subscriber(&self, index: usize) -> Hello {
        let group = self.group;
        hello(self.kind, &format!("s{group}.{index}"), Some(&format!("t{group}")))
    }
}

/// What clients and server say to each other.
enum Language {
    Nats,
    Mqtt,
    /// The hub's lines.
    Lines,
}

fn language(kind: Kind) -> Language {
    match kind {
        Kind::Nats => Language::Nats,
        Kind::Mosquitto => Language::Mqtt,
        Kind::FloorMany
        | Kind::Floor
        | Kind::FloorFanOut
        | Kind::Pigeond
        | Kind::PigeondFull
        | Kind::Python
        | Kind::Memcached
        | Kind::Redis
        | Kind::RedisEverySecond
        | Kind::RedisAlways => Language::Lines,
    }
}

/// A client of this name comes, and subscribes to the topic if any. To the hub its name is its address.
fn hello(kind: Kind, name: &str, topic: Option<&str>) -> Hello {
    match language(kind) {
        Language::Nats => {
            let subscribe = topic.map(|topic| format!("SUB {topic} 1\r\n")).unwrap_or_default();
            let says = format!("CONNECT {{\"verbose\":false}}\r\n{subscribe}PING\r\n").into_bytes();
            Hello { says, begins: b"INFO ", ends: b"PONG\r\n" }
        }
        Language::Mqtt => {
            // A clean session that may be silent for ever.
            let connect: [&[u8]; 4] = [&mqtt_text("MQTT"), b"\x04\x02", b"\x00\x00", &mqtt_text(name)];
            let mut says = mqtt(CONNECT, &connect);
            let Some(topic) = topic else { return Hello { says, begins: CONNACK, ends: CONNACK } };
            says.extend(mqtt(SUBSCRIBE, &[b"\x00\x01", &mqtt_text(topic), b"\x00"]));
            Hello { says, begins: CONNACK, ends: SUBACK }
        }
        Language::Lines => {
            Hello { says: format!("JOIN {name}\n").into_bytes(), begins: b"joined ", ends: b"\n" }
        }
    }
}

/// A packet of MQTT; ours are short enough for a length of one byte.
fn mqtt(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let length = u8::try_from(body.len()).ok().filter(|length| *length < 128).expect("a short packet");
    [&[kind, length], body.as_slice()].concat()
}

/// A text of MQTT, with its length in front.
fn mqtt_text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("a short text");
    [&length.to_be_bytes(), text.as_bytes()].concat()
}
