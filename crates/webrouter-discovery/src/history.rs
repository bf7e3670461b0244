//! Every generation that was in force: what the assembler notes at once and the store writes down later.
//!
//! ```text
//! assembler ─ note ─► pending (bounded, in memory) ─ writer of last good ─► records (redb, bounded)
//! reader    ◄──────── pending, then records, newest first
//! ```
//! Noting takes a pointer, so that an update waits for nothing; differences are found by the writer, or by who asks.
//! What was noted and cannot be written, because a disk is full, is kept as long as there is room, then counted as lost:
//! its changes are then told with those of the generation behind it.

mod past;
pub(crate) mod record;
pub(crate) mod table;

use std::collections::{BTreeSet, VecDeque};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::SystemTime;

use redb::Database;
use webrouter_routing::name::ProcKey;
use webrouter_routing::pin::Pins;
use webrouter_routing::snapshot::{Generation, Snapshot};
use webrouter_routing::version::Version;

pub(crate) use past::Past;
pub use record::{Cause, Change, QueueChange, Record};
pub(crate) use record::{Occasion, milliseconds};

use crate::source::lock;

/// Why history cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// It is not recorded, or not any more.
    #[error("generation {0} is not in the history")]
    NoSuchGeneration(Generation),
    /// Nothing is recorded from so long ago.
    #[error("the history does not reach back to that time")]
    BeforeHistory,
    /// The store cannot be read.
    #[error("the history cannot be read: {0}")]
    Unreadable(String),
}

/// Which table of the past is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The one of this number.
    Generation(Generation),
    /// The one that was in force at this time.
    At(SystemTime),
}

/// A record and its place in the history.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Rises by one with each record.
    pub id: u64,
    /// What is recorded.
    pub record: Record,
}

/// What was in force, and is.
#[derive(Debug)]
pub(crate) struct History {
    state: Mutex<State>,
    lost: AtomicU64,
}

#[derive(Debug)]
struct State {
    /// The table before the first pending one.
    base: Arc<Snapshot>,
    pending: VecDeque<Pending>,
    next_id: u64,
    pins: Arc<Pins>,
    database: Weak<Database>,
}

/// A generation that is not written yet.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    pub(crate) id: u64,
    pub(crate) occasion: Occasion,
    pub(crate) snapshot: Arc<Snapshot>,
}

/// What a writer has to write.
#[derive(Debug)]
pub(crate) struct Unwritten {
    pub(crate) pending: Vec<Pending>,
    pub(crate) pins: Arc<Pins>,
}

impl History {
    /// Begins with the table in force and what is pinned.
    pub(crate) fn new(base: Arc<Snapshot>, pins: Pins) -> Self {
        let state =
            State { base, pending: VecDeque::new(), next_id: 1, pins: Arc::new(pins), database: Weak::default() };
        Self { state: Mutex::new(state), lost: AtomicU64::new(0) }
    }

