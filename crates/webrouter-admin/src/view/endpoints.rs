//! How the endpoints are.

use serde::Deserialize;
use webrouter_admin_api::{
    Breaker, EndpointState, EndpointView, Endpoints, FailureReport, ProbeReport, RouteHealth, UpstreamHealth,
};
use webrouter_proxy::fleet::Fleet;
use webrouter_proxy::fleet::report::{BreakerState, EndpointReport, Failure, Probe, State, UpstreamReport};
use webrouter_routing::name::ProcKey;
use webrouter_routing::route::Upstream;
use webrouter_routing::snapshot::Snapshot;

use super::{age, seconds, time};

/// Which endpoints are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    app: Option<String>,
    upstream: Option<String>,
    state: Option<EndpointState>,
    limit: Option<usize>,
    #[serde(default)]
    offset: usize,
}

impl Filter {
    fn wants(&self, upstream: &Upstream) -> bool {
        self.app.as_ref().is_none_or(|app| app == upstream.proc.name.app()) && self.wants_name(&upstream.name)
    }

    fn wants_name(&self, upstream: &str) -> bool {
        self.upstream.as_ref().is_none_or(|name| name == upstream)
    }

    /// Of an upstream that may have left the table: its name is all that is known.
    fn wants_departed(&self, upstream: &str) -> bool {
        let app = upstream.rsplit_once(UPSTREAM).map_or("", |(app, _)| app);
        self.app.as_ref().is_none_or(|wanted| wanted == app) && self.wants_name(upstream)
    }
}

/// One page of the endpoints.
pub(crate) fn endpoints(snapshot: &Snapshot, fleet: &Fleet, filter: &Filter) -> Endpoints {
    let limit = filter.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
    let mut page = Page::new(snapshot, filter.offset, limit);
    let is_asked_for = |report: &EndpointReport| filter.state.is_none_or(|state| state == word(report.state));
    page.fill(fleet.report(snapshot, |upstream| filter.wants(upstream)), is_asked_for);
    for leaving in fleet.leaving() {
        if filter.wants_departed(&leaving.upstream) && is_asked_for(&leaving.endpoint) {
            page.take(|| view(&leaving.upstream, None, &leaving.endpoint));
        }
    }
    page.0
}

/// The endpoints of the table that get no requests, or only because all are sick: as many as fit on a page for people.
pub(crate) fn unwell(snapshot: &Snapshot, fleet: &Fleet) -> Endpoints {
    let mut page = Page::new(snapshot, 0, SHOWN);
    let is_unwell = |report: &EndpointReport| !matches!(report.state, State::Up | State::Unproven);
    page.fill(fleet.report(snapshot, |_| true), is_unwell);
    page.0
}

/// The endpoints that an app has left behind, with requests still.
pub(crate) fn leaving(fleet: &Fleet, app: &str) -> Vec<EndpointView> {
    let filter = Filter { app: Some(app.to_owned()), ..Filter::default() };
    let leaving = fleet.leaving().into_iter().filter(|leaving| filter.wants_departed(&leaving.upstream));
    leaving.map(|leaving| view(&leaving.upstream, None, &leaving.endpoint)).collect()
}

/// The upstream of a route.
pub(crate) fn route_health(report: &UpstreamReport) -> RouteHealth {
    let Upstream { name, proc, .. } = report.upstream.as_ref();
    let endpoints = report.endpoints.iter().map(|endpoint| view(name, Some(proc), endpoint)).collect();
    RouteHealth { upstream: upstream_view(report), endpoints }
}

/// The word of a state.
pub(crate) fn word(state: State) -> EndpointState {
    match state {
        State::Up => EndpointState::Up,
        State::Unproven => EndpointState::Unproven,
        State::Down => EndpointState::Down,
        State::Ejected => EndpointState::Ejected,
        State::Draining => EndpointState::Draining,
        State::Leaving => EndpointState::Leaving,
    }
}

/// A page that is being filled.
struct Page(Endpoints);

impl Page {
    fn new(snapshot: &Snapshot, offset: usize, limit: usize) -> Self {
        let generation = snapshot.generation().0;
        Self(Endpoints { generation, total: 0, offset, limit, endpoints: Vec::new(), upstreams: Vec::new() })
    }

    fn fill(&mut self, reports: Vec<UpstreamReport>, wanted: impl Fn(&EndpointReport) -> bool) {
        for report in reports {
            let Upstream { name, proc, .. } = report.upstream.as_ref();
            let before = self.0.endpoints.len();
            for endpoint in report.endpoints.iter().filter(|endpoint| wanted(endpoint)) {
                self.take(|| view(name, Some(proc), endpoint));
            }
            if self.0.endpoints.len() > before {
                self.0.upstreams.push(upstream_view(&report));
            }
        }
    }

    fn take(&mut self, view: impl FnOnce() -> EndpointView) {
        if self.0.total >= self.0.offset && self.0.endpoints.len() < self.0.limit {
            self.0.endpoints.push(view());
        }
        self.0.total += 1;
    }
}

fn view(upstream: &str, proc: Option<&ProcKey>, report: &EndpointReport) -> EndpointView {
    EndpointView {
        endpoint: report.endpoint.to_string(),
        upstream: upstream.to_owned(),
        entry: proc.map(|proc| proc.name.to_string()),
        source: proc.map(|proc| proc.source.to_string()),
        state: word(report.state),
        since: report.since.map(time),
        since_s: report.since.map(age),
        in_flight: report.in_flight,
        connections: report.connections,
        weight: report.weight,
        warmth: (f64::from(report.warmth) * 1000.0).round() / 1000.0,
        failures: report.failures,
        last_probe: report.last_probe.as_ref().map(probe),
        last_failure: report.last_failure.as_ref().map(failure),
        ejected_for_s: report.ejected_for.map(seconds),
    }
}

fn probe(probe: &Probe) -> ProbeReport {
    ProbeReport {
        at: time(probe.at),
        age_s: age(probe.at),
        took_s: seconds(probe.took),
        good: probe.is_good(),
        status: probe.result.ok(),
        error: probe.result.err().map(|error| error.to_string()),
    }
}

fn failure(failure: &Failure) -> FailureReport {
    let Failure { at, cause, status } = *failure;
    FailureReport { at: time(at), age_s: age(at), cause: cause.as_str().to_owned(), status }
}

fn upstream_view(report: &UpstreamReport) -> UpstreamHealth {
    UpstreamHealth {
        upstream: report.upstream.name.clone(),
        fail_open: report.fail_open,
        breaker: match report.breaker {
            BreakerState::Closed => Breaker::Closed,
            BreakerState::Open => Breaker::Open,
            BreakerState::HalfOpen => Breaker::HalfOpen,
        },
        queue_length: report.queued,
    }
}

/// Between the app and the proc in an upstream's name.
pub(super) const UPSTREAM: &str = "__upstream__";
const DEFAULT_LIMIT: usize = 1_000;
const MAX_LIMIT: usize = 100_000;
const SHOWN: usize = 50;
