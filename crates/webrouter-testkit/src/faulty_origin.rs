//! An origin that fails the way containers do, on demand, and remembers every request that it was sent.
//!
//! A request is remembered once its head is there, whatever becomes of it, with the number that the load gave it: so a
//! test can prove that none was sent twice. `/health` is answered with a status of its own and is not remembered.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;

use crate::acceptor::{Acceptor, locked};
use crate::message::{Body, Framing, Head, decode_body, head_length};

/// The origin; it goes when dropped.
pub struct FaultyOrigin {
    addr: SocketAddr,
    acceptor: Mutex<Option<Acceptor>>,
    shared: Arc<Shared>,
}

/// What is wrong with an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: it answers 200 with its name.
    None,
    /// Nobody listens, and what was open is closed.
    Refuse,
    /// It accepts, reads, and says nothing.
    Hang,
    /// It resets the connection when it has read the head; health checks are answered.
    ResetAfterHead,
    /// It answers with this status, and its name.
    Answer(u16),
    /// It closes connections, without having said so, after about every fourth answer, at once or a moment later.
    CloseAtRandom,
    /// It takes this long for each answer.
    Slow(Duration),
}

/// A request as the origin saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// The value of `X-Load-Id`.
    pub id: Option<u64>,
    /// When its head was there.
    pub at: Instant,
}

struct Shared {
    name: String,
    fault: Mutex<Fault>,
    health: AtomicU16,
    probes: AtomicUsize,
    seen: Mutex<Vec<Seen>>,
    on_seen: Box<dyn Fn(&Seen) + Send + Sync>,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
    dice: AtomicU64,
}

impl FaultyOrigin {
    /// An origin without fault on a free loopback port.
    pub fn start(name: &str) -> FaultyOrigin {
        FaultyOrigin::start_watched(name, SocketAddr::from(([127, 0, 0, 1], 0)), |_| {})
    }

    /// An origin on a given address that tells of every request before it does anything else with it.
    pub fn start_watched(
        name: &str,
        addr: SocketAddr,
        on_seen: impl Fn(&Seen) + Send + Sync + 'static,
    ) -> FaultyOrigin {
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            fault: Mutex::new(Fault::None),
            health: AtomicU16::new(200),
            probes: AtomicUsize::new(0),
            seen: Mutex::default(),
            on_seen: Box::new(on_seen),
            at_once: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
            dice: AtomicU64::new(1),
        });
        let acceptor = listen(addr, &shared);
        FaultyOrigin { addr: acceptor.addr(), acceptor: Mutex::new(Some(acceptor)), shared }
    }

    /// Where it listens, also while it refuses.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its name, which every answer's body is.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Behaves differently from the next request on.
    pub fn set_fault(&self, fault: Fault) {
        *locked(&self.shared.fault) = fault;
        let mut acceptor = locked(&self.acceptor);
        match fault {
            Fault::Refuse => *acceptor = None,
            _ if acceptor.is_none() => *acceptor = Some(listen(self.addr, &self.shared)),
            _ => {}
        }
    }

    /// Answers health checks with this status.
    pub fn set_health(&self, status: u16) {
        self.shared.health.store(status, Ordering::SeqCst);
    }

    /// How many health checks came.
    pub fn probes(&self) -> usize {
        self.shared.probes.load(Ordering::SeqCst)
    }

    /// Every request so far but health checks.
    pub fn seen(&self) -> Vec<Seen> {
        locked(&self.shared.seen).clone()
    }

    /// How many requests were there at one time, at most.
    pub fn most_at_once(&self) -> usize {
        self.shared.most_at_once.load(Ordering::SeqCst)
    }

    /// How many connections are open now.
    pub fn open_connections(&self) -> usize {
        locked(&self.acceptor).as_ref().map_or(0, Acceptor::open)
    }
}

fn listen(addr: SocketAddr, shared: &Arc<Shared>) -> Acceptor {
    let shared = Arc::clone(shared);
    let serve = move |_, stream| Connection { stream, ahead: Vec::new(), shared: &shared, under_way: None }.serve();
    Acceptor::start(addr, serve).expect("the address can be listened on")
}

struct Connection<'a> {
    stream: TcpStream,
    ahead: Vec<u8>,
    shared: &'a Shared,
    under_way: Option<UnderWay<'a>>,
}

/// A request that is not answered yet.
struct UnderWay<'a>(&'a Shared);

