//! A raw TCP relay: the floor under every proxy of this kind, for it knows nothing of HTTP.
//!
//! One thread, one upstream connection per client connection, bytes copied through one 64 KiB buffer.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rustix::net::{SocketFlags, accept_with};

use crate::load::connect;
use crate::readiness::{Readiness, Ready, Slots};

/// Relays every connection of `listener` to `upstream` until the deadline.
pub(crate) fn serve(listener: TcpListener, upstream: SocketAddr, deadline: Instant) -> io::Result<()> {
    let mut readiness = Readiness::open()?;
    listener.set_nonblocking(true)?;
    let door = readiness.watch_listener(&listener)?;
    let mut sides: Slots<Side> = Slots::empty();
    let mut ready: Vec<Ready> = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    while let Some(left) = deadline.checked_duration_since(Instant::now()) {
        readiness.wait(&mut ready, left.min(Duration::from_secs(1)))?;
        for event in &ready {
            if event.token == door {
                while let Ok(fd) = accept_with(&listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                    let client = TcpStream::from(fd);
                    let origin = connect(upstream, None)?;
                    client.set_nodelay(true)?;
                    let (near, far) = (readiness.watch(&client)?, readiness.watch(&origin)?);
                    sides.insert(near, Side::new(client, far));
                    sides.insert(far, Side::new(origin, near));
                }
                continue;
            }
            let Some(peer) = sides.at(event.token).map(|side| side.peer) else {
                continue;
            };
            // Both directions: this side may have bytes for the peer, and room for the peer's bytes.
            let alive = pump(&mut sides, event.token, peer, &mut buffer, event.hung_up)
                .and_then(|()| pump_stalled(&mut sides, peer, event.token, &mut buffer));
            let over = alive.is_err()
                || [event.token, peer].iter().all(|token| sides.at(*token).is_none_or(|side| side.ended));
            if over {
                sides.remove(event.token);
                sides.remove(peer);
            }
        }
    }
    Ok(())
}

/// One of the two connections of a pair, with what was read from it and its peer would not take yet.
struct Side {
    stream: TcpStream,
    peer: usize,
    pending: Vec<u8>,
    stalled: bool,
    ended: bool,
}

impl Side {
    fn new(stream: TcpStream, peer: usize) -> Self {
        Self { stream, peer, pending: Vec::new(), stalled: false, ended: false }
    }
}

fn pump_stalled(sides: &mut Slots<Side>, from: usize, to: usize, buffer: &mut [u8]) -> io::Result<()> {
    match sides.at(from) {
        Some(side) if side.stalled => pump(sides, from, to, buffer, true),
        _ => Ok(()),
    }
}

/// Moves bytes until the source has none, or the sink takes no more.
fn pump(sides: &mut Slots<Side>, from: usize, to: usize, buffer: &mut [u8], to_the_end: bool) -> io::Result<()> {
    let (Some(mut source), Some(sink)) = (sides.remove(from), sides.at(to)) else {
        return Ok(());
    };
    let result = copy(&mut source, &mut sink.stream, buffer, to_the_end);
    sides.insert(from, source);
    result
}

fn copy(source: &mut Side, sink: &mut TcpStream, buffer: &mut [u8], to_the_end: bool) -> io::Result<()> {
    if source.stalled {
        let sent = send(sink, &source.pending)?;
        source.pending.drain(..sent);
        if !source.pending.is_empty() {
            return Ok(());
        }
        source.stalled = false;
    }
    while !source.ended {
        let count = match source.stream.read(buffer) {
            Ok(0) => {
                source.ended = true;
                return sink.shutdown(Shutdown::Write);
            }
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let bytes = buffer.get(..count).unwrap_or_default();
        let sent = send(sink, bytes)?;
        if let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
            source.pending.extend_from_slice(rest);
            source.stalled = true;
            return Ok(());
        }
        if count < buffer.len() && !to_the_end {
            return Ok(());
        }
    }
    Ok(())
}

fn send(sink: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut sent = 0;
    while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
        match sink.write(rest) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}
