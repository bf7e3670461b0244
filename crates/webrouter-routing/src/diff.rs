//! What differs between two snapshots.

use std::collections::BTreeSet;
use std::sync::Arc;

use imbl::ordmap::DiffItem;

use crate::endpoint::Endpoint;
use crate::mountpoint::Mountpoint;
use crate::name::ProcKey;
use crate::snapshot::{ProcInForce, Snapshot};

/// The changes of one proc; all lists are empty when only its policies changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcDiff {
    /// Which proc.
    pub key: ProcKey,
    /// Mountpoints it claims that it did not.
    pub mountpoints_added: Vec<Mountpoint>,
    /// Mountpoints it no longer claims.
    pub mountpoints_removed: Vec<Mountpoint>,
    /// Endpoints that came.
    pub endpoints_added: Vec<Endpoint>,
    /// Endpoints that went.
    pub endpoints_removed: Vec<Endpoint>,
}

/// What changed from one snapshot to another, proc by proc, sorted; empty when all procs wish and are the same.
pub fn diff(old: &Snapshot, new: &Snapshot) -> Vec<ProcDiff> {
    let differing = old.procs.diff(&new.procs).map(|item| match item {
        DiffItem::Add(key, proc) => (key, None, Some(proc)),
        DiffItem::Remove(key, proc) => (key, Some(proc), None),
        DiffItem::Update { old: (key, old), new: (_, new) } => (key, Some(old), Some(new)),
    });
    let visible = differing.filter_map(|(key, old, new)| {
        let changes = proc_diff(key, old, new);
        let same_wishes = match (old, new) {
            (Some(old), Some(new)) => old.upstream.annotation == new.upstream.annotation,
            _ => false,
        };
        (!same_wishes || !changes.endpoints_added.is_empty() || !changes.endpoints_removed.is_empty())
            .then_some(changes)
    });
    visible.collect()
}

fn proc_diff(key: &ProcKey, old: Option<&Arc<ProcInForce>>, new: Option<&Arc<ProcInForce>>) -> ProcDiff {
    let mountpoints = |proc: Option<&Arc<ProcInForce>>| -> BTreeSet<Mountpoint> {
        proc.into_iter().flat_map(|proc| proc.upstream.annotation.mountpoints.iter().cloned()).collect()
    };
    let endpoints = |proc: Option<&Arc<ProcInForce>>| -> BTreeSet<Endpoint> {
        proc.into_iter().flat_map(|proc| proc.upstream.endpoints.iter().copied()).collect()
    };
    ProcDiff {
        key: key.clone(),
        mountpoints_added: mountpoints(new).difference(&mountpoints(old)).cloned().collect(),
        mountpoints_removed: mountpoints(old).difference(&mountpoints(new)).cloned().collect(),
        endpoints_added: endpoints(new).difference(&endpoints(old)).copied().collect(),
        endpoints_removed: endpoints(old).difference(&endpoints(new)).copied().collect(),
    }
}
