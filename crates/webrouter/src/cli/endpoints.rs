//! `webrouter endpoints`

use clap::ValueEnum;
use webrouter_admin_api::{Breaker, EndpointState, EndpointView, Endpoints, ProbeReport, UpstreamHealth, paths};

use super::{Instance, Verdict, print, print_json, text};

/// Which endpoints are asked for.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// Only those of this app.
    #[arg(long)]
    app: Option<String>,
    /// Only those of this upstream.
    #[arg(long)]
    upstream: Option<String>,
    /// Only those in this state.
    #[arg(long)]
    state: Option<State>,
}

/// What an endpoint is good for.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    /// It gets requests.
    Up,
    /// New, with a health check that has not succeeded yet.
    Unproven,
    /// Its health check fails.
    Down,
    /// Its requests failed: left out for a while.
    Ejected,
    /// An operator drains it.
    Draining,
    /// It left the table and has requests still.
    Leaving,
}

pub(super) async fn endpoints(instance: &Instance, which: &Which) -> anyhow::Result<Verdict> {
    let mut query = vec![("limit", PAGE)];
    query.extend(which.app.as_deref().map(|app| ("app", app)));
    query.extend(which.upstream.as_deref().map(|upstream| ("upstream", upstream)));
    let state = which.state.as_ref().and_then(State::to_possible_value);
    query.extend(state.as_ref().map(|state| ("state", state.get_name())));
    // One page, so that the list is of one generation.
    let endpoints: Endpoints = instance.get(paths::ENDPOINTS, &query).await?;
    match instance.json {
        true => print_json(&endpoints),
        false => print(describe(&endpoints).as_bytes()),
    }
}

fn describe(page: &Endpoints) -> String {
    if page.endpoints.is_empty() {
        return format!("no endpoints (generation {})\n", page.generation);
    }
    let mut table = text::table(&["ENDPOINT", "UPSTREAM", "STATE", "FOR", "REQUESTS", "CONNECTIONS", "NOTES"]);
    for endpoint in &page.endpoints {
        let since = endpoint.since_s.map_or_else(|| "-".to_owned(), text::span);
        let (in_flight, connections) = (endpoint.in_flight.to_string(), endpoint.connections.to_string());
        let (state, notes) = (word(endpoint.state), evidence(endpoint).join("; "));
        table.add_row([&endpoint.endpoint, &endpoint.upstream, state, &since, &in_flight, &connections, &notes]);
    }
    let shown = match page.endpoints.len() {
        all if all == page.total => String::new(),
        some => format!(", the first {some} are shown; narrow them with --app, --upstream or --state"),
    };
    let alarms: String = page.upstreams.iter().filter_map(alarm).map(|alarm| alarm + "\n").collect();
    let count = format!("{} endpoints, generation {}{shown}\n", page.total, page.generation);
    text::lines(&table) + &alarms + &count
}

/// What is wrong with an upstream as a whole.
pub(super) fn alarm(upstream: &UpstreamHealth) -> Option<String> {
    let mut told = Vec::new();
    if upstream.fail_open {
        told.push("every endpoint is sick, so all are tried".to_owned());
    }
    match upstream.breaker {
        Breaker::Closed => {}
        Breaker::Open => told.push("its circuit breaker is open: requests are answered 503".to_owned()),
        Breaker::HalfOpen => told.push("its circuit breaker is half-open: a few requests go through".to_owned()),
    }
    if upstream.queue_length > 0 {
        told.push(format!("{} requests wait for an endpoint with room", upstream.queue_length));
    }
    (!told.is_empty()).then(|| format!("{}: {}", upstream.upstream, told.join("; ")))
}

/// The word of a state.
pub(super) fn word(state: EndpointState) -> &'static str {
    match state {
        EndpointState::Up => "up",
        EndpointState::Unproven => "unproven",
        EndpointState::Down => "down",
        EndpointState::Ejected => "ejected",
        EndpointState::Draining => "draining",
        EndpointState::Leaving => "leaving",
    }
}

