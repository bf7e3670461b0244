//! Whether an update may be believed: what it would take away, measured against what is in force. Pure.
//!
//! Two things are kept back: what an update would take away when that is too large a share of its source's routes or
//! endpoints, and single procs that would be left without any endpoint although theirs may still answer (`gate` finds
//! out). Shares are of one source; a source with fewer than `floor` routes is guarded only against losing all of them,
//! so that removing one of two apps is nobody's business.

pub(crate) mod gate;
mod loss;
mod peak;
pub(crate) mod probe;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use imbl::OrdMap;
use imbl::ordmap::DiffItem;
use webrouter_routing::contribution::{Claims, Contribution, Proc};
use webrouter_routing::endpoint::Endpoint;
use webrouter_routing::mountpoint::Mountpoint;
use webrouter_routing::name::{ProcKey, ProcName, SourceName};
use webrouter_routing::snapshot::Snapshot;

use crate::GuardConfig;
use loss::{Base, Loss};

/// How much a source contributes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Size {
    /// Mountpoints that its procs serve; a claim that another proc won is none.
    pub(crate) routes: usize,
    pub(crate) endpoints: usize,
}

/// A proc that would be left without endpoints, and does not hand its routes to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Suspect {
    /// What the source says of it now; `None` when it left it out.
    pub(crate) said: Option<Arc<Proc>>,
    /// The endpoints in force.
    pub(crate) endpoints: Arc<[Endpoint]>,
}

/// What an update would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Judgement {
    pub(crate) after: Size,
    /// The procs that would lose something.
    pub(crate) losses: BTreeMap<ProcName, Loss>,
    pub(crate) suspects: BTreeMap<ProcName, Suspect>,
}

/// Why an update is too large a loss.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Excess {
    /// Nothing would be left.
    Everything(usize),
    /// So many of so many routes.
    Routes(usize, usize),
    /// So many of so many endpoints.
    Endpoints(usize, usize),
}

impl std::fmt::Display for Excess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Everything(routes) => write!(f, "it takes away all {routes} routes"),
            Self::Routes(taken, of) => write!(f, "it takes away {taken} of {of} routes"),
            Self::Endpoints(taken, of) => write!(f, "it takes away {taken} of {of} endpoints"),
        }
    }
}

/// Measures what of a source is in force.
pub(crate) fn size(in_force: &Snapshot, source: &SourceName) -> Size {
    if in_force.contributions().all(|known| known.source == *source) {
        return Size { routes: in_force.route_count(), endpoints: in_force.endpoint_count() };
    }
    let owned = in_force.claims().filter(|(_, queue)| queue.first().is_some_and(|owner| owner.source == *source));
    let procs = in_force.contribution(source).into_iter().flat_map(|known| known.procs.values());
    Size { routes: owned.count(), endpoints: procs.map(|proc| proc.endpoints.len()).sum() }
}

/// Judges a contribution; `before` is the size of what its source has in force, `held` what procs were that are held.
pub(crate) fn judge(
    in_force: &Snapshot,
    before: Size,
    candidate: &Contribution,
    held: &BTreeMap<ProcName, Base>,
) -> Judgement {
    let nothing = OrdMap::new();
    let known = in_force.contribution(&candidate.source).map_or(&nothing, |known| &known.procs);
    let mut change = Change::default();
    for item in known.diff(&candidate.procs) {
        let (name, old, new) = match item {
            DiffItem::Add(name, new) => (name, None, Some(new)),
            DiffItem::Remove(name, old) => (name, Some(old), None),
            DiffItem::Update { old: (name, old), new: (_, new) } => (name, Some(old), Some(new)),
        };
        change.count(in_force, &candidate.source, name, old, new);
    }
    let lost = change.lost(in_force, &candidate.source);
    let arrived = change.gained.iter().filter(|mountpoint| in_force.owner(mountpoint).is_none()).count();
    let after = Size {
        routes: (before.routes + arrived).saturating_sub(lost.departed),
        endpoints: (before.endpoints + change.endpoints_after).saturating_sub(change.endpoints_before),
    };
    let (losses, suspects) = change.losses(&lost.mountpoints, held);
    Judgement { after, losses, suspects }
}

/// Whether a loss is too large: of these routes, with this left in the end, of that much at first.
pub(crate) fn excess(routes_lost: usize, after: Size, of: Size, config: &GuardConfig) -> Option<Excess> {
    if of.routes > 0 && after.routes == 0 {
        return Some(Excess::Everything(of.routes));
    }
    // What was taken bit by bit counts too.
    let routes_taken = routes_lost.max(of.routes.saturating_sub(after.routes));
    if too_much(routes_taken, of.routes, config) {
        return Some(Excess::Routes(routes_taken, of.routes));
    }
    let endpoints_taken = of.endpoints.saturating_sub(after.endpoints);
    too_much(endpoints_taken, of.endpoints, config).then_some(Excess::Endpoints(endpoints_taken, of.endpoints))
}

/// Whether so many of so many are too large a share.
pub(crate) fn too_much(taken: usize, of: usize, config: &GuardConfig) -> bool {
    of >= config.floor.max(1) && taken as f64 > of as f64 * config.max_loss
}