impl<'a> UnderWay<'a> {
    fn begin(shared: &'a Shared) -> UnderWay<'a> {
        let at_once = shared.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        shared.most_at_once.fetch_max(at_once, Ordering::SeqCst);
        UnderWay(shared)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.at_once.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Whether a connection serves another request.
#[derive(PartialEq, Eq)]
enum Next {
    Go,
    Close,
    /// Whoever reads learns that it did not end well.
    Reset,
}

impl Connection<'_> {
    fn serve(mut self) {
        let next = loop {
            match self.exchange() {
                Ok(Next::Go) => {}
                Ok(end) => break end,
                Err(_) => break Next::Close,
            }
        };
        if next == Next::Reset {
            let _ = set_socket_linger(&self.stream, Some(Duration::ZERO));
        } else {
            let _ = self.stream.shutdown(Shutdown::Both);
        }
    }

    fn exchange(&mut self) -> std::io::Result<Next> {
        let length = loop {
            if let Some(length) = head_length(&self.ahead) {
                break length;
            }
            if !self.read()? {
                return Ok(Next::Close);
            }
        };
        let bytes: Vec<u8> = self.ahead.drain(..length).collect();
        let head = Head::parse(&bytes).map_err(std::io::Error::other)?;
        let target = head.start_line.split(' ').nth(1).unwrap_or("/");
        if target == "/health" {
            self.shared.probes.fetch_add(1, Ordering::SeqCst);
            return self.follow(&head, self.shared.health.load(Ordering::SeqCst));
        }
        let seen = Seen {
            method: head.start_line.split(' ').next().unwrap_or_default().to_owned(),
            id: head.value(LOAD_ID).and_then(|id| id.parse().ok()),
            at: Instant::now(),
        };
        (self.shared.on_seen)(&seen);
        locked(&self.shared.seen).push(seen);
        self.under_way = Some(UnderWay::begin(self.shared));
        self.follow(&head, 200)
    }

    /// Does with a request what the present fault makes of it.
    fn follow(&mut self, head: &Head, status: u16) -> std::io::Result<Next> {
        let fault = *locked(&self.shared.fault);
        let is_probe = head.start_line.contains(" /health ");
        match fault {
            Fault::ResetAfterHead if !is_probe => return Ok(Next::Reset),
            Fault::Hang => {
                while self.read()? {}
                return Ok(Next::Close);
            }
            _ => {}
        }
        self.skip_body(head.request_framing())?;
        match fault {
            Fault::Answer(status) if !is_probe => self.answer(head, status)?,
            Fault::Slow(time) if !is_probe => {
                // What takes time is the answer itself.
                thread::sleep(time);
                self.answer(head, status)?;
            }
            _ => self.answer(head, status)?,
        }
        if fault == Fault::CloseAtRandom {
            let thrown = self.throw();
            if thrown.is_multiple_of(4) {
                // The close may cross the next request.
                thread::sleep(Duration::from_millis(thrown / 4 % 5));
                return Ok(Next::Close);
            }
        }
        let asked_to_close = head.values("connection").any(|value| value.eq_ignore_ascii_case("close"));
        Ok(if asked_to_close { Next::Close } else { Next::Go })
    }

    fn answer(&mut self, head: &Head, status: u16) -> std::io::Result<()> {
        // Over before it is written: who has read the answer may send the next request at once.
        self.under_way = None;
        let name = &self.shared.name;
        let body = if head.start_line.starts_with("HEAD ") { "" } else { name };
        let answer = format!("HTTP/1.1 {status} Status\r\nContent-Length: {}\r\n\r\n{body}", name.len());
        self.stream.write_all(answer.as_bytes())
    }

    fn skip_body(&mut self, framing: Framing) -> std::io::Result<()> {
        loop {
            match decode_body(if framing == Framing::Close { Framing::None } else { framing }, &self.ahead, false) {
                Body::Whole { used, .. } => {
                    self.ahead.drain(..used);
                    return Ok(());
                }
                Body::Broken(why) => return Err(std::io::Error::other(why)),
                Body::Partial(_) if self.read()? => {}
                Body::Partial(_) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }

    /// A number that looks random and is the same in every run (the generator of Knuth's MMIX).
    fn throw(&self) -> u64 {
        let turn = |dice: u64| dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let thrown = self.shared.dice.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |dice| Some(turn(dice)));
        thrown.unwrap_or_default() >> 33
    }

    fn read(&mut self) -> std::io::Result<bool> {
        let mut buffer = [0; 16 * 1024];
        let count = self.stream.read(&mut buffer)?;
        self.ahead.extend_from_slice(buffer.get(..count).unwrap_or_default());
        Ok(count > 0)
    }
}

/// The field that carries a request's number.
pub(crate) const LOAD_ID: &str = "x-load-id";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Asked, Client};
    use crate::eventually::eventually;
    use crate::transport::End;

    const SOON: Duration = Duration::from_secs(5);

    fn ask(origin: &FaultyOrigin, path: &str) -> Result<u16, End> {
        let mut client = Client::try_connect(origin.addr()).map_err(|_| End::Closed)?;
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\nX-Load-Id: 7\r\n\r\n").as_bytes());
        match client.response(Asked::Content, Duration::from_millis(500)) {
            Ok(response) => Ok(response.status),
            Err(_) => Err(client.read_to_end(Duration::from_millis(1))),
        }
    }

    #[track_caller]
    fn check(fault: Fault, expected: Result<u16, End>) {
        let origin = FaultyOrigin::start("one");
        origin.set_fault(fault);
        assert_eq!(ask(&origin, "/"), expected);
        origin.set_fault(Fault::None);
        assert_eq!(ask(&origin, "/"), Ok(200));
        let known = usize::from(fault != Fault::Refuse) + 1;
        assert_eq!(origin.seen().iter().filter(|seen| seen.method == "GET" && seen.id == Some(7)).count(), known);
    }

    #[test]
    fn each_fault_is_seen_and_passes() {
        check(Fault::None, Ok(200));
        check(Fault::Refuse, Err(End::Closed));
        check(Fault::Hang, Err(End::Deadline));
        check(Fault::ResetAfterHead, Err(End::Reset));
        check(Fault::Answer(503), Ok(503));
        check(Fault::Slow(Duration::from_millis(1)), Ok(200));
    }

    #[test]
    fn connections_close_at_random() {
        let origin = FaultyOrigin::start("one");
        origin.set_fault(Fault::CloseAtRandom);
        let mut client = Client::connect(origin.addr());
        eventually(SOON, "a close", || client.get("a", "/").is_err());
        assert!(!origin.seen().is_empty());
    }

    #[test]
    fn health_has_a_status_of_its_own() {
        let origin = FaultyOrigin::start("one");
        origin.set_health(500);
        assert_eq!((ask(&origin, "/health"), ask(&origin, "/")), (Ok(500), Ok(200)));
        assert_eq!((origin.probes(), origin.seen().len()), (1, 1));
    }
}