/// What speaks for an endpoint's state.
pub(super) fn evidence(endpoint: &EndpointView) -> Vec<String> {
    let mut told = Vec::new();
    if let Some(left) = endpoint.ejected_for_s {
        told.push(format!("out for {} more", text::span(left)));
    }
    if let Some(probe) = &endpoint.last_probe {
        told.push(format!("probe {} ago: {}", text::span(probe.age_s), result(probe)));
    }
    if endpoint.failures > 0 {
        told.push(format!("{} failures in a row", endpoint.failures));
    }
    if let Some(failure) = &endpoint.last_failure {
        let how = failure.status.map_or_else(|| failure.cause.clone(), |status| format!("status {status}"));
        told.push(format!("last failure {} ago: {how}", text::span(failure.age_s)));
    }
    if endpoint.warmth < 1.0 {
        told.push(format!("slow start at {:.0}%", endpoint.warmth * 100.0));
    }
    if endpoint.weight > 1 {
        told.push(format!("weight {}", endpoint.weight));
    }
    told
}

fn result(probe: &ProbeReport) -> String {
    match (probe.status, &probe.error) {
        (Some(status), _) => format!("status {status} in {}", text::span(probe.took_s)),
        (None, Some(error)) => error.clone(),
        (None, None) => "no status".to_owned(),
    }
}

/// As many as an instance tells at once.
const PAGE: &str = "100000";

#[cfg(test)]
mod tests {
    use webrouter_admin_api::FailureReport;

    use super::*;

    fn endpoint() -> EndpointView {
        EndpointView {
            endpoint: "192.0.2.1:80".to_owned(),
            upstream: "demo__upstream__web".to_owned(),
            entry: Some("demo.web.web".to_owned()),
            source: Some("file".to_owned()),
            state: EndpointState::Up,
            since: None,
            since_s: None,
            in_flight: 0,
            connections: 0,
            weight: 1,
            warmth: 1.0,
            failures: 0,
            last_probe: None,
            last_failure: None,
            ejected_for_s: None,
        }
    }

    #[test]
    fn evidence_is_what_there_is() {
        let check = |endpoint: EndpointView, expected: &[&str]| assert_eq!(evidence(&endpoint), expected);
        check(endpoint(), &[]);
        let at = || "2026-11-22T17:23:00.000Z".to_owned();
        let probe = |status, error: Option<&str>| {
            let good = status == Some(200);
            Some(ProbeReport { at: at(), age_s: 2.0, took_s: 0.005, good, status, error: error.map(str::to_owned) })
        };
        check(EndpointView { last_probe: probe(Some(200), None), ..endpoint() }, &["probe 2s ago: status 200 in 5ms"]);
        let refused = probe(None, Some("connection refused"));
        check(EndpointView { last_probe: refused, ..endpoint() }, &["probe 2s ago: connection refused"]);
        let failure =
            |status| Some(FailureReport { at: at(), age_s: 61.0, cause: "connect_refused".to_owned(), status });
        check(
            EndpointView { ejected_for_s: Some(8.0), failures: 3, last_failure: failure(None), ..endpoint() },
            &["out for 8s more", "3 failures in a row", "last failure 1m 1s ago: connect_refused"],
        );
        check(EndpointView { last_failure: failure(Some(502)), ..endpoint() }, &["last failure 1m 1s ago: status 502"]);
        check(EndpointView { warmth: 0.25, weight: 3, ..endpoint() }, &["slow start at 25%", "weight 3"]);
    }

    #[test]
    fn an_upstream_is_told_when_something_is_wrong() {
        let check = |fail_open, breaker, queue_length, expected: Option<&str>| {
            let upstream = UpstreamHealth { upstream: "a".to_owned(), fail_open, breaker, queue_length };
            assert_eq!(alarm(&upstream).as_deref(), expected);
        };
        check(false, Breaker::Closed, 0, None);
        check(true, Breaker::Closed, 0, Some("a: every endpoint is sick, so all are tried"));
        check(
            false,
            Breaker::Open,
            2,
            Some(
                "a: its circuit breaker is open: requests are answered 503; 2 requests wait for an endpoint with room",
            ),
        );
    }
}
