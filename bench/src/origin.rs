//! The origin behind every proxy: HTTP/1.1 keep-alive, three bodies, WebSocket messages said again, as little work as can be.
//!
//! It reads GET requests only, never a body, and answers from memory. It must never be what is measured.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use memchr::memmem::Finder;
use rustix::net::{SocketFlags, accept_with};

use crate::readiness::{Readiness, Ready, Slots};
use crate::websocket::{self, Message};

/// Bytes of the answer to every path but the two below.
pub(crate) const SMALL: usize = 128;
/// Bytes of the answer to `/64k`.
pub(crate) const MEDIUM: usize = 64 * 1024;
/// Bytes of the answer to `/10m`.
pub(crate) const LARGE: usize = 10 * 1024 * 1024;

/// Serves on all listeners until the deadline; `fill` is the byte all bodies are made of.
pub(crate) fn serve(listeners: Vec<TcpListener>, fill: u8, deadline: Instant) -> io::Result<()> {
    let mut readiness = Readiness::open()?;
    let mut doors = Slots::empty();
    for listener in listeners {
        listener.set_nonblocking(true)?;
        let token = readiness.watch_listener(&listener)?;
        doors.insert(token, listener);
    }
    let answers = Answers::of(fill);
    let mut connections: Slots<Connection> = Slots::empty();
    let mut ready: Vec<Ready> = Vec::new();
    let mut input = vec![0; 16 * 1024];
    while let Some(left) = deadline.checked_duration_since(Instant::now()) {
        readiness.wait(&mut ready, left.min(Duration::from_secs(1)))?;
        for event in &ready {
            if let Some(listener) = doors.at(event.token) {
                while let Ok(fd) = accept_with(&*listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                    let stream = TcpStream::from(fd);
                    stream.set_nodelay(true)?;
                    let token = readiness.watch(&stream)?;
                    connections.insert(token, Connection::new(stream));
                }
            } else if let Some(connection) = connections.at(event.token)
                && connection.advance(&answers, &mut input, event.hung_up).is_none()
            {
                connections.remove(event.token);
            }
        }
    }
    Ok(())
}

/// Listens on every address, all with the same port; port 0 picks one that is free on the first.
pub(crate) fn listen(addresses: &[SocketAddr]) -> io::Result<(u16, Vec<TcpListener>)> {
    let mut port = 0;
    let mut listeners = Vec::with_capacity(addresses.len());
    for address in addresses {
        let mut address = *address;
        if address.port() == 0 {
            address.set_port(port);
        }
        let listener = TcpListener::bind(address)?;
        port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok((port, listeners))
}

struct Answers {
    small: Rc<[u8]>,
    medium: Rc<[u8]>,
    large: Rc<[u8]>,
    accepts: Rc<[u8]>,
    end_of_head: Finder<'static>,
    close: Finder<'static>,
    upgrade: Finder<'static>,
}

impl Answers {
    fn of(fill: u8) -> Self {
        let answer = |length: usize| {
            let mut bytes = format!(
                "HTTP/1.1 200 OK\r\nServer: origin\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n"
            )
            .into_bytes();
            bytes.resize(bytes.len() + length, fill);
            Rc::from(bytes)
        };
        Self {
            small: answer(SMALL),
            medium: answer(MEDIUM),
            large: answer(LARGE),
            end_of_head: Finder::new(b"\r\n\r\n"),
            close: Finder::new(b"onnection: close"),
            accepts: Rc::from(websocket::ACCEPTS.as_bytes()),
            upgrade: Finder::new(websocket::KEY),
        }
    }

    fn to(&self, head: &[u8]) -> Option<Rc<[u8]>> {
        let target = head.strip_prefix(b"GET ")?;
        Some(Rc::clone(if target.starts_with(b"/64k ") {
            &self.medium
        } else if target.starts_with(b"/10m ") {
            &self.large
        } else {
            &self.small
        }))
    }
}

struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    sending: Option<(Rc<[u8]>, usize)>,
    last: bool,
    speaks: Speaks,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Speaks {
    Http,
    WebSocket,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        Self { stream, received: Vec::with_capacity(1024), sending: None, last: false, speaks: Speaks::Http }
    }

    /// Goes on until the socket would block; `None` when the connection is at its end.
    fn advance(&mut self, answers: &Answers, input: &mut [u8], hung_up: bool) -> Option<()> {
        loop {
            if let Some((answer, sent)) = &mut self.sending {
                while let Some(rest) = answer.get(*sent..).filter(|rest| !rest.is_empty()) {
                    match self.stream.write(rest) {
                        Ok(count) => *sent += count,
                        Err(error) => return would_block(&error),
                    }
                }
                self.sending = None;
                if self.last {
                    return None;
                }
            }
            if let Some(answer) = self.answer(answers)? {
                self.sending = Some((answer, 0));
                continue;
            }
            match self.stream.read(input) {
                Ok(0) => return None,
                Ok(count) => {
                    self.received.extend_from_slice(input.get(..count)?);
                    let drained = count < input.len() && !hung_up;
                    match self.answer(answers)? {
                        Some(answer) => self.sending = Some((answer, 0)),
                        None if drained => return Some(()),
                        None => {}
                    }
                }
                Err(error) => return would_block(&error),
            }
            if self.received.len() > 1 << 20 {
                return None;
            }
        }
    }

    /// The answer to the first of what was received, if that is complete; `None` when the connection is at its end.
    fn answer(&mut self, answers: &Answers) -> Option<Option<Rc<[u8]>>> {
        if self.speaks == Speaks::WebSocket {
            return match websocket::parse(&self.received) {
                Message::Partial => Some(None),
                Message::Whole(payload) => {
                    self.received.drain(..websocket::MASKED_LENGTH);
                    Some(Some(Rc::from(websocket::unmasked(&payload))))
                }
                Message::Other => None,
            };
        }
        let Some(end) = answers.end_of_head.find(&self.received) else {
            return Some(None);
        };
        let head = self.received.get(..end)?;
        let answer = if answers.upgrade.find(head).is_some() {
            self.speaks = Speaks::WebSocket;
            Rc::clone(&answers.accepts)
        } else {
            self.last = answers.close.find(head).is_some();
            answers.to(head)?
        };
        self.received.drain(..end + 4);
        Some(Some(answer))
    }
}

fn would_block(error: &io::Error) -> Option<()> {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted).then_some(())
}
