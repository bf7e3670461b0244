//! How the endpoints of the route that won are, and what that means for a request of this moment.

use webrouter_admin_api::{Breaker, EndpointState, Explain, Outcome};
use webrouter_proxy::fleet::Fleet;
use webrouter_routing::name::{ProcKey, ProcName, SourceName};
use webrouter_routing::snapshot::Snapshot;

use crate::view::endpoints;

/// Adds it to an explanation made of the same snapshot.
pub(crate) fn tell(explained: &mut Explain, snapshot: &Snapshot, fleet: &Fleet) {
    let Some(route) = &explained.route else { return };
    let Ok(name) = ProcName::parse(&route.entry) else { return };
    let Some(proc) = snapshot.proc(&ProcKey { source: SourceName::new(&route.source), name }) else { return };
    let health = endpoints::route_health(&fleet.report_one(&proc.upstream));
    if explained.outcome == Outcome::Forwarded {
        if health.endpoints.iter().all(|endpoint| endpoint.state == EndpointState::Draining) {
            explained.outcome = Outcome::NoEndpoint;
            explained.status = Some(503);
            explained.sent = None;
            explained.summary = format!("answered 503: every endpoint of {} is being drained", proc.upstream.proc);
        } else if health.upstream.breaker == Breaker::Open {
            explained.summary.push_str(", when its circuit breaker closes: it is open, and requests are answered 503");
        } else if health.upstream.fail_open {
            explained.summary.push_str(": all are sick, so all are tried");
        }
    }
    explained.health = Some(health);
}
