//! The protocol and nothing else: bytes in, typed messages out, and back again.
//!
//! Everything here is pure, borrows from what was received and allocates nothing. A line is parsed once;
//! nobody after it reads strings again.

mod framing;
mod line;
mod reply;
mod request;
mod tag;

pub use framing::{Frame, Patience, Rest, Stream, patience};
pub use line::{
    Datagram, End, Lines, Message, begins_like_http, datagram, ends_like_http, is_http, text_end,
};
pub use reply::{ErrorName, NO_MAC, Refusal, Reply, push};
pub use request::{Command, Fault, Kind, Request, WORDS, Word};
pub use tag::{Number, Tag};