/// The sum of what differs between two contributions.
#[derive(Default)]
struct Change {
    endpoints_before: usize,
    endpoints_after: usize,
    /// Mountpoints that are claimed no more, and by whom.
    left: BTreeMap<Mountpoint, BTreeSet<ProcName>>,
    gained: BTreeSet<Mountpoint>,
    /// Claimed by a changed proc that has endpoints.
    served: BTreeSet<Mountpoint>,
    procs: Vec<Changed>,
}

/// A proc that was there, and has changed.
struct Changed {
    name: ProcName,
    was: Base,
    said: Option<Arc<Proc>>,
    owned: Vec<Mountpoint>,
}

/// The routes that an update takes from its source.
struct Lost {
    /// Nobody claims them any more.
    mountpoints: BTreeSet<Mountpoint>,
    /// These, and those that go to another source.
    departed: usize,
}

impl Change {
    fn count(
        &mut self,
        in_force: &Snapshot,
        source: &SourceName,
        name: &ProcName,
        old: Option<&Arc<Proc>>,
        new: Option<&Arc<Proc>>,
    ) {
        let key = ProcKey { source: source.clone(), name: name.clone() };
        let known = in_force.proc(&key).map(|known| Arc::clone(&known.upstream.annotation));
        let claimed = match new.map(|new| &new.claims) {
            Some(Claims::Readable(annotation)) => Some(Arc::clone(annotation)),
            // Quarantined: the annotation in force stays.
            Some(Claims::Unreadable(_)) => known.clone(),
            None => None,
        };
        let before = known.as_ref().map_or(&[][..], |annotation| &annotation.mountpoints);
        let after = claimed.as_ref().map_or(&[][..], |annotation| &annotation.mountpoints);
        for mountpoint in before.iter().filter(|mountpoint| !after.contains(mountpoint)) {
            self.left.entry(mountpoint.clone()).or_default().insert(name.clone());
        }
        self.gained.extend(after.iter().filter(|mountpoint| !before.contains(mountpoint)).cloned());
        self.endpoints_before += old.map_or(0, |old| old.endpoints.len());
        let has = new.map_or(0, |new| new.endpoints.len());
        self.endpoints_after += has;
        if has > 0 {
            self.served.extend(after.iter().cloned());
        }
        if let Some(old) = old {
            let owned = before.iter().filter(|mountpoint| in_force.owner(mountpoint) == Some(&key)).cloned().collect();
            let was = Base { proc: Arc::clone(old), annotation: known.clone().unwrap_or_default() };
            self.procs.push(Changed { name: name.clone(), was, said: new.cloned(), owned });
        }
    }

    /// Finds the routes that are left by their owner and not taken by somebody else.
    fn lost(&self, in_force: &Snapshot, source: &SourceName) -> Lost {
        let mut lost = Lost { mountpoints: BTreeSet::new(), departed: 0 };
        let leaves = |key: &ProcKey, leaving: &BTreeSet<ProcName>| key.source == *source && leaving.contains(&key.name);
        let is_owned = |mountpoint, leaving| in_force.owner(mountpoint).is_some_and(|owner| leaves(owner, leaving));
        if !self.left.iter().any(|(mountpoint, leaving)| is_owned(mountpoint, leaving)) {
            return lost;
        }
        for (mountpoint, queue) in in_force.claims() {
            let Some(leaving) = self.left.get(mountpoint) else { continue };
            if !queue.first().is_some_and(|owner| leaves(owner, leaving)) {
                continue;
            }
            match queue.iter().find(|key| !leaves(key, leaving)) {
                Some(next) if next.source == *source => {}
                Some(_) => lost.departed += 1,
                None if self.gained.contains(mountpoint) => {}
                None => {
                    lost.departed += 1;
                    lost.mountpoints.insert(mountpoint.clone());
                }
            }
        }
        lost
    }

    fn losses(
        self,
        lost: &BTreeSet<Mountpoint>,
        held: &BTreeMap<ProcName, Base>,
    ) -> (BTreeMap<ProcName, Loss>, BTreeMap<ProcName, Suspect>) {
        let (mut losses, mut suspects) = (BTreeMap::new(), BTreeMap::new());
        for Changed { name, was, said, owned } in self.procs {
            let has = said.as_ref().map_or(0, |said| said.endpoints.len());
            let unserved = owned.iter().any(|mountpoint| !self.served.contains(mountpoint));
            let is_bereft = has == 0 && unserved && !was.proc.endpoints.is_empty();
            if is_bereft {
                suspects.insert(name.clone(), Suspect { said, endpoints: Arc::clone(&was.proc.endpoints) });
            }
            let no_route = owned.is_empty();
            let routes: BTreeSet<Mountpoint> = owned.into_iter().filter(|owned| lost.contains(owned)).collect();
            let base = held.get(&name).cloned().unwrap_or(was);
            let is_shrunk = has < base.proc.endpoints.len() && (has > 0 || no_route);
            if is_bereft || !routes.is_empty() {
                losses.insert(name, Loss { base, routes, endpoints_after: has, keeps_endpoints: has == 0 });
            } else if is_shrunk {
                losses.insert(name, Loss { base, routes, endpoints_after: has, keeps_endpoints: false });
            }
        }
        (losses, suspects)
    }
}

#[cfg(test)]
mod tests;
