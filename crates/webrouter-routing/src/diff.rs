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

/// One proc that is not the same in two snapshots: as it was, and as it is.
#[derive(Debug, Clone, Copy)]
pub struct ProcChange<'a> {
    /// Which proc.
    pub key: &'a ProcKey,
    /// As it was; `None` when it is new.
    pub old: Option<&'a Arc<ProcInForce>>,
    /// As it is; `None` when it is gone.
    pub new: Option<&'a Arc<ProcInForce>>,
}

/// Every proc that differs in anything at all, its policy included, sorted. The cost grows with the change.
pub fn changes<'a>(old: &'a Snapshot, new: &'a Snapshot) -> impl Iterator<Item = ProcChange<'a>> {
    old.procs.diff(&new.procs).map(|item| match item {
        DiffItem::Add(key, proc) => ProcChange { key, old: None, new: Some(proc) },
        DiffItem::Remove(key, proc) => ProcChange { key, old: Some(proc), new: None },
        DiffItem::Update { old: (key, old), new: (_, new) } => ProcChange { key, old: Some(old), new: Some(new) },
    })
}

/// Every contested mountpoint whose claimants are not the same: before and after. The cost grows with the change.
pub fn queue_changes<'a>(
    old: &'a Snapshot,
    new: &'a Snapshot,
) -> impl Iterator<Item = (&'a Mountpoint, &'a [ProcKey], &'a [ProcKey])> {
    let queues = old.claims.diff(&new.claims).map(|item| match item {
        DiffItem::Add(mountpoint, queue) => (mountpoint, &[][..], queue.as_ref()),
        DiffItem::Remove(mountpoint, queue) => (mountpoint, queue.as_ref(), &[][..]),
        DiffItem::Update { old: (mountpoint, old), new: (_, new) } => (mountpoint, old.as_ref(), new.as_ref()),
    });
    queues.filter(|(_, old, new)| old.len() > 1 || new.len() > 1)
}

/// What changed from one snapshot to another, proc by proc, sorted; empty when all procs wish and are the same.
pub fn diff(old: &Snapshot, new: &Snapshot) -> Vec<ProcDiff> {
    let visible = changes(old, new).filter_map(|ProcChange { key, old, new }| {
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
