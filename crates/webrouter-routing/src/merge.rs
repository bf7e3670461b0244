//! Contributions into a snapshot. The cost grows with what changed, not with the table.
//!
//! A mountpoint belongs to whoever claimed it first and keeps it for as long as it is claimed; the queue behind the
//! owner is in the order of arrival. Two that arrive together stand in the order of source and name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use imbl::OrdMap;
use imbl::ordmap::DiffItem;

use crate::annotation::Annotation;
use crate::certificate::CertificateMap;
use crate::contribution::{Claims, Contribution, Proc};
use crate::domains::Domains;
use crate::host::Host;
use crate::mountpoint::Mountpoint;
use crate::name::{ProcKey, ProcName};
use crate::rejection::Rejection;
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
        for contribution in contributions {
            snapshot.apply(contribution, defaults);
        }
        let mut touched = BTreeSet::new();
        for (mountpoint, remembered) in ownership {
            let Some(queue) = snapshot.claims.get(mountpoint) else { continue };
            let mut ordered: Vec<ProcKey> = remembered.iter().filter(|key| queue.contains(key)).cloned().collect();
            ordered.extend(queue.iter().filter(|key| !remembered.contains(key)).cloned());
            snapshot.claims.insert(mountpoint.clone(), ordered.into());
            touched.insert(mountpoint.clone());
        }
        snapshot.apply_claims(&touched);
        snapshot.generation = generation;
        snapshot
    }
}

/// Merges whole contributions over what is in force.
///
/// A source that is not among the contributions keeps its last one. When nothing changes, the snapshot is the
/// previous one with its generation.
pub fn merge(previous: &Snapshot, contributions: &[Contribution], defaults: &Defaults) -> (Snapshot, Vec<Rejection>) {
    let mut next = previous.clone();
    let mut changed = false;
    for contribution in contributions {
        changed |= next.apply(contribution, defaults);
    }
    if changed {
        next.generation = Generation(previous.generation.0 + 1);
    }
    let rejections = next.rejections();
    (next, rejections)
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
        self.contributions.insert(contribution.source.clone(), contribution.clone());
        let mut touched = BTreeSet::new();
        for (name, proc) in changes {
            let key = ProcKey { source: contribution.source.clone(), name };
            match proc {
                Some(proc) => self.apply_proc(key, &proc, &mut touched),
                None => self.remove_proc(&key, &mut touched),
            }
        }
        self.apply_claims(&touched);
        self.apply_settings(defaults);
        true
    }

    fn apply_proc(&mut self, key: ProcKey, proc: &Proc, touched: &mut BTreeSet<Mountpoint>) {
        let known = self.procs.get(&key).cloned();
        let (annotation, quarantine) = match &proc.claims {
            Claims::Readable(annotation) => (Arc::clone(annotation), None),
            Claims::Unreadable(reason) => {
                let last_good = known.as_ref().map(|known| Arc::clone(&known.upstream.annotation));
                (last_good.unwrap_or_default(), Some(reason.clone()))
            }
        };
        let before = known.as_ref().map_or(&[][..], |known| &known.upstream.annotation.mountpoints);
        for mountpoint in before.iter().filter(|mountpoint| !annotation.mountpoints.contains(mountpoint)) {
            self.leave_queue(mountpoint, &key);
            touched.insert(mountpoint.clone());
        }
        for mountpoint in &annotation.mountpoints {
            self.join_queue(mountpoint, &key);
            touched.insert(mountpoint.clone());
        }
        self.endpoints -= known.as_ref().map_or(0, |known| known.upstream.endpoints.len());
        self.endpoints += proc.endpoints.len();
        let upstream = self.upstream(&key, known.as_deref(), &proc.endpoints, annotation);
        let in_force = ProcInForce { upstream, quarantine, reasons: proc.reasons.clone() };
        self.procs.insert(key.clone(), Arc::new(in_force));
        self.mark_flaws(&key);
    }

    fn upstream(
        &mut self,
        key: &ProcKey,
        known: Option<&ProcInForce>,
        endpoints: &Arc<[crate::endpoint::Endpoint]>,
        annotation: Arc<Annotation>,
    ) -> Arc<Upstream> {
        if let Some(known) = known
            && known.upstream.endpoints == *endpoints
            && known.upstream.annotation == annotation
        {
            return Arc::clone(&known.upstream);
        }
        let id = known.map_or_else(
            || {
                self.next_upstream += 1;
                UpstreamId(self.next_upstream)
            },
            |known| known.upstream.id,
        );
        let name = key.name.upstream_name();
        Arc::new(Upstream { id, proc: key.clone(), name, endpoints: Arc::clone(endpoints), annotation })
    }

    fn remove_proc(&mut self, key: &ProcKey, touched: &mut BTreeSet<Mountpoint>) {
        let Some(known) = self.procs.remove(key) else { return };
        self.endpoints -= known.upstream.endpoints.len();
        self.flawed.remove(key);
        for mountpoint in &known.upstream.annotation.mountpoints {
            self.leave_queue(mountpoint, key);
            touched.insert(mountpoint.clone());
        }
    }

    fn join_queue(&mut self, mountpoint: &Mountpoint, key: &ProcKey) {
        let queue = self.claims.get(mountpoint).map_or(&[][..], |queue| queue.as_ref());
        if !queue.contains(key) {
            let longer: Vec<ProcKey> = queue.iter().chain([key]).cloned().collect();
            self.claims.insert(mountpoint.clone(), longer.into());
        }
    }

    fn leave_queue(&mut self, mountpoint: &Mountpoint, key: &ProcKey) {
        let Some(queue) = self.claims.get(mountpoint) else { return };
        let shorter: Vec<ProcKey> = queue.iter().filter(|claimant| *claimant != key).cloned().collect();
        if shorter.is_empty() {
            self.claims.remove(mountpoint);
        } else {
            self.claims.insert(mountpoint.clone(), shorter.into());
        }
    }

    /// Brings the table and the marks of the claimants in line with the claim queues.
    fn apply_claims(&mut self, touched: &BTreeSet<Mountpoint>) {
        for mountpoint in touched {
            let queue = self.claims.get(mountpoint).cloned().unwrap_or_default();
            match queue.first().and_then(|owner| self.procs.get(owner)) {
                Some(owner) => {
                    let upstream = Arc::clone(&owner.upstream);
                    let known = self.table.route(mountpoint);
                    if known.is_none_or(|known| !Arc::ptr_eq(&known.upstream, &upstream)) {
                        self.table.put(Arc::new(Route { mountpoint: mountpoint.clone(), upstream }));
                    }
                }
                None => self.table.remove(mountpoint),
            }
            queue.iter().for_each(|claimant| self.mark_flaws(claimant));
        }
    }

    fn mark_flaws(&mut self, key: &ProcKey) {
        if self.rejections_of(key).is_empty() {
            self.flawed.remove(key);
        } else {
            self.flawed.insert(key.clone());
        }
    }

    fn apply_settings(&mut self, defaults: &Defaults) {
        let told = |pick: fn(&Contribution) -> Option<&Vec<Host>>| self.contributions.values().find_map(pick);
        let extra = told(|c| c.settings.extra_domains.as_ref()).unwrap_or(&defaults.extra_domains);
        let domains = Domains::new(defaults.domains.iter().chain(extra).cloned());
        if domains != *self.domains {
            self.domains = Arc::new(domains);
        }
        let empty = CertificateMap::default();
        let certificates = self.contributions.values().find_map(|c| c.settings.certificates.as_ref());
        if *certificates.unwrap_or(&empty) != *self.certificates {
            self.certificates = Arc::new(certificates.cloned().unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests;
