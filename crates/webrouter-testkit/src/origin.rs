//! An origin that follows a script: reads what the router sends, records the exact bytes, answers bytes.
//!
//! One script serves one request. A connection that begins to receive a request takes the next script from the
//! queue, or the default one when the queue is empty.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use rustix::net::sockopt::set_socket_linger;
use sha1::{Digest, Sha1};

use crate::acceptor::{Acceptor, locked};
use crate::eventually::until;
use crate::message::{Body, Framing, Head, decode_body, find, head_length, latin1};

/// One step of a script.
#[derive(Debug, Clone)]
pub enum Step {
    /// Read a whole request head.
    ReadHead,
    /// Read the body that the head announced.
    ReadBody,
    /// Read until these bytes have arrived in this exchange.
    ReadUntil(Vec<u8>),
    /// Read until the router ends its side.
    ReadToEnd,
    /// Write these bytes.
    Write(Vec<u8>),
    /// Write these bytes with `{accept}` made from the key in the head (RFC 6455 §4.2.2).
    AcceptWebSocket(Vec<u8>),
    /// Read nothing more, so that whoever sends must wait, until the origin goes.
    Deaf,
    /// Send back whatever arrives until the router ends its side, then end ours.
    Echo,
    /// End our sending side.
    HalfClose,
    /// Close the connection.
    Close,
    /// Close the connection with a reset.
    Reset,
    /// Neither write nor close until the router closes.
    Hang,
}

/// What the origin saw of one request.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Number of the connection, from 0.
    pub connection: usize,
    /// Every byte received while the script ran.
    pub bytes: Vec<u8>,
    /// Whether every reading step got all it asked for.
    pub complete: bool,
    /// Whether the router ended its side during the script.
    pub ended: bool,
    /// Whether the script is over, so that nothing here will change any more.
    pub finished: bool,
}

/// The scripted origin; it goes when dropped.
pub struct Origin {
    acceptor: Acceptor,
    shared: Arc<Shared>,
}

struct Shared {
    scripts: Mutex<VecDeque<Vec<Step>>>,
    default: Vec<Step>,
    exchanges: Mutex<Vec<Exchange>>,
    stopped: AtomicBool,
}

impl Step {
    /// Head and body, an answer, connection kept.
    pub fn answer(bytes: &[u8]) -> Vec<Step> {
        vec![Step::ReadHead, Step::ReadBody, Step::Write(bytes.to_vec())]
    }
}

impl Origin {
    /// An origin on a free loopback port that runs `default` when no script is queued.
    pub fn start(default: Vec<Step>) -> Origin {
        let shared = Arc::new(Shared {
            scripts: Mutex::default(),
            default,
            exchanges: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let for_connections = Arc::clone(&shared);
        let acceptor = Acceptor::start(SocketAddr::from(([127, 0, 0, 1], 0)), move |number, stream| {
            serve(number, stream, &for_connections);
        })
        .expect("a free loopback port");
        Origin { acceptor, shared }
    }

    /// Queues the script of one more request.
    pub fn push(&self, script: Vec<Step>) {
        locked(&self.shared.scripts).push_back(script);
    }

    /// Forgets the scripts that no request has taken.
    pub fn forget_scripts(&self) {
        locked(&self.shared.scripts).clear();
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.acceptor.addr()
    }

    /// Everything seen so far, in the order in which requests began.
    pub fn exchanges(&self) -> Vec<Exchange> {
        locked(&self.shared.exchanges).clone()
    }

    /// How many connections were opened.
    pub fn connections(&self) -> usize {
        self.acceptor.accepted()
    }

    /// Closes all connections, idle ones too.
    pub fn close_connections(&self) {
        self.acceptor.close_connections();
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
    }
}

struct Connection<'a> {
    number: usize,
    stream: TcpStream,
    /// Bytes that belong to the next exchange.
    ahead: Vec<u8>,
    shared: &'a Shared,
}

/// Whether the connection can serve another exchange.
#[derive(PartialEq, Eq)]
enum Next {
    Go,
    Stop,
    Reset,
}

fn serve(number: usize, stream: TcpStream, shared: &Shared) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
    let mut connection = Connection { number, stream, ahead: Vec::new(), shared };
    while connection.exchange() == Next::Go {}
}

