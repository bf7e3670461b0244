//! Snapshots for the tests of this folder.

use std::sync::Arc;

use webrouter_routing::annotation::Annotation;
use webrouter_routing::contribution::{Claims, Contribution, Proc};
use webrouter_routing::endpoint::Endpoint;
use webrouter_routing::merge::{Defaults, merge};
use webrouter_routing::name::{ProcKey, ProcName, SourceName};
use webrouter_routing::policy::{HealthCheck, Policy};
use webrouter_routing::route::Upstream;
use webrouter_routing::snapshot::Snapshot;

/// A cluster that changes.
pub(super) struct Cluster {
    said: Contribution,
    defaults: Defaults,
    snapshot: Arc<Snapshot>,
}

impl Cluster {
    pub(super) fn new(health: HealthCheck) -> Self {
        let policy = Arc::new(Policy { health, ..Policy::default() });
        let defaults = Defaults { policy, ..Defaults::default() };
        let snapshot = Arc::new(Snapshot::empty(&defaults));
        Self { said: Contribution::empty(SourceName::new("test")), defaults, snapshot }
    }

    /// A proc with a health check, where a path is given, is there with these endpoints.
    pub(super) fn with(&mut self, app: &str, healthcheck: Option<&str>, endpoints: &[Endpoint]) -> &mut Self {
        let text = match healthcheck {
            Some(path) => format!(r#"{{"mountpoint":["{app}.test"],"healthcheck":"{path}"}}"#),
            None => format!(r#"{{"mountpoint":["{app}.test"]}}"#),
        };
        let (annotation, reasons) = Annotation::parse(&text).expect("an annotation");
        let claims = Claims::Readable(Arc::new(annotation));
        self.said.procs.insert(name(app), Arc::new(Proc { claims, endpoints: endpoints.into(), reasons }));
        self.merge()
    }

    pub(super) fn without(&mut self, app: &str) -> &mut Self {
        self.said.procs.remove(&name(app));
        self.merge()
    }

    fn merge(&mut self) -> &mut Self {
        self.snapshot = Arc::new(merge(&self.snapshot, std::slice::from_ref(&self.said), &self.defaults));
        self
    }

    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot)
    }

    pub(super) fn upstream(&self, app: &str) -> Arc<Upstream> {
        Arc::clone(&self.snapshot.proc(&key(app)).expect("the proc").upstream)
    }
}

pub(super) fn key(app: &str) -> ProcKey {
    ProcKey { source: SourceName::new("test"), name: name(app) }
}

fn name(app: &str) -> ProcName {
    ProcName::parse(&format!("{app}.web.web")).expect("a name")
}

/// The nth endpoint of a network where nobody is.
pub(super) fn endpoint(nth: u32) -> Endpoint {
    let [_, high, mid, low] = nth.to_be_bytes();
    Endpoint::parse(&format!("10.{high}.{mid}.{low}:8000")).expect("an endpoint")
}
