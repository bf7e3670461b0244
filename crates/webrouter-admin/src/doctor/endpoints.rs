//! Whether each container has an address and a port, by what its source says.

use webrouter_admin_api::{Hop, HopKind};
use webrouter_routing::rejection::Reason;

use super::gather::Patient;
use super::hop::{broken, listed, ok};

pub(super) fn hop(patient: &Patient) -> Hop {
    let in_force = patient.in_force.as_deref();
    let endpoints = match (&patient.fresh, in_force) {
        (Some(fresh), _) => fresh.endpoints.as_ref(),
        (None, Some(proc)) => proc.upstream.endpoints.as_ref(),
        (None, None) => &[],
    };
    let reasons = match (&patient.fresh, in_force) {
        (Some(fresh), _) => fresh.reasons.as_slice(),
        (None, Some(proc)) => proc.reasons.as_slice(),
        (None, None) => &[],
    };
    let bad: Vec<&Reason> = reasons.iter().filter(|reason| matches!(reason, Reason::BadEndpoint(_))).collect();
    let mut evidence: Vec<String> = bad.iter().map(ToString::to_string).collect();
    if !endpoints.is_empty() {
        evidence.push(format!("{} are good: {}", endpoints.len(), listed(endpoints.iter().map(ToString::to_string))));
    }
    match (bad.first(), endpoints.is_empty()) {
        (Some(reason), _) => broken(HopKind::Endpoints, evidence, reason.advice()),
        (None, true) => {
            evidence.push("no container is told of: requests are answered 503".to_owned());
            broken(
                HopKind::Endpoints,
                evidence,
                "start an instance of the proc, or see why its containers do not come up",
            )
        }
        (None, false) => ok(HopKind::Endpoints, evidence),
    }
}
