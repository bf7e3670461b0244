//! Long bodies without a copy: from socket to socket through a pipe, by `splice(2)`.

use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::body::{BYTES_PER_TURN, BodyError, Patience};
use crate::deadline::{Deadline, Expired};

/// A pipe with nothing in it; what it may hold bounds what a slow reader leaves in the kernel.
#[derive(Debug)]
pub(crate) struct Pipe {
    into: OwnedFd,
    out: OwnedFd,
    capacity: usize,
}

impl Pipe {
    /// Fails when the process, or its user, has no pipes left of a size that is worth it.
    pub(crate) fn new() -> io::Result<Self> {
        let (out, into) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
        let capacity = fcntl_setpipe_size(&into, PIPE_BYTES)?;
        Ok(Self { into, out, capacity })
    }
}

/// Moves at most `left` bytes; ends early when the sender does. Says how many were moved, also when it fails.
pub(crate) async fn relay(
    pipe: &Pipe,
    left: u64,
    reader: &TcpStream,
    writer: &TcpStream,
    patience: Patience,
    deadline: &mut Deadline,
) -> (u64, Result<(), BodyError>) {
    let (mut moved, mut turn) = (0, 0);
    while moved < left {
        let wanted = usize::try_from(left - moved).unwrap_or(usize::MAX).min(pipe.capacity);
        let taken = match fill(pipe, wanted, reader, patience.read, deadline).await {
            Ok(0) => break,
            Ok(taken) => taken,
            Err(error) => return (moved, Err(error)),
        };
        if let Err(error) = empty(pipe, taken, writer, patience.write, deadline).await {
            return (moved, Err(error));
        }
        moved += taken as u64;
        turn += taken;
        if turn >= BYTES_PER_TURN {
            turn = 0;
            tokio::task::yield_now().await;
        }
    }
    (moved, Ok(()))
}

/// The pipe is empty, so that "would block" can only mean that the socket is.
async fn fill(
    pipe: &Pipe,
    wanted: usize,
    stream: &TcpStream,
    patience: Duration,
    deadline: &mut Deadline,
) -> Result<usize, BodyError> {
    loop {
        let taken = stream.try_io(Interest::READABLE, || {
            Ok(splice(stream, None, &pipe.into, None, wanted, SpliceFlags::NONBLOCK | SpliceFlags::MOVE)?)
        });
        match taken {
            Ok(taken) => return Ok(taken),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return Err(BodyError::ReadCut),
        }
        match deadline.until(Instant::now() + patience, poll_fn(|context| stream.poll_read_ready(context))).await {
            Err(Expired) => return Err(BodyError::ReadTimeout),
            Ok(Err(_)) => return Err(BodyError::ReadCut),
            Ok(Ok(())) => {}
        }
    }
}

async fn empty(
    pipe: &Pipe,
    mut left: usize,
    stream: &TcpStream,
    patience: Duration,
    deadline: &mut Deadline,
) -> Result<(), BodyError> {
    while left > 0 {
        let written = stream.try_io(Interest::WRITABLE, || {
            Ok(splice(&pipe.out, None, stream, None, left, SpliceFlags::NONBLOCK | SpliceFlags::MOVE)?)
        });
        match written {
            Ok(0) => return Err(BodyError::WriteFailed),
            Ok(written) => {
                left = left.saturating_sub(written);
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return Err(BodyError::WriteFailed),
        }
        match deadline.until(Instant::now() + patience, poll_fn(|context| stream.poll_write_ready(context))).await {
            Err(Expired) => return Err(BodyError::WriteTimeout),
            Ok(Err(_)) => return Err(BodyError::WriteFailed),
            Ok(Ok(())) => {}
        }
    }
    Ok(())
}

const PIPE_BYTES: usize = 512 * 1024;
