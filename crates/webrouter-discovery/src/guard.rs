//! Whether an update may be believed: what it would take away, measured against what is in force. Pure.
//!
//! Two things are kept back: a whole update that takes away too large a share of its source's routes or endpoints, and
//! single procs that would be left without any endpoint although theirs may still answer (`gate` finds out). Shares are
//! of one source; a source with fewer than `floor` routes is guarded only against losing all of them, so that removing
//! one of two apps is nobody's business.

pub(crate) mod gate;
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

/// How much a source contributes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Size {
    /// Claimed mountpoints.
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
    /// Why it is to be kept back as a whole.
    pub(crate) loss: Option<String>,
    pub(crate) suspects: BTreeMap<ProcName, Suspect>,
}

/// Measures what of a source is in force.
pub(crate) fn size(in_force: &Snapshot, source: &SourceName) -> Size {
    let procs = in_force.procs().filter(|(key, _)| key.source == *source);
    procs.fold(Size::default(), |size, (_, proc)| Size {
        routes: size.routes + proc.upstream.annotation.mountpoints.len(),
        endpoints: size.endpoints + proc.upstream.endpoints.len(),
    })
}

/// Judges a contribution; `before` is the size of what its source has in force.
pub(crate) fn judge(in_force: &Snapshot, before: Size, candidate: &Contribution, config: &GuardConfig) -> Judgement {
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
    let after = Size {
        routes: (before.routes + change.routes_after).saturating_sub(change.routes_before),
        endpoints: (before.endpoints + change.endpoints_after).saturating_sub(change.endpoints_before),
    };
    let taken = change.lost.difference(&change.gained).count();
    let loss = loss(before, after, taken, config);
    Judgement { after, loss, suspects: change.suspects() }
}

fn loss(before: Size, after: Size, routes_taken: usize, config: &GuardConfig) -> Option<String> {
    let too_much = |taken: usize, of: usize| of >= config.floor.max(1) && taken as f64 > of as f64 * config.max_loss;
    if before.routes > 0 && after.routes == 0 {
        return Some(format!("it takes away all {} routes", before.routes));
    }
    if too_much(routes_taken, before.routes) {
        return Some(format!("it takes away {routes_taken} of {} routes", before.routes));
    }
    let endpoints_taken = before.endpoints.saturating_sub(after.endpoints);
    too_much(endpoints_taken, before.endpoints)
        .then(|| format!("it takes away {endpoints_taken} of {} endpoints", before.endpoints))
}

/// The sum of what differs between two contributions.
#[derive(Default)]
struct Change {
    routes_before: usize,
    routes_after: usize,
    endpoints_before: usize,
    endpoints_after: usize,
    lost: BTreeSet<Mountpoint>,
    gained: BTreeSet<Mountpoint>,
    /// Claimed by a changed proc that has endpoints.
    served: BTreeSet<Mountpoint>,
    bereft: Vec<(ProcName, Suspect, Vec<Mountpoint>)>,
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
        self.routes_before += before.len();
        self.routes_after += after.len();
        self.lost.extend(before.iter().filter(|mountpoint| !after.contains(mountpoint)).cloned());
        self.gained.extend(after.iter().filter(|mountpoint| !before.contains(mountpoint)).cloned());
        let (had, has) = (old.map_or(0, |old| old.endpoints.len()), new.map_or(0, |new| new.endpoints.len()));
        self.endpoints_before += had;
        self.endpoints_after += has;
        if has > 0 {
            self.served.extend(after.iter().cloned());
        }
        if let Some(old) = old
            && had > 0
            && has == 0
        {
            let owned = before.iter().filter(|mountpoint| in_force.owner(mountpoint) == Some(&key)).cloned().collect();
            let suspect = Suspect { said: new.cloned(), endpoints: Arc::clone(&old.endpoints) };
            self.bereft.push((name.clone(), suspect, owned));
        }
    }

    fn suspects(self) -> BTreeMap<ProcName, Suspect> {
        let served = self.served;
        let unserved = |owned: &[Mountpoint]| owned.iter().any(|mountpoint| !served.contains(mountpoint));
        self.bereft.into_iter().filter(|(_, _, owned)| unserved(owned)).map(|(name, s, _)| (name, s)).collect()
    }
}

#[cfg(test)]
mod tests;
