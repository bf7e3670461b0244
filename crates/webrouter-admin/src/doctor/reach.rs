//! Whether the endpoints can be reached from this process, now: TCP, then the health path.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use webrouter_admin_api::{Hop, HopKind};
use webrouter_proxy::fleet::report::{EndpointReport, State};
use webrouter_proxy::fleet::{Fleet, probe_once};
use webrouter_routing::endpoint::Endpoint;
use webrouter_routing::name::ProcKey;
use webrouter_routing::route::Upstream;

use super::gather::Patient;
use super::hop::{broken, ok, skipped};
use super::{AT_A_TIME, MAX_ENDPOINTS, PROBE_WITHIN};

/// What came of asking each endpoint: how it is well, or why it is not.
pub(super) type Reached = BTreeMap<(ProcKey, Endpoint), Result<String, Unreached>>;

/// How far it was got.
pub(super) enum Unreached {
    NotConnected(String),
    Unhealthy(String),
}

/// Asks the endpoints of the table, the first hundred.
pub(super) async fn reach(patients: &[Patient]) -> Reached {
    let mut reached = Reached::new();
    let mut asking = JoinSet::new();
    for (upstream, endpoint) in to_ask(patients) {
        if asking.len() >= AT_A_TIME
            && let Some(Ok((key, outcome))) = asking.join_next().await
        {
            reached.insert(key, outcome);
        }
        asking.spawn(async move { ((upstream.proc.clone(), endpoint), ask(&upstream, endpoint).await) });
    }
    while let Some(answered) = asking.join_next().await {
        if let Ok((key, outcome)) = answered {
            reached.insert(key, outcome);
        }
    }
    reached
}

fn to_ask(patients: &[Patient]) -> Vec<(Arc<Upstream>, Endpoint)> {
    let upstreams = patients.iter().filter_map(|patient| Some(&patient.in_force.as_ref()?.upstream));
    let all =
        upstreams.flat_map(|upstream| upstream.endpoints.iter().map(|&endpoint| (Arc::clone(upstream), endpoint)));
    all.take(MAX_ENDPOINTS).collect()
}

async fn ask(upstream: &Upstream, endpoint: Endpoint) -> Result<String, Unreached> {
    let began = Instant::now();
    let half = PROBE_WITHIN / 2;
    let connected = match timeout(half, TcpStream::connect(endpoint.address())).await {
        Ok(Ok(_)) => format!("connected in {}", milliseconds(began.elapsed())),
        Ok(Err(error)) => return Err(Unreached::NotConnected(reason(&error))),
        Err(_) => return Err(Unreached::NotConnected(format!("no answer to a TCP connect within {half:?}"))),
    };
    let Some(path) = upstream.annotation.healthcheck.as_deref() else { return Ok(connected) };
    match probe_once(endpoint, upstream, half).await {
        Ok(Some(probe)) => {
            let took = milliseconds(probe.took);
            match probe.result {
                Ok(status) if probe.is_good() => Ok(format!("{connected}; {path} answers {status} in {took}")),
                Ok(status) => Err(Unreached::Unhealthy(format!("{connected}; {path} answers {status} in {took}"))),
                Err(error) => Err(Unreached::Unhealthy(format!("{connected}; {path}: {error} ({took})"))),
            }
        }
        Ok(None) => Ok(connected),
        Err(error) => Err(Unreached::Unhealthy(error.to_string())),
    }
}

pub(super) fn hop(patient: &Patient, reached: &Reached, fleet: Option<&Fleet>) -> Hop {
    let Some(proc) = &patient.in_force else {
        return skipped(HopKind::Reach, "the table does not have the proc");
    };
    let upstream = &proc.upstream;
    if upstream.endpoints.is_empty() {
        return skipped(HopKind::Reach, "the table has no endpoint of it");
    }
    let reports = fleet.map(|fleet| fleet.report_one(upstream)).map(|report| report.endpoints).unwrap_or_default();
    let mut evidence = Vec::new();
    let (mut not_connected, mut unhealthy, mut kept_out, mut asked) = (0, 0, 0, 0);
    for endpoint in upstream.endpoints.iter() {
        let Some(outcome) = reached.get(&(patient.key.clone(), *endpoint)) else { continue };
        asked += 1;
        let report = reports.iter().find(|report| report.endpoint == *endpoint);
        let mut line = match outcome {
            Ok(well) => {
                kept_out += usize::from(report.is_some_and(is_kept_out));
                format!("{endpoint}: {well}")
            }
            Err(Unreached::NotConnected(why)) => {
                not_connected += 1;
                format!("{endpoint}: {why}")
            }
            Err(Unreached::Unhealthy(why)) => {
                unhealthy += 1;
                format!("{endpoint}: {why}")
            }
        };
        if let Some(report) = report {
            line.push_str(&standing(report));
        }
        evidence.push(line);
    }
    let all = upstream.endpoints.len();
    if asked < all {
        evidence.push(format!("{} more were not asked", all - asked));
    }
    let path = upstream.annotation.healthcheck.as_deref().unwrap_or_default();
    match (not_connected, unhealthy, kept_out) {
        (0, 0, 0) if asked == 0 => {
            skipped(HopKind::Reach, "enough endpoints of other procs were asked: ask for this proc alone")
        }
        (0, 0, 0) => ok(HopKind::Reach, evidence),
        (0, 0, _) => broken(
            HopKind::Reach,
            evidence,
            "they answer now, but are kept out: by their health until enough checks in a row are good, or by an operator \
             (`webrouter drain IP:PORT --undo`)",
        ),
        (0, ..) => broken(
            HopKind::Reach,
            evidence,
            format!("see in the app's log why it does not answer {path} with 2xx or 3xx"),
        ),
        (..) => broken(
            HopKind::Reach,
            evidence,
            "see that the app listens on that port on every interface (not on 127.0.0.1), and that no firewall or missing \
             network route is between it and this router",
        ),
    }
}

fn is_kept_out(report: &EndpointReport) -> bool {
    matches!(report.state, State::Down | State::Ejected | State::Draining)
}

/// How the fleet takes it, where that is news.
fn standing(report: &EndpointReport) -> String {
    let mut told = String::new();
    if report.state != State::Up {
        told.push_str(&format!("; it is {}", report.state.as_str()));
    }
    if let Some(probe) = report.last_probe.as_ref().filter(|probe| !probe.is_good()) {
        let age = probe.at.elapsed().unwrap_or_default().as_secs();
        let result = probe.result.map_or_else(|error| error.to_string(), |status| status.to_string());
        told.push_str(&format!("; the last health check, {age} s ago: {result}"));
    }
    if let Some(failure) = report.last_failure {
        let age = failure.at.elapsed().unwrap_or_default().as_secs();
        told.push_str(&format!("; the last request that failed, {age} s ago: {}", failure.cause.as_str()));
    }
    told
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused: nobody listens there".to_owned(),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => format!("no way there: {error}"),
        _ => error.to_string(),
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}
