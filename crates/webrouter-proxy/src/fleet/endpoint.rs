//! One endpoint of one upstream, as all cores, the health checks and the operators know it. It survives every snapshot that
//! keeps the endpoint. The marks are read for every request; all else about health changes rarely and is behind a lock.
//!
//! ```text
//! UNPROVEN ── a good probe ──► (no mark) ── `fall` bad probes ──► DOWN ── `rise` good probes ──► (no mark)
//!    └── `fall` bad probes ──► DOWN └── failing requests ──► EJECTED ── its time is over ──► (no mark, WARMING)
//! DRAINING: an operator's word. GONE: it left the table.
//! ```
//!
//! What goes with times in the record (EJECTED, WARMING) changes under the record's lock, so that mark and time agree.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use webrouter_routing::endpoint::Endpoint;

use super::record::Record;

/// Shared by everybody who uses the endpoint; on cache lines of its own.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct EndpointState {
    pub(crate) endpoint: Endpoint,
    marks: AtomicU8,
    in_flight: AtomicU32,
    connections: AtomicU32,
    /// Requests failed in a row.
    failures: AtomicU32,
    record: Mutex<Record>,
}

/// What an endpoint is good for, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    Ready,
    /// New, with a health check that has not succeeded yet: used while nobody is ready.
    Unproven,
    /// Down or ejected: used when all are (fail-open).
    Sick,
    /// Drained: not used.
    Leaving,
}

/// A bit of [`EndpointState::marks`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark(u8);

impl Mark {
    pub(crate) const UNPROVEN: Self = Self(1);
    pub(crate) const DOWN: Self = Self(2);
    pub(crate) const EJECTED: Self = Self(4);
    pub(crate) const DRAINING: Self = Self(8);
    pub(crate) const GONE: Self = Self(16);
    pub(crate) const WARMING: Self = Self(32);

    fn is_in(self, marks: u8) -> bool {
        marks & self.0 != 0
    }
}

impl EndpointState {
    pub(crate) fn new(endpoint: Endpoint, record: Record) -> Self {
        Self {
            endpoint,
            marks: AtomicU8::new(0),
            in_flight: AtomicU32::new(0),
            connections: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            record: Mutex::new(record),
        }
    }

    pub(crate) fn standing(&self) -> Standing {
        let marks = self.marks.load(Ordering::Relaxed);
        if marks & !Mark::WARMING.0 == 0 {
            Standing::Ready
        } else if Mark::DRAINING.is_in(marks) {
            Standing::Leaving
        } else if Mark::DOWN.is_in(marks) || Mark::EJECTED.is_in(marks) {
            Standing::Sick
        } else if Mark::UNPROVEN.is_in(marks) {
            Standing::Unproven
        } else {
            // GONE alone: whoever still has a table that holds it may use it.
            Standing::Ready
        }
    }

    /// Whether there is nothing to consider.
    pub(crate) fn is_unmarked(&self) -> bool {
        self.marks.load(Ordering::Relaxed) == 0
    }

    pub(crate) fn is_marked(&self, mark: Mark) -> bool {
        mark.is_in(self.marks.load(Ordering::Acquire))
    }

    /// Sets a mark; says whether that is news.
    pub(crate) fn mark(&self, mark: Mark) -> bool {
        !mark.is_in(self.marks.fetch_or(mark.0, Ordering::AcqRel))
    }

    /// Takes a mark away; says whether that is news.
    pub(crate) fn unmark(&self, mark: Mark) -> bool {
        mark.is_in(self.marks.fetch_and(!mark.0, Ordering::AcqRel))
    }

    /// Whether its tunnels have to end: it left the table, or is drained.
    pub(crate) fn is_leaving(&self) -> bool {
        self.is_marked(Mark::GONE) || self.is_marked(Mark::DRAINING)
    }

    /// Its share of what a warm endpoint gets, above 0 and at most 1.
    pub(crate) fn warmth(&self, now: Instant) -> f32 {
        if !self.is_marked(Mark::WARMING) {
            return 1.0;
        }
        let record = self.record();
        let slow_start = Duration::from_millis(u64::from(record.slow_start));
        let passed = now.saturating_duration_since(record.warming_since);
        if passed >= slow_start {
            self.unmark(Mark::WARMING);
            return 1.0;
        }
        (passed.as_secs_f32() / slow_start.as_secs_f32()).max(COLDEST)
    }

    /// Begins a slow start; to be called before the mark that kept requests away is taken away.
    pub(crate) fn warm_up(&self, record: &mut Record, slow_start: Duration) {
        if !slow_start.is_zero() {
            record.warming_since = Instant::now();
            record.slow_start = u32::try_from(slow_start.as_millis()).unwrap_or(u32::MAX);
            self.mark(Mark::WARMING);
        }
    }

    /// What is known of it besides the marks.
    pub(crate) fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Counts a request in, if the limit allows.
    pub(crate) fn try_enter(&self, limit: u32) -> bool {
        enter(&self.in_flight, limit)
    }

    /// Counts a request out.
    pub(crate) fn leave(&self) {
        self.in_flight.fetch_sub(1, Ordering::AcqRel);
    }

    pub(crate) fn connections(&self) -> u32 {
        self.connections.load(Ordering::Acquire)
    }

    /// Counts a connection in, if the limit allows.
    pub(crate) fn try_connect(&self, limit: u32) -> bool {
        enter(&self.connections, limit)
    }

    /// Counts a connection out.
    pub(crate) fn disconnect(&self) {
        self.connections.fetch_sub(1, Ordering::AcqRel);
    }

    /// A request was answered.
    pub(crate) fn succeeded(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// A request failed; says how many did in a row.
    pub(crate) fn failed(&self) -> u32 {
        self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// How many requests failed in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures.load(Ordering::Relaxed)
    }

    /// The next failures count as if so many had come already.
    pub(crate) fn set_failures(&self, failures: u32) {
        self.failures.store(failures, Ordering::Relaxed);
    }
}

fn enter(count: &AtomicU32, limit: u32) -> bool {
    if count.fetch_add(1, Ordering::AcqRel) < limit {
        return true;
    }
    count.fetch_sub(1, Ordering::AcqRel);
    false
}

/// The share that the coldest endpoint gets: it must get some, to become warm.
const COLDEST: f32 = 0.1;
