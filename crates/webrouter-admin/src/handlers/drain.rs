//! Taking an endpoint out of service ahead of its stop, and back.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use http::StatusCode;
use serde::Deserialize;
use tokio::time::{Instant, sleep};
use webrouter_admin_api::{ApiError, Drained, paths};
use webrouter_proxy::fleet::report::{self, Draining};
use webrouter_routing::duration;
use webrouter_routing::endpoint::Endpoint;

use super::{Failure, off_runtime, unreadable};
use crate::state::AdminState;

/// How long to wait for the last request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Patience {
    wait: Option<String>,
}

pub(super) async fn drain(
    State(state): State<AdminState>,
    endpoint: Result<Path<String>, PathRejection>,
    patience: Result<Query<Patience>, QueryRejection>,
) -> Result<Json<Drained>, Failure> {
    let Query(patience) = patience.map_err(unreadable)?;
    let wait = patience.wait.as_deref().map_or(Ok(Duration::ZERO), read_wait)?;
    let endpoint = read_endpoint(endpoint)?;
    let drained = tell(&state, endpoint, Draining::On).await?;
    let until = Instant::now() + wait;
    while drained.in_flight() > 0 && Instant::now() < until {
        sleep(LOOK_AGAIN.min(until.saturating_duration_since(Instant::now()))).await;
    }
    Ok(Json(view(endpoint, Draining::On, &drained)))
}

pub(super) async fn undrain(
    State(state): State<AdminState>,
    endpoint: Result<Path<String>, PathRejection>,
) -> Result<Json<Drained>, Failure> {
    let endpoint = read_endpoint(endpoint)?;
    let drained = tell(&state, endpoint, Draining::Off).await?;
    Ok(Json(view(endpoint, Draining::Off, &drained)))
}

async fn tell(state: &AdminState, endpoint: Endpoint, draining: Draining) -> Result<report::Drained, Failure> {
    let (discovery, fleet) = (state.discovery.clone(), state.fleet.clone());
    let told = off_runtime(move || fleet.drain(&discovery.table(), endpoint, draining));
    let drained = told.await?.ok_or_else(|| {
        let error = format!("no upstream holds {endpoint}");
        Failure(StatusCode::NOT_FOUND, ApiError { error, fix: format!("GET {} lists the endpoints", paths::ENDPOINTS) })
    })?;
    if drained.news {
        tracing::info!(%endpoint, ?draining, upstreams = drained.upstreams.len(), "an operator decided about an endpoint");
    }
    Ok(drained)
}

fn view(endpoint: Endpoint, draining: Draining, drained: &report::Drained) -> Drained {
    Drained {
        endpoint: endpoint.to_string(),
        upstreams: drained.upstreams.clone(),
        in_flight: drained.in_flight(),
        draining: draining == Draining::On,
        exhausted: drained.exhausted.clone(),
    }
}

fn read_endpoint(endpoint: Result<Path<String>, PathRejection>) -> Result<Endpoint, Failure> {
    let refuse = |error: String| {
        let fix = "name it as ip:port, such as 172.20.0.3:8000 or [fd00::3]:8000".to_owned();
        Failure(StatusCode::BAD_REQUEST, ApiError { error, fix })
    };
    let Path(text) = endpoint.map_err(|rejection| refuse(rejection.body_text()))?;
    Endpoint::parse(&text).map_err(|error| refuse(error.to_string()))
}

fn read_wait(text: &str) -> Result<Duration, Failure> {
    duration::parse(text).filter(|wait| *wait <= LONGEST_WAIT).ok_or_else(|| {
        let error = format!("`{}` is not a time to wait", text.escape_debug());
        let fix = format!("write a number with its unit, such as 30s; at most {}", duration::render(LONGEST_WAIT));
        Failure(StatusCode::BAD_REQUEST, ApiError { error, fix })
    })
}

/// For the last request of an endpoint; who wants to wait longer asks again.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
