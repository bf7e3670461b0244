//! Brings the gauges that mirror discovery and the fleet up to date; done for each scrape, so that nobody has to remember it.

use std::time::SystemTime;

use webrouter_discovery::status::SourceState;
use webrouter_telemetry::metrics::{FleetHealth, SourceHealth, TableInForce};

use crate::state::AdminState;
use crate::view::certificates::BAD_CERTIFICATE;

pub(crate) fn set(state: &AdminState) {
    let (snapshot, status) = (state.discovery.table(), state.discovery.status());
    let node = state.metrics.node();
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    node.set_table(TableInForce {
        generation: snapshot.generation().0,
        routes: count(snapshot.route_count()),
        procs: count(snapshot.proc_count()),
        last_apply: status.last_apply,
        ready: state.not_ready_because(&status).is_none(),
    });
    let fleet = state.fleet.summary(&snapshot);
    node.set_fleet(FleetHealth {
        endpoints: fleet.by_state.into_iter().map(|(state, number)| (state.as_str(), count(number))).collect(),
        fail_open: fleet.fail_open,
        circuit_open: fleet.breakers_open,
        ejections: fleet.ejections,
        queued: fleet.queued,
    });
    let rejected = snapshot.rejection_counts().map(|(kind, number)| (kind, count(number)));
    let tls = state.certificates.as_deref();
    let unserved = tls.map(|tls| (BAD_CERTIFICATE, count(tls.rejections(&snapshot).len())));
    node.set_rejections(rejected.chain(unserved));
    let certificates = tls.map(|tls| tls.report().certificates).unwrap_or_default();
    let ends = certificates.into_iter().filter_map(|certificate| {
        let since_1970 = certificate.not_after?.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Some((certificate.stem, since_1970.as_secs()))
    });
    node.set_certificates(ends.collect());
    node.set_hold(status.hold.is_some());
    for source in &status.sources {
        let connected = source.state == SourceState::Following;
        node.set_source(&source.name, SourceHealth { connected, last_news: source.last_news_at });
    }
    if let Some(access_log) = &state.access_log {
        node.set_access_log(access_log.losses());
    }
}
