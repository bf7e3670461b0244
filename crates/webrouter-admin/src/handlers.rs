//! One handler per path.

mod doctor;
mod drain;
mod history;

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response, Sse};
use axum::routing::{get, post};
use axum::{Extension, Json, Router, middleware};
use http::{Method, StatusCode, Uri, header};
use serde::{Deserialize, Serialize};
use webrouter_admin_api::{ApiError, HoldAction, HoldResolved, paths};
use webrouter_discovery::status::{HoldDecision, HoldError};
use webrouter_telemetry::metrics;

use crate::explain::{self, Question};
use crate::live::{Live, Stream, Taken};
use crate::state::AdminState;
use crate::view::{endpoints, failures, routes, traffic};
use crate::{dashboard, guard, view};

pub(crate) use doctor::Examinations;
pub(crate) use drain::LONGEST_WAIT;

/// All paths, behind the guard.
pub(crate) fn router(state: AdminState, live: Arc<Live>) -> Router {
    Router::new()
        .merge(dashboard::routes())
        .route(paths::HEALTHZ, get(async || "alive\n"))
        .route(paths::READYZ, get(readyz))
        .route(paths::STATUS, get(status))
        .route(paths::ROUTES, get(routes))
        .route(paths::ENDPOINTS, get(endpoints))
        .route(paths::ENDPOINT_DRAIN, post(drain::drain).delete(drain::undrain))
        .route(paths::TRAFFIC, get(traffic))
        .route(paths::EVENTS, get(events))
        .route(paths::SNAPSHOT, get(snapshot))
        .route(paths::EXPLAIN, get(explain))
        .route(paths::FAILURES, get(failures))
        .route(paths::DOCTOR, get(doctor::router))
        .route(paths::DOCTOR_APP, get(doctor::app))
        .route(paths::HISTORY, get(history::history))
        .route(paths::DIFF, get(history::diff))
        .route(paths::ROLLBACK, post(history::rollback).delete(history::end_rollback))
        .route(paths::PIN, post(history::pin).delete(history::unpin))
        .route(paths::REJECTIONS, get(rejections))
        .route(paths::HOLD_ACCEPT, post(accept))
        .route(paths::HOLD_REFUSE, post(refuse))
        .route(paths::METRICS, get(metrics_page))
        .route(paths::OPENAPI, get(async || Json(webrouter_admin_api::openapi())))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(Extension(Arc::new(doctor::Examinations::default())))
        .layer(Extension(live))
        .layer(middleware::from_fn_with_state(state.clone(), guard::guard))
        .with_state(state)
}

async fn readyz(State(state): State<AdminState>) -> Response {
    match state.not_ready_because(&state.discovery.status()) {
        None => "ready\n".into_response(),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")).into_response(),
    }
}

async fn status(State(state): State<AdminState>) -> Result<Response, Failure> {
    told(move || view::status::status(&state)).await
}

async fn routes(
    State(state): State<AdminState>,
    filter: Result<Query<routes::Filter>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(filter) = filter.map_err(unreadable)?;
    told(move || view::routes::routes(&state.discovery.table(), state.certificates.as_deref(), &filter)).await
}

async fn endpoints(
    State(state): State<AdminState>,
    filter: Result<Query<endpoints::Filter>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(filter) = filter.map_err(unreadable)?;
    told(move || view::endpoints::endpoints(&state.discovery.table(), &state.fleet, &filter)).await
}

async fn snapshot(State(state): State<AdminState>) -> Result<Response, Failure> {
    told(move || view::snapshot::snapshot(&state.discovery.table())).await
}

async fn rejections(State(state): State<AdminState>) -> Result<Response, Failure> {
    told(move || view::rejections::rejections(&state.discovery.table(), state.certificates.as_deref())).await
}

async fn failures(
    State(state): State<AdminState>,
    filter: Result<Query<failures::Filter>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(filter) = filter.map_err(unreadable)?;
    told(move || view::failures::failures(&state.failures, &filter)).await
}

async fn explain(
    State(state): State<AdminState>,
    question: Result<Query<Question>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(question) = question.map_err(unreadable)?;
    let explained = off_runtime(move || {
        let when = history::when(question.at.as_deref(), question.generation)?;
        let then = when.map(|when| state.discovery.table_of(when).map_err(|error| history::explained(&error)));
        let then = then.transpose()?;
        let snapshot = then.clone().unwrap_or_else(|| state.discovery.table());
        let mut explained = explain::explain(
            &snapshot,
            &state.listeners,
            state.certificates.as_deref(),
            state.unknown_host,
            &question,
        )?;
        // How endpoints were then, nobody knows any more.
        if then.is_none() {
            explain::health::tell(&mut explained, &snapshot, &state.fleet);
            let app = explained.route.as_ref().map(|route| route.app.as_str());
            let pins = view::history::pins(&state.discovery.status().pins);
            explained.pin = pins.into_iter().find(|pin| Some(pin.app.as_str()) == app);
        }
        Ok(Json(explained).into_response())
    });
    explained.await?.map_err(|error| Failure(StatusCode::BAD_REQUEST, error))
}

