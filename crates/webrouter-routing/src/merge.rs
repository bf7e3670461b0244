//! Contributions into a snapshot. The cost grows with what changed, not with the table.
//!
//! A mountpoint belongs to whoever claimed it first and keeps it for as long as it is claimed; the queue behind the
//! owner is in the order of arrival. Two that arrive together stand in the order of source and name.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use imbl::OrdMap;
use imbl::ordmap::DiffItem;

use crate::annotation::Annotation;
use crate::certificate::CertificateMap;
use crate::contribution::{Claims, Contribution, Proc};
use crate::domains::Domains;
use crate::endpoint::Endpoint;
use crate::host::Host;
use crate::mountpoint::Mountpoint;
use crate::name::{ProcKey, ProcName};
use crate::policy::{Overrides, Policy};
use crate::rejection::{OWNED, Reason};
use crate::route::{Route, Upstream, UpstreamId};
use crate::snapshot::{Generation, ProcInForce, Snapshot};
use crate::table::{RouteTable, Subdomains};

/// What does not come from a source.
#[derive(Debug, Clone, Default)]
pub struct Defaults {
    /// Whether a host's routes serve the names below it.
    pub subdomains: Subdomains,
    /// The cluster's own domains.
    pub domains: Vec<Host>,
    /// Domains that are internal too, unless a source names some.
    pub extra_domains: Vec<Host>,
    /// The policy of an upstream that nobody has wishes for.
    pub policy: Arc<Policy>,
    /// What the operator wishes of single apps and procs.
    pub overrides: Arc<Overrides>,
}

/// What a restart remembers: each claimed mountpoint with its claimants, the owner first.
pub type Ownership = BTreeMap<Mountpoint, Vec<ProcKey>>;

impl Snapshot {
    /// A snapshot without routes, generation 0.
    pub fn empty(defaults: &Defaults) -> Self {
        let mut snapshot = Self { table: RouteTable::new(defaults.subdomains), ..Self::default() };
        snapshot.apply_settings(defaults);
        snapshot
    }

    /// Builds the snapshot of an earlier run again, numbered as it was.
    pub fn restore(
        defaults: &Defaults,
        contributions: &[Contribution],
        ownership: &Ownership,
        generation: Generation,
    ) -> Self {
        let mut snapshot = Self::empty(defaults);
        for contribution in by_source(contributions) {
            snapshot.apply(contribution, defaults);
        }
        snapshot.reorder(ownership);
        snapshot.generation = generation;
        snapshot
    }

    /// The same under another number.
    #[must_use]
    pub fn numbered(self, generation: Generation) -> Self {
        Self { generation, ..self }
    }

    /// Puts the claimants of these mountpoints in this order, those that it does not name behind; says whether any moved.
    fn reorder(&mut self, ownership: &Ownership) -> bool {
        let mut reordered = BTreeMap::new();
        let mut concerned = BTreeSet::new();
        for (mountpoint, remembered) in ownership {
            let Some(queue) = self.claims.get(mountpoint) else { continue };
            let claimants: BTreeSet<&ProcKey> = queue.iter().collect();
            let known: BTreeSet<&ProcKey> = remembered.iter().collect();
            let first = remembered.iter().filter(|key| claimants.contains(key));
            let queue_now: Arc<[ProcKey]> =
                first.chain(queue.iter().filter(|key| !known.contains(key))).cloned().collect();
            if *queue != queue_now {
                concerned.extend(queue_now.iter().cloned());
                self.claims.insert(mountpoint.clone(), queue_now);
                reordered.insert(mountpoint.clone(), QueueChange::default());
            }
        }
        let moved = !reordered.is_empty();
        self.apply_claims(reordered, &mut concerned);
        self.mark_flaws(&concerned);
        moved
    }
}

/// Merges whole contributions over what is in force, in the order of their sources' names.
///
/// A source that is not among the contributions keeps its last one. When nothing changes, the snapshot is the
/// previous one with its generation. What is not taken is told by [`Snapshot::rejections`].
pub fn merge(previous: &Snapshot, contributions: &[Contribution], defaults: &Defaults) -> Snapshot {
    merge_in_order(previous, contributions, &Ownership::new(), defaults)
}

/// The same, and the claimants of some mountpoints then stand in the order of an earlier time.
pub fn merge_in_order(
    previous: &Snapshot,
    contributions: &[Contribution],
    ownership: &Ownership,
    defaults: &Defaults,
) -> Snapshot {
    let mut next = previous.clone();
    let mut changed = false;
    for contribution in by_source(contributions) {
        changed |= next.apply(contribution, defaults);
    }
    changed |= next.reorder(ownership);
    if changed {
        next.generation = Generation(previous.generation.0 + 1);
    }
    next
}

