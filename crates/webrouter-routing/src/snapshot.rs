//! Snapshots: all sources merged, immutable, numbered.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

use crate::certificate::CertificateMap;
use crate::contribution::Contribution;
use crate::domains::Domains;
use crate::mountpoint::Mountpoint;
use crate::name::{ProcKey, SourceName};
use crate::policy::{Overrides, Policy};
use crate::rejection::{Reason, Rejection};
use crate::route::{Route, Upstream};
use crate::table::RouteTable;

/// The number of a snapshot; it rises by one with every change that is in force.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Generation(pub u64);

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// One proc as it is in force.
#[derive(Debug, PartialEq)]
pub struct ProcInForce {
    /// Its pool; holds the annotation in force.
    pub upstream: Arc<Upstream>,
    /// Set while its annotation cannot be read and the last good one stands in.
    pub quarantine: Option<Reason>,
    /// The parts of its entry that were not taken (a lost mountpoint is told by [`Snapshot::rejections`]).
    pub reasons: Vec<Reason>,
}

/// Who claims each mountpoint, first owner first.
pub(crate) type ClaimQueues = OrdMap<Mountpoint, Arc<[ProcKey]>>;

/// All sources merged; a request sees exactly one.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    pub(crate) generation: Generation,
    pub(crate) table: RouteTable,
    pub(crate) procs: OrdMap<ProcKey, Arc<ProcInForce>>,
    pub(crate) claims: ClaimQueues,
    pub(crate) contributions: BTreeMap<SourceName, Contribution>,
    /// Procs whose entry has reasons, or whose claims are contested.
    pub(crate) flawed: OrdSet<ProcKey>,
    pub(crate) domains: Arc<Domains>,
    pub(crate) certificates: Arc<CertificateMap>,
    /// The policy of a proc without wishes, and what the operator wishes of some.
    pub(crate) policy: Arc<Policy>,
    pub(crate) overrides: Arc<Overrides>,
    pub(crate) next_upstream: u32,
    pub(crate) endpoints: usize,
    pub(crate) rejected: Counts,
}

/// How many rejections there are of each kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts(BTreeMap<&'static str, usize>);

impl Counts {
    pub(crate) fn add(&mut self, kind: &'static str, count: usize) {
        if count > 0 {
            *self.0.entry(kind).or_default() += count;
        }
    }

    pub(crate) fn remove(&mut self, kind: &'static str, count: usize) {
        if let Some(known) = self.0.get_mut(kind) {
            *known = known.saturating_sub(count);
            if *known == 0 {
                self.0.remove(kind);
            }
        }
    }
}

impl Snapshot {
    /// Its number.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// What goes where.
    pub fn table(&self) -> &RouteTable {
        &self.table
    }

    /// The procs in force, sorted by source and name.
    pub fn procs(&self) -> impl Iterator<Item = (&ProcKey, &Arc<ProcInForce>)> {
        self.procs.iter()
    }

    /// One proc in force.
    pub fn proc(&self, key: &ProcKey) -> Option<&Arc<ProcInForce>> {
        self.procs.get(key)
    }

    /// What the sources said, whole, as it was merged.
    pub fn contributions(&self) -> impl Iterator<Item = &Contribution> {
        self.contributions.values()
    }

    /// What one source said.
    pub fn contribution(&self, source: &SourceName) -> Option<&Contribution> {
        self.contributions.get(source)
    }

    /// Every claimed mountpoint with its claimants, the owner first.
    pub fn claims(&self) -> impl Iterator<Item = (&Mountpoint, &[ProcKey])> {
        self.claims.iter().map(|(mountpoint, queue)| (mountpoint, queue.as_ref()))
    }

    /// The owner of a mountpoint.
    pub fn owner(&self, mountpoint: &Mountpoint) -> Option<&ProcKey> {
        self.claims.get(mountpoint).and_then(|queue| queue.first())
    }

    /// The routes, sorted by mountpoint.
    pub fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.claims.keys().filter_map(|mountpoint| self.table.route(mountpoint))
    }

    /// How many mountpoints are served.
    pub fn route_count(&self) -> usize {
        self.claims.len()
    }

    /// How many endpoints all upstreams have together.
    pub fn endpoint_count(&self) -> usize {
        self.endpoints
    }

    /// How many procs are in force.
    pub fn proc_count(&self) -> usize {
        self.procs.len()
    }

    /// Which hosts are internal.
    pub fn domains(&self) -> &Domains {
        &self.domains
    }

    /// Which certificate serves which host.
    pub fn certificates(&self) -> &CertificateMap {
        &self.certificates
    }

    /// How many rejections there are; costs nothing, unlike listing them.
    pub fn rejection_count(&self) -> usize {
        self.rejected.0.values().sum()
    }

    /// How many rejections there are of each kind, where there are any.
    pub fn rejection_counts(&self) -> impl Iterator<Item = (&'static str, usize)> {
        self.rejected.0.iter().map(|(kind, count)| (*kind, *count))
    }

    /// Everything that is not taken, and why: as long as the claims that are contested are many.
    pub fn rejections(&self) -> Vec<Rejection> {
        let unreadable = self.contributions.values().flat_map(|contribution| {
            contribution.unreadable.iter().map(|(entry, reason)| Rejection {
                source: contribution.source.clone(),
                entry: entry.clone(),
                reason: reason.clone(),
            })
        });
        unreadable.chain(self.flawed.iter().flat_map(|key| self.rejections_of(key))).collect()
    }

    /// Whether anything of a proc is not taken.
    pub(crate) fn is_flawed(&self, key: &ProcKey) -> bool {
        self.procs.get(key).is_some_and(|proc| {
            let mut mountpoints = proc.upstream.annotation.mountpoints.iter();
            proc.quarantine.is_some()
                || !proc.reasons.is_empty()
                || mountpoints.any(|mountpoint| self.owner(mountpoint).is_some_and(|owner| owner != key))
        })
    }

    /// What is not taken of one proc, and why.
    pub fn rejections_of(&self, key: &ProcKey) -> Vec<Rejection> {
        let Some(proc) = self.procs.get(key) else { return Vec::new() };
        let lost = proc.upstream.annotation.mountpoints.iter().filter_map(|mountpoint| {
            let owner = self.owner(mountpoint)?;
            (owner != key).then(|| Reason::Owned { mountpoint: mountpoint.clone(), owner: owner.clone() })
        });
        let reasons = proc.quarantine.iter().chain(&proc.reasons).cloned().chain(lost);
        let reject = |reason| Rejection { source: key.source.clone(), entry: key.name.to_string(), reason };
        reasons.map(reject).collect()
    }
}
