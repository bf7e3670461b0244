//! One generation in the history: when, why, and what differs from the one before, both ways.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use webrouter_routing::contribution::Settings;
use webrouter_routing::diff::{changes, queue_changes};
use webrouter_routing::mountpoint::Mountpoint;
use webrouter_routing::name::{ProcKey, SourceName};
use webrouter_routing::snapshot::{Generation, Snapshot};
use webrouter_routing::version::Version;

/// Why a table came in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Cause {
    /// These sources said something new.
    Source {
        /// Their names.
        sources: Vec<String>,
    },
    /// What the guard had kept back of these sources came in force: its grace is over, or nothing answered any more.
    Guard {
        /// Their names.
        sources: Vec<String>,
    },
    /// webrouter was started and loaded what an earlier run stored.
    Restart,
    /// An operator let a held update through.
    HoldAccepted,
    /// An operator refused a held update.
    HoldRefused,
    /// An operator went back to a generation.
    Rollback {
        /// Which one.
        generation: Generation,
        /// Who.
        by: String,
    },
    /// An operator ended a rollback.
    RollbackEnded {
        /// Who.
        by: String,
    },
    /// An operator pinned an app.
    Pin {
        /// Which one.
        app: String,
        /// The generation whose version it keeps.
        generation: Generation,
        /// Who.
        by: String,
    },
    /// An operator let an app follow its sources again.
    Unpin {
        /// Which one.
        app: String,
        /// Who.
        by: String,
    },
}

/// A proc before and after; `None` where it was not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Which proc.
    pub key: ProcKey,
    /// As it was.
    pub old: Option<Version>,
    /// As it is.
    pub new: Option<Version>,
}

/// The claimants of a contested mountpoint before and after, the owner first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueChange {
    /// Which mountpoint.
    pub mountpoint: Mountpoint,
    /// As they stood.
    pub old: Vec<ProcKey>,
    /// As they stand.
    pub new: Vec<ProcKey>,
}

/// Cluster settings that a source says otherwise than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SettingsChange {
    pub(crate) source: SourceName,
    pub(crate) old: Settings,
    pub(crate) new: Settings,
}

/// One generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its number.
    pub generation: Generation,
    /// When it came in force, in milliseconds since 1970.
    pub(crate) at: u64,
    /// Why.
    pub cause: Cause,
    /// The procs that differ from the generation before.
    pub changes: Vec<Change>,
    pub(crate) settings: Vec<SettingsChange>,
    /// The contested mountpoints whose claimants differ.
    pub queues: Vec<QueueChange>,
}

/// What a generation is told with.
#[derive(Debug, Clone)]
pub(crate) struct Occasion {
    pub(crate) at: u64,
    pub(crate) cause: Cause,
}

impl Occasion {
    pub(crate) fn now(cause: Cause) -> Self {
        Self { at: milliseconds(SystemTime::now()), cause }
    }
}

/// A stored table, as far as history compares it.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    pub(crate) procs: BTreeMap<ProcKey, Version>,
    pub(crate) settings: BTreeMap<SourceName, Settings>,
    pub(crate) queues: BTreeMap<Mountpoint, Vec<ProcKey>>,
}

impl Record {
    /// When it came in force.
    pub fn at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.at)
    }

    /// The sources whose cluster settings (certificates, domains) differ.
    pub fn settings_of(&self) -> impl Iterator<Item = &SourceName> {
        self.settings.iter().map(|change| &change.source)
    }

    /// The step from one table to the next; the cost grows with what differs.
    pub(crate) fn between(old: &Snapshot, new: &Snapshot, occasion: &Occasion) -> Self {
        let version = |proc: Option<&Arc<_>>| proc.map(|proc| Version::of(proc));
        let changes = changes(old, new)
            .map(|change| Change { key: change.key.clone(), old: version(change.old), new: version(change.new) })
            .filter(|change| change.old != change.new);
        let settings = new.contributions().filter_map(|contribution| {
            let known = old.contribution(&contribution.source).map(|known| &known.settings);
            if known.is_some_and(|known| Arc::ptr_eq(known, &contribution.settings)) {
                return None;
            }
            let change = SettingsChange {
                source: contribution.source.clone(),
                old: known.map(|known| (**known).clone()).unwrap_or_default(),
                new: (*contribution.settings).clone(),
            };
            (change.old != change.new).then_some(change)
        });
        let queues = queue_changes(old, new).map(|(mountpoint, old, new)| QueueChange {
            mountpoint: mountpoint.clone(),
            old: old.to_vec(),
            new: new.to_vec(),
        });
        Self {
            generation: new.generation(),
            at: occasion.at,
            cause: occasion.cause.clone(),
            changes: changes.collect(),
            settings: settings.collect(),
            queues: queues.collect(),
        }
    }

    /// The step from what a store holds, whoever wrote it; the cost grows with the table.
    pub(crate) fn since(stored: &Stored, new: &Snapshot, occasion: &Occasion) -> Self {
        let now: BTreeMap<&ProcKey, Version> =
            new.procs().map(|(key, proc)| (key, Version { quarantine: None, ..Version::of(proc) })).collect();
        let gone = stored.procs.keys().filter(|key| !now.contains_key(key));
        let changes = now.keys().copied().chain(gone).map(|key| Change {
            key: key.clone(),
            old: stored.procs.get(key).cloned(),
            new: now.get(key).cloned(),
        });
        let changes = changes.filter(|change| change.old != change.new).collect();
        let sources = new.contributions().map(|contribution| &contribution.source);
        let sources = sources.chain(stored.settings.keys()).collect::<BTreeSet<_>>();
        let settings = sources.into_iter().map(|source| SettingsChange {
            source: source.clone(),
            old: stored.settings.get(source).cloned().unwrap_or_default(),
            new: new.contribution(source).map(|known| (*known.settings).clone()).unwrap_or_default(),
        });
        let contested: BTreeMap<&Mountpoint, &[ProcKey]> =
            new.claims().filter(|(at, queue)| queue.len() > 1 || stored.queues.contains_key(at)).collect();
        let gone = stored.queues.keys().filter(|at| !contested.contains_key(at));
        let queues = contested.keys().copied().chain(gone).map(|at| QueueChange {
            mountpoint: at.clone(),
            old: stored.queues.get(at).cloned().unwrap_or_default(),
            new: contested.get(at).map(|queue| queue.to_vec()).unwrap_or_default(),
        });
        Self {
            generation: new.generation(),
            at: occasion.at,
            cause: occasion.cause.clone(),
            changes,
            settings: settings.filter(|change| change.old != change.new).collect(),
            queues: queues.filter(|change| change.old != change.new).collect(),
        }
    }
}

pub(crate) fn milliseconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
