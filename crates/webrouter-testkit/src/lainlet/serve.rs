//! One connection to lainlet: a GET with keep-alive, or a watch until it ends.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::state::{Answer, Query};
use super::{Garbage, Gets, Mode, Shared};
use crate::acceptor::locked;
use crate::message::{head_length, latin1};

pub(super) fn connection(mut stream: TcpStream, shared: &Shared) {
    let mut ahead = Vec::new();
    while let Some(target) = request(&mut stream, &mut ahead, shared) {
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let query = Query::parse(query);
        if query.is_watch() {
            if !ahead.is_empty() {
                crash(shared, &target, &ahead);
            }
            shared.watches.fetch_add(1, Ordering::SeqCst);
            let _ = Watch { stream: &mut stream, shared, target: &target, path, query }.run();
            shared.watches.fetch_sub(1, Ordering::SeqCst);
            break;
        }
        if !matches!(get(&mut stream, shared, path, &query), Ok(true)) {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
}

/// The target of the next request.
fn request(stream: &mut TcpStream, ahead: &mut Vec<u8>, shared: &Shared) -> Option<String> {
    let length = loop {
        if let Some(length) = head_length(ahead) {
            break length;
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(count) => ahead.extend_from_slice(buffer.get(..count)?),
        }
    };
    let head: Vec<u8> = ahead.drain(..length).collect();
    let line = latin1(head.split(|&byte| byte == b'\r').next()?);
    let target = line.split(' ').nth(1)?.to_owned();
    locked(&shared.inner).requests.push(line);
    Some(target)
}

/// Answers a GET; false when the connection ends with it.
fn get(stream: &mut TcpStream, shared: &Shared, path: &str, query: &Query) -> std::io::Result<bool> {
    let (mode, answer) = {
        let inner = locked(&shared.inner);
        (inner.mode, inner.state.answer(path, query, inner.mode))
    };
    if mode == Mode::HalfOpen(Gets::Hang) {
        hang(stream, shared);
        return Ok(false);
    }
    let (status, body) = match answer {
        Answer::Json(json) => ("200 OK", json),
        Answer::Lost => ("500 Internal Server Error", LOST.to_owned()),
        Answer::NotFound => ("404 Not Found", "404 not found".to_owned()),
    };
    let date = "Date: Sun, 22 Nov 2026 10:56:37 GMT";
    let plain = "Content-Type: text/plain; charset=utf-8";
    let length = body.len();
    if length <= CHUNKED_ABOVE {
        write!(stream, "HTTP/1.1 {status}\r\n{date}\r\nContent-Length: {length}\r\n{plain}\r\n\r\n")?;
    } else {
        write!(stream, "HTTP/1.1 {status}\r\n{date}\r\n{plain}\r\nTransfer-Encoding: chunked\r\n\r\n")?;
    }
    let body = body.as_bytes();
    if mode == Mode::Garbage(Garbage::Truncated) {
        stream.write_all(body.get(..length / 2).unwrap_or_default())?;
        return Ok(false);
    }
    if length <= CHUNKED_ABOVE {
        stream.write_all(body)?;
        return Ok(true);
    }
    for chunk in body.chunks(32 * 1024) {
        write!(stream, "{:x}\r\n", chunk.len())?;
        stream.write_all(chunk)?;
        stream.write_all(b"\r\n")?;
    }
    stream.write_all(b"0\r\n\r\n")?;
    Ok(true)
}

struct Watch<'a> {
    stream: &'a mut TcpStream,
    shared: &'a Shared,
    target: &'a str,
    path: &'a str,
    query: Query,
}

/// A watch that has gone wrong stays wrong when lainlet is well again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hearing {
    Good,
    Deaf,
    Silent,
}

