//! One watch, kept open: reconnects with growing pauses, keeps the newest state for its reader.
//!
//! Nothing is written on a watch after its request: one byte crashes a lainlet. The reader is never waited for, since a
//! watch that is not read loses events; what it did not take in time is overwritten by the next whole state.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::connection::Connection;
use super::wire::{Frame, FrameSplitter};
use crate::LainletConfig;
use crate::reconnect::Pauses;
use crate::source::{Problem, SourceHealth, excerpt, lock};

/// A watch in a task of its own; it ends when this is dropped.
pub(super) struct Watch {
    shared: Arc<Shared>,
    task: AbortHandle,
}

struct Shared {
    slot: Mutex<Slot>,
    news: Arc<Notify>,
}

/// How a watch is doing, as its reader finds it.
#[derive(Debug, Clone, Default)]
pub(super) struct Slot {
    /// The newest state, if it was not taken yet.
    pub(super) state: Option<Bytes>,
    /// States so far.
    pub(super) count: u64,
    /// What keeps it from being followed.
    pub(super) problem: Option<Problem>,
}

impl Shared {
    /// Notes what ended a connection; returns the number of states so far.
    fn note(&self, problem: Problem) -> u64 {
        let mut slot = lock(&self.slot);
        slot.problem = Some(problem);
        slot.count
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watch {
    /// Opens a watch; `news` is told of every change of its slot.
    pub(super) fn open(
        config: Arc<LainletConfig>,
        target: String,
        health: Arc<SourceHealth>,
        news: Arc<Notify>,
    ) -> Self {
        let shared = Arc::new(Shared { slot: Mutex::default(), news });
        let task = tokio::spawn(follow(config, target, health, Arc::clone(&shared))).abort_handle();
        Self { shared, task }
    }

    /// Takes the newest state and looks at the rest.
    pub(super) fn take(&self) -> Slot {
        let mut slot = lock(&self.shared.slot);
        Slot { state: slot.state.take(), ..slot.clone() }
    }
}

async fn follow(config: Arc<LainletConfig>, target: String, health: Arc<SourceHealth>, shared: Arc<Shared>) {
    let mut pauses = Pauses::new(config.reconnect_min, config.reconnect_max);
    loop {
        let began = Instant::now();
        let before = lock(&shared.slot).count;
        let problem = match follow_once(&config, &target, &shared).await {
            Ok(never) => match never {},
            Err(problem) => problem,
        };
        health.problem(&problem);
        // A connection that brought no state is no success (an error event follows at once on each), and neither is one
        // that went soon after.
        if shared.note(problem) > before && began.elapsed() >= LIVED {
            pauses.reset();
        }
        shared.news.notify_one();
        tokio::time::sleep(pauses.next()).await;
        health.reconnected();
    }
}

/// One connection, to its end.
async fn follow_once(
    config: &LainletConfig,
    target: &str,
    shared: &Shared,
) -> Result<std::convert::Infallible, Problem> {
    let mut connection = Connection::ask(config, target, Some("text/event-stream")).await?;
    let mut splitter = FrameSplitter::new(config.max_bytes);
    loop {
        let Some(bytes) = connection.bytes().await? else {
            let cut = if splitter.is_between_frames() { "" } else { " in the middle of a frame" };
            return Err(Problem::new("closed", format!("lainlet closed the watch{cut}")));
        };
        let mut refused = None;
        let deliver = |frame| {
            if let Err(problem) = take(frame, shared) {
                refused.get_or_insert(problem);
            }
        };
        splitter.push(&bytes, deliver).map_err(|error| Problem::new("too_large", error))?;
        if let Some(problem) = refused {
            return Err(problem);
        }
    }
}

fn take(frame: Frame, shared: &Shared) -> Result<(), Problem> {
    match (frame.event.as_str(), frame.data) {
        ("init" | "update" | "delete", Some(state)) => {
            let mut slot = lock(&shared.slot);
            slot.state = Some(state);
            slot.count += 1;
            slot.problem = None;
            drop(slot);
            shared.news.notify_one();
            Ok(())
        }
        ("error", text) => Err(Problem::new("error_event", String::from_utf8_lossy(&text.unwrap_or_default()).trim())),
        ("init" | "update" | "delete", None) => {
            Err(Problem::new("protocol", format!("an event `{}` without data", excerpt(&frame.event))))
        }
        // Heartbeats, and what later versions may send.
        _ => Ok(()),
    }
}

/// A connection that lived so long ends a row of failures.
const LIVED: Duration = Duration::from_secs(5);