fn by_source(contributions: &[Contribution]) -> Vec<&Contribution> {
    let mut sorted: Vec<&Contribution> = contributions.iter().collect();
    sorted.sort_by(|a, b| a.source.cmp(&b.source));
    sorted
}

/// What an update does to the claimants of each mountpoint it touches.
type Touched = BTreeMap<Mountpoint, QueueChange>;

#[derive(Default)]
struct QueueChange {
    leaving: BTreeSet<ProcKey>,
    /// Claimants in the order of their arrival; most stand in the queue already.
    claiming: Vec<ProcKey>,
}

impl QueueChange {
    /// Notes a claim; a proc that claims one address twice stands in the queue once.
    fn claim(&mut self, key: &ProcKey) {
        if self.claiming.last() != Some(key) {
            self.claiming.push(key.clone());
        }
    }

    /// The queue without those who leave, and with the new ones behind; the same one when nobody comes or goes.
    fn applied_to(self, queue: &Arc<[ProcKey]>) -> Arc<[ProcKey]> {
        let standing: HashSet<&ProcKey> = queue.iter().collect();
        let mut arriving = self.claiming.iter().filter(|key| !standing.contains(key)).peekable();
        if self.leaving.is_empty() && arriving.peek().is_none() {
            return Arc::clone(queue);
        }
        queue.iter().filter(|key| !self.leaving.contains(key)).chain(arriving).cloned().collect()
    }
}

impl Snapshot {
    /// Brings one source's whole view in force; says whether anything changed.
    fn apply(&mut self, contribution: &Contribution, defaults: &Defaults) -> bool {
        let old = self.contributions.get(&contribution.source);
        let old_procs = old.map_or_else(OrdMap::new, |old| old.procs.clone());
        let same_rest =
            old.is_some_and(|old| old.settings == contribution.settings && old.unreadable == contribution.unreadable);
        let changes: Vec<(ProcName, Option<Arc<Proc>>)> = old_procs
            .diff(&contribution.procs)
            .map(|item| match item {
                DiffItem::Add(name, proc) | DiffItem::Update { new: (name, proc), .. } => {
                    (name.clone(), Some(Arc::clone(proc)))
                }
                DiffItem::Remove(name, _) => (name.clone(), None),
            })
            .collect();
        if same_rest && changes.is_empty() {
            return false;
        }
        let replaced = self.contributions.insert(contribution.source.clone(), contribution.clone());
        for (_, reason) in replaced.iter().flat_map(|replaced| replaced.unreadable.iter()) {
            self.rejected.remove(reason.kind(), 1);
        }
        for (_, reason) in contribution.unreadable.iter() {
            self.rejected.add(reason.kind(), 1);
        }
        let mut touched = Touched::new();
        let mut concerned = BTreeSet::new();
        for (name, proc) in changes {
            let key = ProcKey { source: contribution.source.clone(), name };
            concerned.insert(key.clone());
            match proc {
                Some(proc) => self.apply_proc(key, &proc, defaults, &mut touched),
                None => self.remove_proc(&key, &mut touched),
            }
        }
        self.apply_claims(touched, &mut concerned);
        self.mark_flaws(&concerned);
        self.apply_settings(defaults);
        true
    }

    fn apply_proc(&mut self, key: ProcKey, proc: &Proc, defaults: &Defaults, touched: &mut Touched) {
        let known = self.procs.get(&key).cloned();
        let (annotation, quarantine) = match &proc.claims {
            Claims::Readable(annotation) => (Arc::clone(annotation), None),
            Claims::Unreadable(reason) => {
                let last_good = known.as_ref().map(|known| Arc::clone(&known.upstream.annotation));
                (last_good.unwrap_or_default(), Some(reason.clone()))
            }
        };
        let claimed_before = known.as_ref().map(|known| &known.upstream.annotation.mountpoints);
        if claimed_before == Some(&annotation.mountpoints) {
            // It stands in each queue; what it owns may lead to a new upstream.
            for mountpoint in &annotation.mountpoints {
                touched.entry(mountpoint.clone()).or_default();
            }
        } else {
            let claimed: HashSet<&Mountpoint> = annotation.mountpoints.iter().collect();
            for mountpoint in claimed_before.into_iter().flatten().filter(|was| !claimed.contains(was)) {
                touched.entry(mountpoint.clone()).or_default().leaving.insert(key.clone());
            }
            for mountpoint in &annotation.mountpoints {
                touched.entry(mountpoint.clone()).or_default().claim(&key);
            }
        }
        self.endpoints -= known.as_ref().map_or(0, |known| known.upstream.endpoints.len());
        self.endpoints += proc.endpoints.len();
        let upstream = self.upstream(&key, known.as_deref(), &proc.endpoints, annotation, defaults);
        let in_force = ProcInForce { upstream, quarantine, reasons: proc.reasons.clone() };
        self.count_reasons(known.as_deref(), Some(&in_force));
        self.procs.insert(key, Arc::new(in_force));
    }

