//! Contributions: all that one source says now.

use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use crate::annotation::Annotation;
use crate::certificate::CertificateMap;
use crate::endpoint::Endpoint;
use crate::host::Host;
use crate::name::{ProcName, SourceName};
use crate::rejection::Reason;

/// The whole view of one source; cloning it and changing a few procs is cheap, the rest is shared.
#[derive(Debug, Clone, PartialEq)]
pub struct Contribution {
    /// Who says it.
    pub source: SourceName,
    /// The entries by name.
    pub procs: OrdMap<ProcName, Arc<Proc>>,
    /// Entries whose key or value could not be read at all: (escaped key, reason).
    pub unreadable: Arc<Vec<(String, Reason)>>,
    /// Cluster settings.
    pub settings: Arc<Settings>,
}

impl Contribution {
    /// A source that says nothing.
    pub fn empty(source: SourceName) -> Self {
        Self { source, procs: OrdMap::new(), unreadable: Arc::default(), settings: Arc::default() }
    }
}

/// One entry: what a proc wishes, and where it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proc {
    /// What it wishes.
    pub claims: Claims,
    /// Its containers, in the source's order, without repetition.
    pub endpoints: Arc<[Endpoint]>,
    /// The parts of the entry that were not taken.
    pub reasons: Vec<Reason>,
}

/// A proc's annotation, or why it cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claims {
    /// Parsed.
    Readable(Arc<Annotation>),
    /// Quarantined: the last good annotation stays in force.
    Unreadable(Reason),
}

/// Cluster settings that a source may carry; `None` where it says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Which certificate serves which host.
    pub certificates: Option<CertificateMap>,
    /// Domains whose hosts are internal, besides the cluster's own.
    pub extra_domains: Option<Vec<Host>>,
}
