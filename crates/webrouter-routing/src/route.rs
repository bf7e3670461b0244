//! Routes: a mountpoint with its upstream and policies.

use std::sync::Arc;

use crate::annotation::Annotation;
use crate::endpoint::Endpoint;
use crate::mountpoint::Mountpoint;
use crate::name::ProcKey;
use crate::policy::Policy;

/// An upstream's number: the same for as long as its proc is known, never used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UpstreamId(pub u32);

/// The pool behind a proc.
#[derive(Debug, PartialEq)]
pub struct Upstream {
    /// Its number; what outlives a snapshot is keyed by it.
    pub id: UpstreamId,
    /// Whose pool it is.
    pub proc: ProcKey,
    /// `<app>__upstream__<proc>`.
    pub name: String,
    /// Where requests go; empty while the proc has no container.
    pub endpoints: Arc<[Endpoint]>,
    /// The wishes in force.
    pub annotation: Arc<Annotation>,
    /// What follows from them and from the operator's.
    pub policy: Arc<Policy>,
}

/// A mountpoint that is in force.
#[derive(Debug, PartialEq)]
pub struct Route {
    /// The address.
    pub mountpoint: Mountpoint,
    /// Where its requests go, and with what policies.
    pub upstream: Arc<Upstream>,
}

impl Route {
    /// Whether plain requests shall be sent to https.
    pub fn https_only(&self) -> bool {
        self.upstream.annotation.https_only
    }
}