    /// Notes a table that came in force, or what happened to the one in force.
    pub(crate) fn note(&self, snapshot: Arc<Snapshot>, cause: Cause, pins: &Arc<Pins>) {
        let mut state = lock(&self.state);
        let id = state.next_id;
        state.next_id += 1;
        state.pending.push_back(Pending { id, occasion: Occasion::now(cause), snapshot });
        state.pins = Arc::clone(pins);
        if state.pending.len() > MAX_PENDING {
            state.pending.pop_front();
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What is pinned.
    pub(crate) fn pins(&self) -> Arc<Pins> {
        Arc::clone(&lock(&self.state).pins)
    }

    /// Generations that could not be told apart, because they could not be written in time.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// An open store with records up to this one: those that are not written yet come behind it.
    pub(crate) fn opened(&self, database: &Arc<Database>, last_id: u64) {
        let mut state = lock(&self.state);
        state.database = Arc::downgrade(database);
        let first = state.pending.front().map_or(state.next_id, |pending| pending.id);
        let shift = (last_id + 1).saturating_sub(first);
        state.pending.iter_mut().for_each(|pending| pending.id += shift);
        state.next_id += shift;
    }

    pub(crate) fn unwritten(&self) -> Unwritten {
        let state = lock(&self.state);
        Unwritten { pending: state.pending.iter().cloned().collect(), pins: Arc::clone(&state.pins) }
    }

    /// All up to this one are written.
    pub(crate) fn written(&self, id: u64) {
        let mut state = lock(&self.state);
        while state.pending.front().is_some_and(|first| first.id <= id) {
            let Some(first) = state.pending.pop_front() else { break };
            state.base = first.snapshot;
        }
    }

    /// What is known at this moment.
    fn view(&self) -> View {
        let state = lock(&self.state);
        View {
            base: Arc::clone(&state.base),
            pending: state.pending.iter().cloned().collect(),
            next_id: state.next_id,
            database: state.database.upgrade(),
        }
    }

    /// A page of records, the newest first; `app` leaves out those that do not concern it.
    pub(crate) fn page(
        &self,
        app: Option<&str>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Entry>, HistoryError> {
        let mut page = Vec::new();
        self.view().walk(before, |entry| {
            if page.len() >= limit {
                return ControlFlow::Break(());
            }
            if app.is_none_or(|app| entry.record.concerns(app)) {
                page.push(entry);
            }
            ControlFlow::Continue(())
        })?;
        Ok(page)
    }

    /// The newest table, what was otherwise then, and the number of the table of then.
    pub(crate) fn past(&self, when: When) -> Result<(Arc<Snapshot>, Past, Generation), HistoryError> {
        let view = self.view();
        let (past, generation) = view.past(when)?;
        Ok((view.newest(), past, generation))
    }

    /// What differs between the tables of two generations, proc by proc.
    pub(crate) fn difference(&self, from: Generation, to: Generation) -> Result<Vec<Change>, HistoryError> {
        let view = self.view();
        let (mut at_from, _) = view.past(When::Generation(from))?;
        let (mut at_to, _) = view.past(When::Generation(to))?;
        let newest = view.newest();
        let now = |key: &ProcKey| newest.proc(key).map(|proc| Version::of(proc));
        let keys: BTreeSet<ProcKey> = at_from.procs.keys().chain(at_to.procs.keys()).cloned().collect();
        let changes = keys.into_iter().map(|key| {
            let old = at_from.procs.remove(&key).unwrap_or_else(|| now(&key));
            let new = at_to.procs.remove(&key).unwrap_or_else(|| now(&key));
            Change { key, old, new }
        });
        Ok(changes.filter(|change| change.old != change.new).collect())
    }
}

/// The history at one moment.
struct View {
    base: Arc<Snapshot>,
    pending: Vec<Pending>,
    next_id: u64,
    database: Option<Arc<Database>>,
}

impl View {
    fn newest(&self) -> Arc<Snapshot> {
        Arc::clone(self.pending.last().map_or(&self.base, |pending| &pending.snapshot))
    }

    /// Shows each record before `before`, the newest first, until told to stop.
    fn walk(&self, before: Option<u64>, mut visit: impl FnMut(Entry) -> ControlFlow<()>) -> Result<(), HistoryError> {
        let earlier = std::iter::once(&self.base).chain(self.pending.iter().map(|pending| &pending.snapshot));
        let steps: Vec<_> = earlier.zip(&self.pending).collect();
        for (earlier, unwritten) in steps.into_iter().rev() {
            if before.is_some_and(|before| unwritten.id >= before) {
                continue;
            }
            let record = Record::between(earlier, &unwritten.snapshot, &unwritten.occasion);
            if visit(Entry { id: unwritten.id, record }).is_break() {
                return Ok(());
            }
        }
        let Some(database) = &self.database else { return Ok(()) };
        let first_unwritten = self.pending.first().map_or(self.next_id, |first| first.id);
        let before = before.map_or(first_unwritten, |before| before.min(first_unwritten));
        table::walk(database, before, visit).map_err(|error| HistoryError::Unreadable(error.to_string()))
    }

    fn past(&self, when: When) -> Result<(Past, Generation), HistoryError> {
        let mut past = Past::default();
        let mut found = None;
        self.walk(None, |Entry { record, .. }| {
            let is_meant = match when {
                When::Generation(generation) => record.generation == generation,
                When::At(at) => record.at <= milliseconds(at),
            };
            if is_meant {
                found = Some(record.generation);
                return ControlFlow::Break(());
            }
            past.undo(&record);
            ControlFlow::Continue(())
        })?;
        let missing = || match when {
            When::Generation(generation) => HistoryError::NoSuchGeneration(generation),
            When::At(_) => HistoryError::BeforeHistory,
        };
        found.map(|generation| (past, generation)).ok_or_else(missing)
    }
}

impl Record {
    /// Whether it is about an app.
    pub fn concerns(&self, app: &str) -> bool {
        let named = match &self.cause {
            Cause::Pin { app: named, .. } | Cause::Unpin { app: named, .. } => named == app,
            _ => false,
        };
        let is_its = |key: &ProcKey| key.name.app() == app;
        named
            || self.changes.iter().any(|change| is_its(&change.key))
            || self.queues.iter().any(|change| {
                change.old.first() != change.new.first()
                    && change.old.first().into_iter().chain(change.new.first()).any(is_its)
            })
    }
}

/// Beyond them, the oldest is told together with the next.
const MAX_PENDING: usize = 256;

#[cfg(test)]
mod tests;
