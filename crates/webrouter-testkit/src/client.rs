//! A client that sends bytes, not requests, and says exactly what came back and how it ended.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::message::{Body, Head, Response, decode_body, find, head_length, latin1};
use crate::transport::{End, Transport};

/// One connection to the router.
pub struct Client {
    transport: Transport,
    received: Vec<u8>,
    end: Option<End>,
}

/// What a response answers; a response to HEAD has no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Any method that gets a body.
    Content,
    /// HEAD.
    HeadOnly,
}

impl Client {
    /// Connects, or fails the test.
    pub fn connect(addr: SocketAddr) -> Client {
        Client::try_connect(addr).expect("the router accepts connections")
    }

    /// Connects where a refusal is an answer too.
    pub fn try_connect(addr: SocketAddr) -> std::io::Result<Client> {
        Transport::plain(addr).map(Client::over)
    }

    /// A client on a connection that is made already.
    pub fn over(transport: Transport) -> Client {
        Client { transport, received: Vec::new(), end: None }
    }

    /// What its bytes travel on.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// This connection's own address, as the router sees it.
    pub fn local_addr(&self) -> SocketAddr {
        self.transport.local_addr()
    }

    /// How long a write may wait; a minute before.
    pub fn set_write_timeout(&mut self, timeout: Duration) {
        self.transport.set_write_timeout(timeout);
    }

    /// Sends bytes; false when the peer no longer takes them.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.transport.write(bytes).is_ok()
    }

    /// Sends bytes in pieces of `size`, one segment each; false when the peer no longer takes them.
    pub fn send_in_pieces(&mut self, bytes: &[u8], size: usize) -> bool {
        bytes.chunks(size.max(1)).all(|piece| {
            // Without a chance to run, the peer would read several pieces at once.
            std::thread::yield_now();
            self.send(piece)
        })
    }

    /// Breaks the connection off with a reset.
    pub fn reset(self) {
        self.transport.reset_when_dropped();
    }

    /// Ends our sending side and goes on reading.
    pub fn half_close(&mut self) {
        self.transport.half_close();
    }

    /// Bytes received and not yet consumed as a response.
    pub fn received(&self) -> &[u8] {
        &self.received
    }

    /// Reads until the peer ends the connection or `deadline` passes; the bytes stay in `received`.
    pub fn read_to_end(&mut self, deadline: Duration) -> End {
        let until = Instant::now() + deadline;
        loop {
            if let Err(end) = self.fill(until) {
                return end;
            }
        }
    }

    /// Takes exactly `count` bytes.
    pub fn read_exactly(&mut self, count: usize, deadline: Duration) -> Result<Vec<u8>, String> {
        let until = Instant::now() + deadline;
        while self.received.len() < count {
            self.fill(until).map_err(|end| self.describe("too few bytes", end))?;
        }
        Ok(self.received.drain(..count).collect())
    }

    /// The first `count` bytes received, once they are there; they stay.
    pub(crate) fn peek(&mut self, count: usize, until: Instant) -> Result<&[u8], End> {
        while self.received.len() < count {
            self.fill(until)?;
        }
        Ok(self.received.get(..count).unwrap_or_default())
    }

    /// Drops the first `count` bytes received.
    pub(crate) fn consume(&mut self, count: usize) {
        self.received.drain(..count.min(self.received.len()));
    }

    /// Reads until `wanted` has arrived and takes everything up to its end.
    pub fn read_until(&mut self, wanted: &[u8], deadline: Duration) -> Result<Vec<u8>, String> {
        let until = Instant::now() + deadline;
        loop {
            if let Some(at) = find(&self.received, wanted) {
                return Ok(self.received.drain(..at + wanted.len()).collect());
            }
            self.fill(until).map_err(|end| self.describe("wanted bytes missing", end))?;
        }
    }

    /// Reads one response, interim ones included, and consumes it.
    pub fn response(&mut self, asked: Asked, deadline: Duration) -> Result<Response, String> {
        let until = Instant::now() + deadline;
        let head = self.head_by(until)?;
        let status = head.status().ok_or_else(|| format!("no status: {:?}", head.start_line))?;
        let framing = head.response_framing(asked == Asked::HeadOnly);
        loop {
            match decode_body(framing, &self.received, self.end == Some(End::Closed)) {
                Body::Whole { content, trailers, used } => {
                    self.received.drain(..used);
                    return Ok(Response { status, head, framing, body: content, trailers });
                }
                Body::Broken(why) => return Err(format!("broken body: {why}")),
                Body::Partial(_) if self.end.is_some() => {
                    let end = self.end.unwrap_or(End::Closed);
                    return Err(self.describe(&format!("body of {status} cut short"), end));
                }
                Body::Partial(_) => {
                    if self.fill(until) == Err(End::Deadline) {
                        return Err(self.describe("body incomplete", End::Deadline));
                    }
                }
            }
        }
    }

    /// Reads one response head and consumes it, leaving the body to the caller.
    pub fn response_head(&mut self, deadline: Duration) -> Result<Head, String> {
        self.head_by(Instant::now() + deadline)
    }

    /// Reads and forgets `count` bytes of a body, however many; memory stays constant.
    pub fn discard(&mut self, count: u64, deadline: Duration) -> Result<(), String> {
        let until = Instant::now() + deadline;
        let mut left = count;
        loop {
            let have = self.received.len() as u64;
            if have >= left {
                let rest = usize::try_from(left).unwrap_or(usize::MAX);
                self.received.drain(..rest.min(self.received.len()));
                return Ok(());
            }
            left -= have;
            self.received.clear();
            self.fill(until).map_err(|end| format!("{left} of {count} bytes missing: {end:?}"))?;
        }
    }

    /// One GET on this connection, as a browser would ask; the connection stays usable.
    pub fn get(&mut self, host: &str, target: &str) -> Result<Response, String> {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        if !self.send(request.as_bytes()) {
            return Err("the connection takes no more bytes".to_owned());
        }
        self.response(Asked::Content, Duration::from_secs(10))
    }

    fn head_by(&mut self, until: Instant) -> Result<Head, String> {
        loop {
            if let Some(length) = head_length(&self.received) {
                let head: Vec<u8> = self.received.drain(..length).collect();
                return Head::parse(&head);
            }
            self.fill(until).map_err(|end| self.describe("no response head", end))?;
        }
    }

    /// One read; an error says why there will be no more.
    fn fill(&mut self, until: Instant) -> Result<(), End> {
        if let Some(end) = self.end {
            return Err(end);
        }
        let mut buffer = vec![0; 64 * 1024];
        match self.transport.read(&mut buffer, until) {
            Ok(count) => {
                self.received.extend_from_slice(buffer.get(..count).unwrap_or_default());
                Ok(())
            }
            Err(End::Deadline) => Err(End::Deadline),
            Err(end) => {
                self.end = Some(end);
                Err(end)
            }
        }
    }

    fn describe(&self, what: &str, end: End) -> String {
        let start = self.received.get(..self.received.len().min(400)).unwrap_or_default();
        format!("{what} ({end:?}); unread: {:?}", latin1(start))
    }
}