    fn count_reasons(&mut self, before: Option<&ProcInForce>, after: Option<&ProcInForce>) {
        let kinds = |proc: &ProcInForce| {
            let reasons = proc.quarantine.iter().chain(&proc.reasons);
            reasons.map(Reason::kind).collect::<Vec<_>>()
        };
        before.map(kinds).into_iter().flatten().for_each(|kind| self.rejected.remove(kind, 1));
        after.map(kinds).into_iter().flatten().for_each(|kind| self.rejected.add(kind, 1));
    }

    fn upstream(
        &mut self,
        key: &ProcKey,
        known: Option<&ProcInForce>,
        endpoints: &Arc<[Endpoint]>,
        annotation: Arc<Annotation>,
        defaults: &Defaults,
    ) -> Arc<Upstream> {
        let known = known.map(|known| &known.upstream);
        let policy = known.map(|known| &known.policy);
        let policy = defaults.overrides.resolve(&defaults.policy, &key.name, &annotation, policy);
        if let Some(known) = known
            && known.endpoints == *endpoints
            && known.annotation == annotation
            && (Arc::ptr_eq(&known.policy, &policy) || known.policy == policy)
        {
            return Arc::clone(known);
        }
        let id = known.map_or_else(
            || {
                self.next_upstream += 1;
                UpstreamId(self.next_upstream)
            },
            |known| known.id,
        );
        let name = key.name.upstream_name();
        Arc::new(Upstream { id, proc: key.clone(), name, endpoints: Arc::clone(endpoints), annotation, policy })
    }

    fn remove_proc(&mut self, key: &ProcKey, touched: &mut Touched) {
        let Some(known) = self.procs.remove(key) else { return };
        self.count_reasons(Some(&known), None);
        self.endpoints -= known.upstream.endpoints.len();
        for mountpoint in &known.upstream.annotation.mountpoints {
            touched.entry(mountpoint.clone()).or_default().leaving.insert(key.clone());
        }
    }

    /// Brings the claim queues and the table up to date, and names the procs that win or lose by it.
    fn apply_claims(&mut self, touched: Touched, concerned: &mut BTreeSet<ProcKey>) {
        for (mountpoint, change) in touched {
            let before = self.claims.get(&mountpoint).cloned().unwrap_or_default();
            let queue = change.applied_to(&before);
            match queue.first().and_then(|owner| self.procs.get(owner)) {
                Some(owner) => {
                    let upstream = Arc::clone(&owner.upstream);
                    let known = self.table.route(&mountpoint);
                    if known.is_none_or(|known| !Arc::ptr_eq(&known.upstream, &upstream)) {
                        self.table.put(Arc::new(Route { mountpoint: mountpoint.clone(), upstream }));
                    }
                }
                None => self.table.remove(&mountpoint),
            }
            let moved = !Arc::ptr_eq(&queue, &before);
            if moved && (before.len() > 1 || queue.len() > 1) {
                concerned.extend(queue.iter().cloned());
                self.rejected.remove(OWNED, before.len().saturating_sub(1));
                self.rejected.add(OWNED, queue.len().saturating_sub(1));
            }
            if queue.is_empty() {
                self.claims.remove(&mountpoint);
            } else if moved {
                self.claims.insert(mountpoint, queue);
            }
        }
    }

    fn mark_flaws(&mut self, concerned: &BTreeSet<ProcKey>) {
        for key in concerned {
            if self.is_flawed(key) {
                self.flawed.insert(key.clone());
            } else {
                self.flawed.remove(key);
            }
        }
    }

    fn apply_settings(&mut self, defaults: &Defaults) {
        let told = |pick: fn(&Contribution) -> Option<&Vec<Host>>| self.contributions.values().find_map(pick);
        let extra = told(|c| c.settings.extra_domains.as_ref()).unwrap_or(&defaults.extra_domains);
        let domains = Domains::new(defaults.domains.iter().chain(extra).cloned());
        if domains != *self.domains {
            self.domains = Arc::new(domains);
        }
        self.policy = Arc::clone(&defaults.policy);
        self.overrides = Arc::clone(&defaults.overrides);
        let empty = CertificateMap::default();
        let certificates = self.contributions.values().find_map(|c| c.settings.certificates.as_ref());
        if *certificates.unwrap_or(&empty) != *self.certificates {
            self.certificates = Arc::new(certificates.cloned().unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests;
