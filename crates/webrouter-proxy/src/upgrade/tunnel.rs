//! Bytes both ways until both sides are done, one breaks, or the tunnel has to end because its endpoint leaves or the core stops.
//!
//! ```text
//! Open ◄─ the endpoint leaves, or stays after all ─► Leaving, for the drain time-out ─► Parting, for 5 s ─► cut
//!   └──────────────────────────────── the core stops ──────────────────────────────────────►┘    └─► over
//! ```
//!
//! Parting: each lane ends with a Close frame where the next frame would begin, or, when it is no WebSocket, at once with a FIN.
//! What the peers had under way by then is read until their own Close or FIN and goes no further: nothing may follow a Close.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Poll, ready};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep_until};

use crate::stream::{Reader, Stream, Writer};
use crate::tunnels::{Membership, Word};
use crate::websocket::{FrameScanner, GOING_AWAY, Position, Sender, masked_going_away};

/// Two connections about to become one.
pub(super) struct Tunnel<'a> {
    pub(super) client: &'a mut Stream,
    pub(super) endpoint: &'a mut Stream,
    pub(super) protocol: Protocol,
    pub(super) patience: Patience,
    pub(super) membership: Membership,
    /// For the one frame that the endpoint may get from us.
    pub(super) masking_key: [u8; 4],
}

/// What is spoken in the tunnel, as far as its end depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    WebSocket,
    Other,
}

/// How long a tunnel goes on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Without a byte either way.
    pub(super) idle: Duration,
    /// From when the endpoint leaves.
    pub(super) drain: Duration,
}

/// What goes through before anything is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct First<'a> {
    /// For the client: the response head, and what the endpoint sent behind it.
    pub(super) down: &'a [u8],
    pub(super) head_len: usize,
    /// What the client sent behind its request.
    pub(super) up: &'a [u8],
}

/// How many bytes went through, heads aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) up: u64,
    pub(super) down: u64,
}

impl Protocol {
    /// By its name in the `Upgrade` field (RFC 6455 §4.2.2).
    pub(super) fn named(name: &[u8]) -> Self {
        if name.eq_ignore_ascii_case(b"websocket") { Self::WebSocket } else { Self::Other }
    }

    fn scanner(self, sender: Sender) -> Option<FrameScanner> {
        (self == Self::WebSocket).then(|| FrameScanner::new(sender))
    }
}

impl Tunnel<'_> {
    /// Runs to the end.
    pub(super) async fn run(self, first: First<'_>) -> Moved {
        let Self { client, endpoint, protocol, patience, membership, masking_key } = self;
        let state = State { activity: Cell::new(Instant::now()), parting: Cell::new(false) };
        let (client_reader, client_writer) = client.split();
        let (endpoint_reader, endpoint_writer) = endpoint.split();
        let (for_client, for_endpoint) = (GOING_AWAY, masked_going_away(masking_key));
        let mut up = Lane {
            reader: client_reader,
            writer: endpoint_writer,
            frames: protocol.scanner(Sender::Client),
            close: &for_endpoint,
            state: &state,
            moved: 0,
        };
        let mut down = Lane {
            reader: endpoint_reader,
            writer: client_writer,
            frames: protocol.scanner(Sender::Endpoint),
            close: &for_client,
            state: &state,
            moved: 0,
        };
        {
            let lanes = pin!(async {
                let relayed = both(up.run(first.up, 0), down.run(first.down, first.head_len)).await;
                if relayed.is_ok() && state.parting.get() {
                    let client = last_words(&mut up.reader, &mut up.frames, &mut down.writer);
                    let endpoint = last_words(&mut down.reader, &mut down.frames, &mut up.writer);
                    let _ = both(client, endpoint).await;
                }
            });
            state.bound(lanes, patience, &membership).await;
        }
        Moved { up: up.moved, down: down.moved }
    }
}

/// What the lanes and the clock tell each other.
struct State {
    activity: Cell<Instant>,
    /// Each lane is to end where it can.
    parting: Cell<bool>,
}

/// How far the tunnel is from its end.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Open,
    Leaving { until: Instant },
    Parting { until: Instant },
}

impl State {
    /// Lets the lanes run for as long as they may. The one timer is set again only when it fires, or fires too late: in a tunnel
    /// that nobody has to tell anything it fires once in the idle time-out.
    async fn bound(&self, mut lanes: Pin<&mut impl Future<Output = ()>>, patience: Patience, membership: &Membership) {
        let mut stage = Stage::Open;
        let mut sleep = pin!(sleep_until(Instant::now() + patience.idle));
        poll_fn(|context| {
            loop {
                stage = self.stage(stage, membership.word(context), patience.drain);
                if lanes.as_mut().poll(context).is_ready() {
                    return Poll::Ready(());
                }
                let idle = self.activity.get() + patience.idle;
                let end = match stage {
                    Stage::Open => idle,
                    Stage::Leaving { until } => until.min(idle),
                    Stage::Parting { until } => until,
                };
                if sleep.deadline() > end {
                    sleep.as_mut().reset(end);
                }
                ready!(sleep.as_mut().poll(context));
                let now = Instant::now();
                match stage {
                    _ if now < end => sleep.as_mut().reset(end),
                    Stage::Leaving { until } if until <= now => {
                        stage = self.part();
                        sleep.as_mut().reset(now + PARTING);
                    }
                    _ => return Poll::Ready(()),
                }
            }
        })
        .await;
    }