impl Connection<'_> {
    fn exchange(&mut self) -> Next {
        if self.ahead.is_empty() && !self.read() {
            return Next::Stop;
        }
        let script = locked(&self.shared.scripts).pop_front();
        let script = script.unwrap_or_else(|| self.shared.default.clone());
        let index = {
            let mut exchanges = locked(&self.shared.exchanges);
            exchanges.push(Exchange {
                connection: self.number,
                bytes: Vec::new(),
                complete: true,
                ended: false,
                finished: false,
            });
            exchanges.len() - 1
        };
        let next = self.follow(script, index);
        if next == Next::Stop {
            let _ = self.stream.shutdown(Shutdown::Both);
        }
        if let Some(exchange) = locked(&self.shared.exchanges).get_mut(index) {
            exchange.finished = true;
        }
        next
    }

    fn follow(&mut self, script: Vec<Step>, index: usize) -> Next {
        let mut framing = Framing::None;
        for step in script {
            match self.step(step, index, &mut framing) {
                Next::Go => {}
                end => return end,
            }
        }
        Next::Go
    }

    fn step(&mut self, step: Step, index: usize, framing: &mut Framing) -> Next {
        match step {
            Step::ReadHead => loop {
                if let Some(length) = head_length(&self.ahead) {
                    let head = self.record(index, length);
                    *framing = Head::parse(&head).map_or(Framing::None, |h| h.request_framing());
                    return Next::Go;
                }
                if !self.read() {
                    return self.cut(index);
                }
            },
            Step::ReadBody => loop {
                match decode_body(*framing, &self.ahead, false) {
                    Body::Whole { used, .. } => {
                        self.record(index, used);
                        return Next::Go;
                    }
                    Body::Broken(_) => return self.cut(index),
                    Body::Partial(_) if self.read() => {}
                    Body::Partial(_) => return self.cut(index),
                }
            },
            Step::ReadUntil(wanted) => loop {
                if let Some(at) = find(&self.ahead, &wanted) {
                    self.record(index, at + wanted.len());
                    return Next::Go;
                }
                if !self.read() {
                    return self.cut(index);
                }
            },
            Step::ReadToEnd | Step::Hang => {
                loop {
                    self.record(index, self.ahead.len());
                    if !self.read() {
                        break;
                    }
                }
                self.ended(index);
                if matches!(step, Step::Hang) { Next::Stop } else { Next::Go }
            }
            Step::Echo => {
                loop {
                    let bytes = self.record(index, self.ahead.len());
                    if self.stream.write_all(&bytes).is_err() {
                        return Next::Stop;
                    }
                    if !self.read() {
                        break;
                    }
                }
                self.ended(index);
                let _ = self.stream.shutdown(Shutdown::Write);
                Next::Stop
            }
            Step::Write(bytes) => match self.stream.write_all(&bytes) {
                Ok(()) => Next::Go,
                Err(_) => Next::Stop,
            },
            Step::AcceptWebSocket(bytes) => match self.stream.write_all(&self.accepted(index, &bytes)) {
                Ok(()) => Next::Go,
                Err(_) => Next::Stop,
            },
            Step::Deaf => {
                let gone = || self.shared.stopped.load(Ordering::SeqCst).then_some(());
                until(Duration::from_secs(60), gone);
                Next::Stop
            }
            Step::HalfClose => {
                let _ = self.stream.shutdown(Shutdown::Write);
                Next::Go
            }
            Step::Close => Next::Stop,
            Step::Reset => {
                // Closing with no time to linger sends RST; a shutdown before it would send FIN.
                let _ = set_socket_linger(&self.stream, Some(Duration::ZERO));
                Next::Reset
            }
        }
    }

    /// One read into `ahead`; false at the end.
    fn read(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.ahead.extend_from_slice(buffer.get(..count).unwrap_or_default());
                true
            }
        }
    }

    /// Moves bytes from `ahead` into the record.
    fn record(&mut self, index: usize, count: usize) -> Vec<u8> {
        let bytes: Vec<u8> = self.ahead.drain(..count).collect();
        if let Some(exchange) = locked(&self.shared.exchanges).get_mut(index) {
            exchange.bytes.extend_from_slice(&bytes);
        }
        bytes
    }

    /// `bytes` with the answer to the key that the exchange's head holds.
    fn accepted(&self, index: usize, bytes: &[u8]) -> Vec<u8> {
        let head = locked(&self.shared.exchanges).get(index).map(|exchange| exchange.bytes.clone()).unwrap_or_default();
        let head = head_length(&head).and_then(|length| Head::parse(head.get(..length)?).ok());
        let key = head.as_ref().and_then(|head| head.value("sec-websocket-key")).unwrap_or_default();
        latin1(bytes).replace("{accept}", &web_socket_accept(key)).into_bytes()
    }

    fn ended(&self, index: usize) {
        if let Some(exchange) = locked(&self.shared.exchanges).get_mut(index) {
            exchange.ended = true;
        }
    }

    fn cut(&mut self, index: usize) -> Next {
        self.record(index, self.ahead.len());
        if let Some(exchange) = locked(&self.shared.exchanges).get_mut(index) {
            exchange.complete = false;
            exchange.ended = true;
        }
        Next::Stop
    }
}

/// Proof that a WebSocket's key was read (RFC 6455 §4.2.2).
pub fn web_socket_accept(key: &str) -> String {
    let digest = Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    base64::engine::general_purpose::STANDARD.encode(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Asked, Client};
    use crate::eventually::eventually;
    use crate::transport::End;

    const SOON: Duration = Duration::from_secs(5);

    #[test]
    fn records_the_exact_bytes_of_each_request() {
        let origin = Origin::start(Step::answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
        let mut client = Client::connect(origin.addr());
        client.send(b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\n\r\n");
        for _ in 0..2 {
            assert_eq!(client.response(Asked::Content, SOON).map(|r| r.text()), Ok("ok".into()));
        }
        let seen: Vec<_> = origin.exchanges().into_iter().map(|e| e.bytes).collect();
        let expected: [&[u8]; 2] = [b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", b"GET /b HTTP/1.1\r\n\r\n"];
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_request_cut_short_is_not_complete() {
        let origin = Origin::start(Step::answer(b""));
        let mut client = Client::connect(origin.addr());
        client.send(b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\na");
        client.half_close();
        eventually(SOON, "the cut is seen", || origin.exchanges().iter().any(|e| !e.complete));
    }

    /// The example of RFC 6455 §1.3.
    #[test]
    fn proves_that_it_read_the_key() {
        assert_eq!(web_socket_accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn scripts_close_and_reset() {
        let origin = Origin::start(vec![Step::ReadHead, Step::Close]);
        let request = b"GET / HTTP/1.1\r\n\r\n";
        let mut client = Client::connect(origin.addr());
        client.send(request);
        assert_eq!(client.read_to_end(SOON), End::Closed);
        origin.push(vec![Step::ReadHead, Step::Reset]);
        let mut client = Client::connect(origin.addr());
        client.send(request);
        assert_eq!(client.read_to_end(SOON), End::Reset);
    }
}
