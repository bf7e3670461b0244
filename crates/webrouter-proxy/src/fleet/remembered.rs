//! What a restart remembers of an endpoint's health.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use webrouter_routing::endpoint::Endpoint;
use webrouter_routing::name::ProcKey;

use super::endpoint::{EndpointState, Mark};

/// One endpoint as an earlier run left it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    pub(super) proc: ProcKey,
    pub(super) endpoint: Endpoint,
    #[serde(default, skip_serializing_if = "is_false")]
    unproven: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    down: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    draining: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ejected_until: Option<SystemTime>,
    #[serde(default, skip_serializing_if = "is_zero")]
    ejections: u32,
}

impl Remembered {
    fn key(&self) -> (&ProcKey, Endpoint) {
        (&self.proc, self.endpoint)
    }

    /// What is to be remembered of an endpoint.
    pub(crate) fn of(proc: &ProcKey, state: &EndpointState) -> Self {
        let record = state.record();
        let (now, clock) = (Instant::now(), SystemTime::now());
        let ejected_until = record.ejected_until.and_then(|until| match until.checked_duration_since(now) {
            Some(left) => clock.checked_add(left),
            None => clock.checked_sub(now.saturating_duration_since(until)),
        });
        let ejections = if ejected_until.is_some() { record.ejections } else { 0 };
        Self {
            proc: proc.clone(),
            endpoint: state.endpoint,
            unproven: state.is_marked(Mark::UNPROVEN),
            down: state.is_marked(Mark::DOWN),
            draining: state.is_marked(Mark::DRAINING),
            ejected_until,
            ejections,
        }
    }

    /// Marks the endpoint as it was; says whether it is ejected. What a health check found counts only where there still
    /// is one.
    pub(super) fn give_to(&self, state: &EndpointState, checked: bool) -> bool {
        if checked && self.down {
            state.mark(Mark::DOWN);
        } else if checked && self.unproven {
            state.mark(Mark::UNPROVEN);
        }
        if self.draining {
            state.mark(Mark::DRAINING);
        }
        let Some(until) = self.ejected_until else { return false };
        let mut record = state.record();
        let now = Instant::now();
        record.ejections = self.ejections;
        match until.duration_since(SystemTime::now()) {
            Ok(left) => {
                record.ejected_until = Some(now + left.min(LONGEST));
                state.mark(Mark::EJECTED)
            }
            Err(over) => {
                record.ejected_until = now.checked_sub(over.duration());
                false
            }
        }
    }
}

/// What an earlier run knew of endpoints that were not seen yet: sorted, for half the memory of a map.
#[derive(Debug, Default)]
pub(super) struct Memory {
    entries: Vec<Entry>,
    /// Those that were not taken.
    left: usize,
}

#[derive(Debug)]
struct Entry {
    known: Remembered,
    taken: bool,
}

impl Memory {
    /// Of what is there twice, the later one counts.
    pub(super) fn new(mut remembered: Vec<Remembered>) -> Self {
        remembered.reverse();
        remembered.sort_by(|a, b| a.key().cmp(&b.key()));
        remembered.dedup_by(|a, b| a.key() == b.key());
        let entries: Vec<Entry> = remembered.into_iter().map(|known| Entry { known, taken: false }).collect();
        Self { left: entries.len(), entries }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.left == 0
    }

    pub(super) fn get(&self, key: &(ProcKey, Endpoint)) -> Option<&Remembered> {
        let at = self.find(&key.0, key.1)?;
        self.entries.get(at).filter(|entry| !entry.taken).map(|entry| &entry.known)
    }

    /// Takes one out; the memory is given back with the last.
    pub(super) fn take(&mut self, proc: &ProcKey, endpoint: Endpoint) -> Option<Remembered> {
        let at = self.find(proc, endpoint)?;
        let entry = self.entries.get_mut(at).filter(|entry| !entry.taken)?;
        entry.taken = true;
        let known = entry.known.clone();
        self.left -= 1;
        if self.left == 0 {
            self.entries = Vec::new();
        }
        Some(known)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Remembered> {
        self.entries.iter().filter(|entry| !entry.taken).map(|entry| &entry.known)
    }

    pub(super) fn retain(&mut self, mut stays: impl FnMut(&ProcKey, Endpoint) -> bool) {
        self.entries.retain(|entry| !entry.taken && stays(&entry.known.proc, entry.known.endpoint));
        self.entries.shrink_to_fit();
        self.left = self.entries.len();
    }

    fn find(&self, proc: &ProcKey, endpoint: Endpoint) -> Option<usize> {
        self.entries.binary_search_by(|entry| entry.known.key().cmp(&(proc, endpoint))).ok()
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

/// Longer than any ejection: a clock that was set back makes no eternity of one.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