impl Watch<'_> {
    fn run(&mut self) -> std::io::Result<()> {
        let (first, mode, mut answer) = self.look();
        if matches!(mode, Mode::HalfOpen(_)) {
            hang(self.stream, self.shared);
            return Ok(());
        }
        // The head of the real one is written in three pieces and arrives split at any of them.
        for piece in ["HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n", "Vary: Accept-Encoding\r\n", "\r\n"] {
            self.stream.write_all(piece.as_bytes())?;
        }
        self.event(1, "init", &answer, mode)?;
        let mut hearing = if mode == Mode::Deaf { Hearing::Deaf } else { Hearing::Good };
        let heartbeat = self.query.value("heartbeat").and_then(|n| n.parse().ok());
        let heartbeat = heartbeat.filter(|&n| n > 0).map(Duration::from_secs);
        let mut next_heartbeat = heartbeat.map(|every| Instant::now() + every);
        let mut revision = first;
        self.stream.set_nonblocking(true)?;
        while self.is_quiet()? {
            let Some((now, mode, new)) = self.wait(revision) else { return Ok(()) };
            match mode {
                Mode::HalfOpen(_) => hearing = Hearing::Silent,
                Mode::Deaf if hearing == Hearing::Good => hearing = Hearing::Deaf,
                _ => {}
            }
            if now != revision {
                revision = now;
                if mode == Mode::DropEvents {
                    answer = new;
                } else if new != answer && hearing == Hearing::Good {
                    let removed = locked(&self.shared.inner).removed_last;
                    let event = if removed { "delete" } else { "update" };
                    self.event(1 + now - first, event, &new, mode)?;
                    answer = new;
                }
            }
            if let (Some(due), Some(every)) = (next_heartbeat, heartbeat)
                && Instant::now() >= due
            {
                next_heartbeat = Some(due + every);
                if hearing != Hearing::Silent {
                    self.write(b"id: 0\nevent: heartbeat\n\n")?;
                }
            }
        }
        Ok(())
    }

    fn look(&self) -> (u64, Mode, Answer) {
        let inner = locked(&self.shared.inner);
        (inner.revision, inner.mode, inner.state.answer(self.path, &self.query, inner.mode))
    }

    /// Waits a moment for a change; `None` when all is over.
    fn wait(&self, seen: u64) -> Option<(u64, Mode, Answer)> {
        let inner = locked(&self.shared.inner);
        let unchanged = |inner: &mut super::Inner| inner.revision == seen && !inner.stopped;
        let waited = self.shared.changed.wait_timeout_while(inner, TICK, unchanged);
        let (inner, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if inner.stopped {
            return None;
        }
        if inner.revision == seen {
            // Rendering again what did not change would cost a large table dearly.
            return Some((seen, inner.mode, Answer::NotFound));
        }
        Some((inner.revision, inner.mode, inner.state.answer(self.path, &self.query, inner.mode)))
    }

    /// One event; an error is the end of the watch.
    fn event(&mut self, id: u64, event: &str, answer: &Answer, mode: Mode) -> std::io::Result<()> {
        match answer {
            Answer::Json(json) => {
                let frame = format!("id: {id}\nevent: {event}\ndata: {json}\n\n");
                if mode == Mode::Garbage(Garbage::Truncated) {
                    self.write(frame.as_bytes().get(..frame.len() / 2).unwrap_or_default())?;
                    return Err(ErrorKind::ConnectionAborted.into());
                }
                self.write(frame.as_bytes())
            }
            Answer::Lost | Answer::NotFound => {
                self.write(format!("id: 0\nevent: error\ndata: {LOST}\n\n").as_bytes())?;
                Err(ErrorKind::ConnectionAborted.into())
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.set_nonblocking(false)?;
        let written = self.stream.write_all(bytes);
        self.stream.set_nonblocking(true)?;
        written
    }

    /// Whether the client still listens without a word; a word is what crashes lainlet.
    fn is_quiet(&mut self) -> std::io::Result<bool> {
        let mut buffer = [0; 64];
        match self.stream.read(&mut buffer) {
            Ok(0) => Ok(false),
            Ok(count) => {
                crash(self.shared, self.target, buffer.get(..count).unwrap_or_default());
                Ok(false)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error),
        }
    }
}

/// Keeps the connection without a byte until the client gives up or all is over.
fn hang(stream: &mut TcpStream, shared: &Shared) {
    let _ = stream.set_read_timeout(Some(TICK));
    let mut buffer = [0; 64];
    while !locked(&shared.inner).stopped {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return,
            _ => {}
        }
    }
}

fn crash(shared: &Shared, target: &str, bytes: &[u8]) {
    locked(&shared.inner).crashes.push(format!("{:?} on the watch {target}", latin1(bytes)));
}

const LOST: &str = "over half of the containers lost their IPs";
const CHUNKED_ABOVE: usize = 2048;
const TICK: Duration = Duration::from_millis(20);
