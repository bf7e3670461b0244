//! A client that sends bytes, not requests, and says exactly what came back and how it ended.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::message::{Body, Head, Response, decode_body, find, head_length, latin1};

/// One TCP connection to the router.
pub struct Client {
    stream: TcpStream,
    received: Vec<u8>,
    end: Option<End>,
}

/// Why nothing more was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The peer closed its side.
    Closed,
    /// The peer reset the connection.
    Reset,
    /// The deadline passed with the connection open.
    Deadline,
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
        let stream = TcpStream::connect_timeout(&addr, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(Duration::from_secs(60)))?;
        Ok(Client { stream, received: Vec::new(), end: None })
    }

    /// This connection's own address, as the router sees it.
    pub fn local_addr(&self) -> SocketAddr {
        self.stream.local_addr().expect("a connected socket has an address")
    }

    /// Sends bytes; false when the peer no longer takes them.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
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
        let _ = rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO));
    }

    /// Ends our sending side and goes on reading.
    pub fn half_close(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
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
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(End::Deadline);
        }
        let _ = self.stream.set_read_timeout(Some(left));
        let mut buffer = vec![0; 64 * 1024];
        let end = match self.stream.read(&mut buffer) {
            Ok(0) => End::Closed,
            Ok(count) => {
                self.received.extend_from_slice(buffer.get(..count).unwrap_or_default());
                return Ok(());
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Err(End::Deadline);
            }
            Err(_) => End::Reset,
        };
        self.end = Some(end);
        Err(end)
    }

    fn describe(&self, what: &str, end: End) -> String {
        let start = self.received.get(..self.received.len().min(400)).unwrap_or_default();
        format!("{what} ({end:?}); unread: {:?}", latin1(start))
    }
}
