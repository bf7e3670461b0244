//! The pages for people: made whole by the server, readable without JavaScript, live with it.
//!
//! ```text
//! overview · map · app · rejections · past · doctor ─► layout ─► HTML        assets: style.css, live.js, icon.svg (in the binary)
//! ```
//! Every text goes through maud, which escapes it. Nothing is loaded from elsewhere, no script or style is inline. A new
//! page is a module, a route here and a line in [`layout::PAGES`]; a new part of an app's page is a line in `app`.

mod alarms;
mod app;
mod assets;
mod chart;
mod doctor;
mod endpoints;
mod layout;
mod list;
mod map;
mod overview;
mod past;
mod rejections;
mod words;

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use http::StatusCode;
use maud::Markup;

use crate::handlers::{Examinations, Failure, off_runtime, unreadable};
use crate::live::Live;
use crate::state::AdminState;
use list::Asked;

/// The pages and what they are made with.
pub(crate) fn routes() -> Router<AdminState> {
    Router::new()
        .route("/", get(overview))
        .route("/map", get(map))
        .route("/apps/{app}", get(app))
        .route("/rejections", get(rejections))
        .route("/history", get(history))
        .route("/doctor", get(router))
        .route("/doctor/{app}", get(doctor))
        .merge(assets::routes())
}

async fn overview(State(state): State<AdminState>, Extension(live): Extension<Arc<Live>>) -> Page {
    page(move || (StatusCode::OK, overview::page(&state, &live.recent))).await
}

async fn map(State(state): State<AdminState>, asked: Result<Query<Asked>, QueryRejection>) -> Page {
    let Query(asked) = asked.map_err(unreadable)?;
    page(move || (StatusCode::OK, map::page(&state, &asked))).await
}

async fn rejections(State(state): State<AdminState>, asked: Result<Query<Asked>, QueryRejection>) -> Page {
    let Query(asked) = asked.map_err(unreadable)?;
    page(move || (StatusCode::OK, rejections::page(&state, &asked))).await
}

async fn history(State(state): State<AdminState>, asked: Result<Query<past::Asked>, QueryRejection>) -> Page {
    let Query(asked) = asked.map_err(unreadable)?;
    page(move || (StatusCode::OK, past::page(&state, &asked))).await
}

async fn router(
    State(state): State<AdminState>,
    Extension(examinations): Extension<Arc<Examinations>>,
) -> Html<String> {
    Html(doctor::page(&examinations.of_router(&state).await).into_string())
}

async fn doctor(
    State(state): State<AdminState>,
    Extension(examinations): Extension<Arc<Examinations>>,
    app: Result<Path<String>, PathRejection>,
) -> Result<Html<String>, Failure> {
    let found = examinations.of_app(&state, app).await?;
    Ok(Html(doctor::page(&found).into_string()))
}

async fn app(
    State(state): State<AdminState>,
    Extension(live): Extension<Arc<Live>>,
    app: Result<Path<String>, PathRejection>,
) -> Page {
    let name = app.map(|Path(name)| name).unwrap_or_default();
    page(move || match app::page(&state, &live.recent, &name) {
        Some(page) => (StatusCode::OK, page),
        None => (StatusCode::NOT_FOUND, app::unknown(&name)),
    })
    .await
}

type Page = Result<Response, Failure>;

async fn page(make: impl FnOnce() -> (StatusCode, Markup) + Send + 'static) -> Page {
    let (status, page) = off_runtime(make).await?;
    Ok((status, Html(page.into_string())).into_response())
}
