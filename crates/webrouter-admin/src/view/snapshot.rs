//! The snapshot in force, whole.

use std::sync::Arc;

use webrouter_admin_api::{Claim, ProcView, SnapshotView};
use webrouter_routing::name::ProcKey;
use webrouter_routing::snapshot::{ProcInForce, Snapshot};

pub(crate) fn snapshot(snapshot: &Snapshot) -> SnapshotView {
    // The map's own serialisation is the one view of its pairs.
    let certificates = serde_json::to_value(snapshot.certificates()).and_then(serde_json::from_value);
    SnapshotView {
        generation: snapshot.generation().0,
        procs: snapshot.procs().map(|(key, proc)| proc_view(snapshot, key, proc)).collect(),
        domains: snapshot.domains().iter().map(ToString::to_string).collect(),
        certificates: certificates.unwrap_or_default(),
    }
}

fn proc_view(snapshot: &Snapshot, key: &ProcKey, proc: &Arc<ProcInForce>) -> ProcView {
    let annotation = &proc.upstream.annotation;
    let claims = annotation
        .mountpoints
        .iter()
        .map(|mountpoint| Claim { mountpoint: mountpoint.to_string(), owned: snapshot.owner(mountpoint) == Some(key) });
    ProcView {
        entry: key.name.to_string(),
        source: key.source.to_string(),
        upstream: proc.upstream.name.clone(),
        endpoints: proc.upstream.endpoints.iter().map(ToString::to_string).collect(),
        claims: claims.collect(),
        https_only: annotation.https_only,
        healthcheck: annotation.healthcheck.clone(),
        quarantined: proc.quarantine.as_ref().map(ToString::to_string),
        reasons: proc.reasons.iter().map(ToString::to_string).collect(),
    }
}
