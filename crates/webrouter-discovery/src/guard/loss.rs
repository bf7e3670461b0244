//! What one proc would lose, and how it is served while that is held.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use webrouter_routing::annotation::Annotation;
use webrouter_routing::contribution::{Claims, Proc};
use webrouter_routing::mountpoint::Mountpoint;

/// A proc as it was before it lost something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base {
    pub(crate) proc: Arc<Proc>,
    /// The annotation in force; not the proc's own while that cannot be read.
    pub(crate) annotation: Arc<Annotation>,
}

/// What an update would take from a proc.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Loss {
    pub(crate) base: Base,
    /// The routes that nobody else claims.
    pub(crate) routes: BTreeSet<Mountpoint>,
    pub(crate) endpoints_after: usize,
    /// Whether endpoints are kept; otherwise those count that the source says, although there are fewer.
    pub(crate) keeps_endpoints: bool,
}

impl Loss {
    /// Whether the proc only has fewer endpoints than before, which is what a deployment looks like.
    pub(crate) fn is_shrinking(&self) -> bool {
        self.routes.is_empty() && !self.keeps_endpoints
    }

    /// How many endpoints the source has given up.
    pub(crate) fn endpoints_lost(&self) -> usize {
        self.base.proc.endpoints.len().saturating_sub(self.endpoints_after)
    }

    /// How many of them are kept.
    pub(crate) fn endpoints_kept(&self) -> usize {
        if self.keeps_endpoints { self.endpoints_lost() } else { 0 }
    }

    /// Whether another loss of the same proc takes nothing but what this one takes.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        other.routes.is_subset(&self.routes) && other.endpoints_kept() <= self.endpoints_kept()
    }

    /// The proc with all that the source says of it, and with what it would lose by that.
    pub(crate) fn undone(&self, said: Option<&Arc<Proc>>) -> Arc<Proc> {
        let said = said.unwrap_or(&self.base.proc);
        let mut kept = Proc::clone(said);
        if let Claims::Readable(annotation) = &said.claims {
            let mut annotation = Annotation::clone(annotation);
            let lost = self.routes.iter().filter(|lost| !annotation.mountpoints.contains(lost));
            let lost: Vec<Mountpoint> = lost.cloned().collect();
            annotation.mountpoints.extend(lost);
            kept.claims = Claims::Readable(Arc::new(annotation));
        }
        if self.keeps_endpoints {
            let now: HashSet<_> = said.endpoints.iter().collect();
            let were = self.base.proc.endpoints.iter().filter(|was| !now.contains(was));
            kept.endpoints = said.endpoints.iter().chain(were).copied().collect();
        }
        Arc::new(kept)
    }
}
