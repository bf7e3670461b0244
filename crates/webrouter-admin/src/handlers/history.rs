//! What was in force before, and going back to it.

use std::time::SystemTime;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Extension, Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use webrouter_admin_api::{ApiError, Difference, History, Pinned, paths};
use webrouter_discovery::PinError;
use webrouter_discovery::history::{HistoryError, When};
use webrouter_routing::duration;
use webrouter_routing::snapshot::Generation;

use super::{Failure, off_runtime, unreadable};
use crate::server::Peer;
use crate::state::AdminState;
use crate::view;

/// Which part of the history is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    app: Option<String>,
    limit: Option<usize>,
    before: Option<u64>,
}

pub(super) async fn history(
    State(state): State<AdminState>,
    part: Result<Query<Part>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(part) = part.map_err(unreadable)?;
    let page = off_runtime(move || {
        let limit = part.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
        let page = state.discovery.history(part.app.as_deref(), part.before, limit)?;
        let next = page.last().filter(|_| page.len() == limit).map(|last| last.id);
        let entries = page.iter().map(|entry| view::history::entry(entry, part.app.as_deref())).collect();
        let lost = state.discovery.status().generations_lost;
        Ok(Json(History { entries, next, lost }).into_response())
    });
    page.await?.map_err(unknown)
}

/// Two generations.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Between {
    from: u64,
    to: u64,
}

pub(super) async fn diff(
    State(state): State<AdminState>,
    between: Result<Query<Between>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(Between { from, to }) = between.map_err(unreadable)?;
    let difference = off_runtime(move || {
        let changes = state.discovery.difference(Generation(from), Generation(to))?;
        let changes = changes.iter().map(view::history::change).collect();
        Ok(Json(Difference { from, to, changes }).into_response())
    });
    difference.await?.map_err(unknown)
}

/// Which generation is meant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Target {
    generation: Option<u64>,
}

pub(super) async fn rollback(
    State(state): State<AdminState>,
    Extension(peer): Extension<Peer>,
    target: Result<Query<Target>, QueryRejection>,
) -> Result<Json<Pinned>, Failure> {
    let Query(target) = target.map_err(unreadable)?;
    let generation = target.generation.ok_or_else(|| {
        let fix = "name it: ?generation=N".to_owned();
        Failure(StatusCode::BAD_REQUEST, ApiError { error: "no generation is named".into(), fix })
    })?;
    told(state.discovery.rollback(Generation(generation), &peer.to_string()).await)
}

pub(super) async fn end_rollback(
    State(state): State<AdminState>,
    Extension(peer): Extension<Peer>,
) -> Result<Json<Pinned>, Failure> {
    told(state.discovery.end_rollback(&peer.to_string()).await)
}

pub(super) async fn pin(
    State(state): State<AdminState>,
    Extension(peer): Extension<Peer>,
    app: Result<Path<String>, PathRejection>,
    target: Result<Query<Target>, QueryRejection>,
) -> Result<Json<Pinned>, Failure> {
    let Query(target) = target.map_err(unreadable)?;
    told(state.discovery.pin(&named(app)?, target.generation.map(Generation), &peer.to_string()).await)
}

pub(super) async fn unpin(
    State(state): State<AdminState>,
    Extension(peer): Extension<Peer>,
    app: Result<Path<String>, PathRejection>,
) -> Result<Json<Pinned>, Failure> {
    told(state.discovery.unpin(&named(app)?, &peer.to_string()).await)
}

/// The table that a question is about, when it is not the one in force.
pub(super) fn when(at: Option<&str>, generation: Option<u64>) -> Result<Option<When>, ApiError> {
    let Some(text) = at else { return Ok(generation.map(|number| When::Generation(Generation(number)))) };
    let ago = duration::parse(text).and_then(|ago| SystemTime::now().checked_sub(ago));
    let time = ago.or_else(|| text.parse::<Timestamp>().ok().map(SystemTime::from));
    time.map(|time| Some(When::At(time))).ok_or_else(|| ApiError {
        error: format!("`{}` is no time", text.escape_debug()),
        fix: "write one like 2026-11-22T17:23:00Z, or 10m for ten minutes ago".into(),
    })
}

/// Why the history has no answer, as the API tells it.
pub(super) fn explained(error: &HistoryError) -> ApiError {
    ApiError { error: error.to_string(), fix: format!("see {}; the oldest generations are let go of", paths::HISTORY) }
}

fn unknown(error: HistoryError) -> Failure {
    let status = match error {
        HistoryError::NoSuchGeneration(_) | HistoryError::BeforeHistory => StatusCode::NOT_FOUND,
        HistoryError::Unreadable(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Failure(status, explained(&error))
}

fn named(app: Result<Path<String>, PathRejection>) -> Result<String, Failure> {
    let refuse = |rejection: PathRejection| ApiError { error: rejection.body_text(), fix: "name an app".into() };
    app.map(|Path(app)| app).map_err(|rejection| Failure(StatusCode::BAD_REQUEST, refuse(rejection)))
}

fn told(done: Result<webrouter_discovery::Pinned, PinError>) -> Result<Json<Pinned>, Failure> {
    let refused = |error: PinError| {
        let (status, fix) = match error {
            PinError::History(error) => return unknown(error),
            PinError::NothingDiffers(_) => (StatusCode::CONFLICT, "nothing needs to be done"),
            PinError::NotPinned(_) | PinError::NoRollback => (StatusCode::CONFLICT, "see `pins` in /v1/status"),
            PinError::NoSuchApp(..) => (StatusCode::NOT_FOUND, "see /v1/routes for the apps in force"),
            PinError::Stopped => (StatusCode::SERVICE_UNAVAILABLE, "ask another instance"),
        };
        Failure(status, ApiError { error: error.to_string().escape_debug().to_string(), fix: fix.into() })
    };
    let pinned = done.map_err(refused)?;
    Ok(Json(Pinned { generation: pinned.generation.0, apps: pinned.apps }))
}

const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 1_000;