    fn stage(&self, stage: Stage, word: Word, drain: Duration) -> Stage {
        match (stage, word) {
            (Stage::Open, Word::Leave) => Stage::Leaving { until: Instant::now() + drain },
            (Stage::Leaving { .. }, Word::Stay) => Stage::Open,
            (Stage::Open | Stage::Leaving { .. }, Word::Part) => self.part(),
            (stage, _) => stage,
        }
    }

    fn part(&self) -> Stage {
        self.parting.set(true);
        Stage::Parting { until: Instant::now() + PARTING }
    }
}

/// One direction of the tunnel.
struct Lane<'a> {
    reader: Reader<'a>,
    writer: Writer<'a>,
    /// Where the bytes that went through end; `None` when the protocol has no frames that we know.
    frames: Option<FrameScanner>,
    /// The frame that ends it.
    close: &'a [u8],
    state: &'a State,
    moved: u64,
}

impl Lane<'_> {
    /// Moves bytes until the sender is done, then says so to the receiver; or until the lane may part.
    async fn run(&mut self, first: &[u8], head_len: usize) -> io::Result<()> {
        self.pass(first, head_len).await?;
        let mut room = SMALLEST_READ;
        loop {
            let Some(bytes) = self.read(room).await? else {
                // Whatever becomes of our last word, the other lane still has its own to say.
                let _ = self.end().await;
                return Ok(());
            };
            if bytes.is_empty() {
                return self.writer.shutdown().await;
            }
            room = if bytes.len() == bytes.capacity() { (room * 2).min(LARGEST_READ) } else { room };
            self.pass(&bytes, 0).await?;
        }
    }

    /// The next bytes, empty at the end; `None` when the lane is to part where it stands.
    async fn read(&mut self, room: usize) -> io::Result<Option<Vec<u8>>> {
        poll_fn(|context| {
            if self.state.parting.get() && self.position() != Position::Inside {
                return Poll::Ready(Ok(None));
            }
            self.reader.poll_bytes(room, context).map_ok(Some)
        })
        .await
    }

    async fn pass(&mut self, bytes: &[u8], head_len: usize) -> io::Result<()> {
        self.state.activity.set(Instant::now());
        let tunnelled = bytes.get(head_len..).unwrap_or_default();
        if let Some(frames) = &mut self.frames {
            frames.scan(tunnelled);
        }
        self.writer.write_all(bytes).await?;
        self.state.activity.set(Instant::now());
        self.moved += tunnelled.len() as u64;
        Ok(())
    }

    fn position(&self) -> Position {
        self.frames.as_ref().map_or(Position::Unknown, FrameScanner::position)
    }

    /// Says our last word.
    async fn end(&mut self) -> io::Result<()> {
        match self.position() {
            Position::Boundary => self.writer.write_all(self.close).await,
            Position::Unknown => self.writer.shutdown().await,
            Position::Closed | Position::Inside => Ok(()),
        }
    }
}

/// Reads what a peer still says until its Close or its FIN; then there is nothing more to say to it either.
async fn last_words(
    reader: &mut Reader<'_>,
    frames: &mut Option<FrameScanner>,
    writer: &mut Writer<'_>,
) -> io::Result<()> {
    while frames.as_ref().is_none_or(|frames| frames.position() != Position::Closed) {
        match poll_fn(|context| reader.poll_bytes(SMALLEST_READ, context)).await {
            Ok(bytes) if !bytes.is_empty() => frames.iter_mut().for_each(|frames| frames.scan(&bytes)),
            _ => break,
        }
    }
    let _ = writer.shutdown().await;
    Ok(())
}

/// Ends when both have, or one breaks.
async fn both(
    one: impl Future<Output = io::Result<()>>,
    other: impl Future<Output = io::Result<()>>,
) -> io::Result<()> {
    let (mut one, mut other) = (pin!(one), pin!(other));
    let (mut one_over, mut other_over) = (false, false);
    poll_fn(|context| {
        if !one_over && let Poll::Ready(ended) = one.as_mut().poll(context) {
            one_over = true;
            ended?;
        }
        if !other_over && let Poll::Ready(ended) = other.as_mut().poll(context) {
            other_over = true;
            ended?;
        }
        if one_over && other_over { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await
}

/// For the next frame boundary, our last word and the peers'.
pub(super) const PARTING: Duration = Duration::from_secs(5);
const SMALLEST_READ: usize = 4 * 1024;
const LARGEST_READ: usize = 256 * 1024;

#[cfg(test)]
mod tests;