async fn metrics_page(State(state): State<AdminState>) -> Result<Response, Failure> {
    let page = off_runtime(move || state.metrics_page()).await?;
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], page).into_response())
}

async fn traffic(
    Extension(live): Extension<Arc<Live>>,
    filter: Result<Query<traffic::Filter>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(filter) = filter.map_err(unreadable)?;
    told(move || view::traffic::traffic(&live.recent, &filter)).await
}

async fn events(Extension(live): Extension<Arc<Live>>) -> Result<Sse<Stream>, Failure> {
    live.stream().map(Sse::new).map_err(|taken| {
        let (error, fix) = match taken {
            Taken::All => ("all streams of events are taken", "close a page, or ask again in a few seconds"),
            Taken::Stopping => ("the instance is stopping", "ask another instance"),
        };
        Failure(StatusCode::SERVICE_UNAVAILABLE, ApiError { error: error.into(), fix: fix.into() })
    })
}

/// Which hold is meant; all when absent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WhichHold {
    id: Option<u64>,
}

async fn accept(
    State(state): State<AdminState>,
    which: Result<Query<WhichHold>, QueryRejection>,
) -> Result<Json<HoldResolved>, Failure> {
    resolve(&state, HoldAction::Accept, HoldDecision::Accept, which).await
}

async fn refuse(
    State(state): State<AdminState>,
    which: Result<Query<WhichHold>, QueryRejection>,
) -> Result<Json<HoldResolved>, Failure> {
    resolve(&state, HoldAction::Refuse, HoldDecision::Refuse, which).await
}

async fn resolve(
    state: &AdminState,
    action: HoldAction,
    decision: HoldDecision,
    which: Result<Query<WhichHold>, QueryRejection>,
) -> Result<Json<HoldResolved>, Failure> {
    let Query(which) = which.map_err(unreadable)?;
    state.discovery.resolve_hold(decision, which.id).await.map_err(|error| {
        let (status, fix) = match error {
            HoldError::NothingHeld => (StatusCode::CONFLICT, "nothing needs to be done"),
            HoldError::SeveralHolds(_) => (StatusCode::CONFLICT, "name the one that is meant: ?id=N, or --id N"),
            HoldError::NoSuchHold(_) => (StatusCode::CONFLICT, "look at the hold in /v1/status and decide anew"),
            HoldError::Stopped => (StatusCode::SERVICE_UNAVAILABLE, "ask another instance"),
        };
        Failure(status, ApiError { error: error.to_string(), fix: fix.into() })
    })?;
    tracing::info!(?action, hold = which.id, "an operator decided about a held update");
    let generation = state.discovery.table().generation().0;
    Ok(Json(HoldResolved { action, generation }))
}

async fn not_found(uri: Uri) -> Failure {
    let error = format!("there is nothing at {}", uri.path());
    Failure(StatusCode::NOT_FOUND, ApiError { error, fix: format!("see {}", paths::OPENAPI) })
}

async fn method_not_allowed(method: Method, uri: Uri) -> Failure {
    let error = format!("{method} is not served at {}", uri.path());
    Failure(StatusCode::METHOD_NOT_ALLOWED, ApiError { error, fix: format!("see {}", paths::OPENAPI) })
}

/// An answer other than 2xx.
pub(crate) struct Failure(StatusCode, ApiError);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

pub(crate) fn unreadable(rejection: QueryRejection) -> Failure {
    let fix = format!("see the parameters of this path in {}", paths::OPENAPI);
    Failure(StatusCode::BAD_REQUEST, ApiError { error: rejection.body_text(), fix })
}

/// A view as JSON.
async fn told<T: Serialize>(make: impl FnOnce() -> T + Send + 'static) -> Result<Response, Failure> {
    off_runtime(move || Json(make()).into_response()).await
}

/// Works on a thread for blocking work: at 100,000 apps it takes long enough to be in somebody's way.
pub(crate) async fn off_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(broken)
}

fn broken(error: tokio::task::JoinError) -> Failure {
    tracing::error!(%error, "an admin answer could not be made");
    let fix = "report it with the log of this moment".to_owned();
    Failure(StatusCode::INTERNAL_SERVER_ERROR, ApiError { error: "the answer could not be made".into(), fix })
}
