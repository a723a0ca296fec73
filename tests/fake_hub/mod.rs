//! A hub of a few lines that answers as a test wants, over UDP or TCP.
#![allow(dead_code, unused_imports, reason = "each test uses a part of this")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod program;

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use program::{interrupt, json, pigeon, run, run_with_input};

/// How long a test waits for something that must come before it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the hub of a test answers to a line: any number of lines.
pub type Answer = Box<dyn FnMut(&str) -> Vec<Vec<u8>> + Send>;

/// Answered by closing the connection.
pub const CLOSE: &[u8] = b"\0close";

/// A hub on a port of its own, until it is dropped.
pub struct Hub {
    pub address: SocketAddr,
    /// Every line that came, in order.
    heard: Arc<Mutex<Vec<String>>>,
    stop: Box<dyn Fn() + Send>,
    thread: Option<JoinHandle<()>>,
}

impl Hub {
    pub fn udp(answer: impl FnMut(&str) -> Vec<Vec<u8>> + Send + 'static) -> Self {
        Self::udp_at("127.0.0.1:0", answer)
    }

    /// One at another address, which may be a broadcast address: then it hears what is sent to everyone there.
    pub fn udp_at(at: &str, mut answer: impl FnMut(&str) -> Vec<Vec<u8>> + Send + 'static) -> Self {
        let socket = UdpSocket::bind(at).unwrap();
        let address = socket.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&heard);
        let thread = std::thread::spawn(move || {
            let mut buffer = vec![0; 65536];
            loop {
                let (count, from) = socket.recv_from(&mut buffer).unwrap();
                let line =
                    String::from_utf8_lossy(buffer.get(..count).unwrap()).trim_end_matches('\n').to_owned();
                if line == "\0stop" {
                    return;
                }
                notes.lock().unwrap().push(line.clone());
                for reply in answer(&line) {
                    let _ = socket.send_to(&reply, from);
                }
            }
        });
        let stop = Box::new(move || {
            let own = if address.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
            let socket = UdpSocket::bind(own).unwrap();
            socket.set_broadcast(true).unwrap();
            socket.send_to(b"\0stop", address).unwrap();
        });
        Self { address, heard, stop, thread: Some(thread) }
    }

    pub fn tcp(mut answer: impl FnMut(&str) -> Vec<Vec<u8>> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&heard);
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming() {
                if serve(&connection.unwrap(), &notes, &mut answer) {
                    return;
                }
            }
        });
        let stop = Box::new(move || {
            let _ = TcpStream::connect(address).and_then(|mut stream| stream.write_all(b"\0stop\n"));
        });
        Self { address, heard, stop, thread: Some(thread) }
    }

    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    /// Waits until a line has come that is this one, with or without a tag in front.
    pub fn await_line(&self, wanted: &str) {
        self.await_lines(wanted, 1);
    }

    /// Waits until this line has come so many times, copies among them.
    pub fn await_lines(&self, wanted: &str, times: usize) {
        #[expect(clippy::disallowed_methods, reason = "this test waits for a process, not for a pure hub")]
        let start = Instant::now();
        let is_it = |line: &&String| *line == wanted || (line.starts_with('#') && request(line) == wanted);
        while self.heard().iter().filter(is_it).count() < times {
            assert!(start.elapsed() < PATIENCE, "`{wanted}` does not come: {:#?}", self.heard());
            std::thread::yield_now();
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        (self.stop)();
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking(), "the hub of the test failed");
    }
}

/// Serves one connection; `true` if it asks the hub to stop.
fn serve(
    stream: &TcpStream,
    notes: &Mutex<Vec<String>>,
    answer: &mut impl FnMut(&str) -> Vec<Vec<u8>>,
) -> bool {
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    while lines.read_line(&mut line).is_ok_and(|count| count > 0) {
        let text = line.trim_end_matches('\n').to_owned();
        line.clear();
        if text == "\0stop" {
            return true;
        }
        notes.lock().unwrap().push(text.clone());
        for reply in answer(&text) {
            if reply == CLOSE {
                return false;
            }
            let _ = (&*stream).write_all(&reply);
        }
    }
    false
}

/// The reply to a tagged line, with its tag in front.
pub fn tagged(line: &str, reply: &str) -> Vec<u8> {
    let tag = line.split(' ').next().unwrap();
    format!("{tag} {reply}\n").into_bytes()
}

/// The line behind the tag.
pub fn request(line: &str) -> &str {
    line.split_once(' ').map_or("", |(_, request)| request)
}

/// A hub that has one reply for each request.
pub fn replying(replies: &'static [(&'static str, &'static str)]) -> Answer {
    Box::new(move |line| {
        let reply = replies.iter().find(|(wanted, _)| *wanted == request(line));
        reply.map(|(_, reply)| tagged(line, reply)).into_iter().collect()
    })
}
