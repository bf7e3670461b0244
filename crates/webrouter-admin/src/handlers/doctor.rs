//! The doctor over HTTP: one examination of a name at a time, few of all, and whoever asks again soon gets the same.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::{Extension, Json};
use http::StatusCode;
use tokio::sync::{Mutex, Semaphore};
use webrouter_admin_api::{ApiError, Doctor, Hop, HopKind, HopVerdict};

use super::Failure;
use crate::doctor::{Inputs, RouterInputs, Subject, Table, examine, examine_router};
use crate::state::AdminState;

/// Examinations under way, and those of the last second.
pub(crate) struct Examinations {
    slots: Mutex<BTreeMap<Option<Subject>, Slot>>,
    at_a_time: Semaphore,
}

/// Held by whoever examines; the last outcome, and when it came.
type Slot = Arc<Mutex<Option<(Instant, Doctor)>>>;

impl Default for Examinations {
    fn default() -> Self {
        Self { slots: Mutex::default(), at_a_time: Semaphore::new(AT_A_TIME) }
    }
}

impl Examinations {
    /// What there is to say of an app.
    pub(crate) async fn of_app(
        &self,
        state: &AdminState,
        app: Result<Path<String>, PathRejection>,
    ) -> Result<Doctor, Failure> {
        let refuse = |error: String| {
            let fix = "ask for an app, such as demo, or app.proc, such as demo.web".to_owned();
            Failure(StatusCode::BAD_REQUEST, ApiError { error, fix })
        };
        let Path(app) = app.map_err(|rejection| refuse(rejection.body_text()))?;
        let subject = Subject::parse(&app).map_err(|error| refuse(error.to_string()))?;
        let key = Some(subject.clone());
        let examination = async { examine(&inputs(state), &subject, vec![instance(state)]).await };
        Ok(self.outcome(key, examination).await)
    }

    /// What there is to say of the router itself.
    pub(crate) async fn of_router(&self, state: &AdminState) -> Doctor {
        let router = RouterInputs {
            listeners: state.listeners.to_vec(),
            access_log: state.access_log.clone(),
            started: Some((state.started, state.started_steady)),
        };
        let examination = async { examine_router(&inputs(state), &router, vec![instance(state)]).await };
        self.outcome(None, examination).await
    }

    /// The outcome of a moment ago, or of an examination that begins now.
    async fn outcome(&self, of: Option<Subject>, examination: impl Future<Output = Doctor>) -> Doctor {
        let slot = self.slot(of).await;
        let mut outcome = slot.lock().await;
        if let Some((at, doctor)) = outcome.as_ref()
            && at.elapsed() < FRESH
        {
            return doctor.clone();
        }
        // It is never closed.
        let _place = self.at_a_time.acquire().await.ok();
        let doctor = examination.await;
        *outcome = Some((Instant::now(), doctor.clone()));
        doctor
    }

    async fn slot(&self, of: Option<Subject>) -> Slot {
        let mut slots = self.slots.lock().await;
        if slots.len() >= REMEMBERED {
            // What nobody waits for is forgotten.
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(slots.entry(of).or_default())
    }
}

pub(super) async fn app(
    State(state): State<AdminState>,
    Extension(examinations): Extension<Arc<Examinations>>,
    app: Result<Path<String>, PathRejection>,
) -> Result<Json<Doctor>, Failure> {
    examinations.of_app(&state, app).await.map(Json)
}

pub(super) async fn router(
    State(state): State<AdminState>,
    Extension(examinations): Extension<Arc<Examinations>>,
) -> Json<Doctor> {
    Json(examinations.of_router(&state).await)
}

fn inputs(state: &AdminState) -> Inputs {
    Inputs {
        table: Table::InForce(state.discovery.clone()),
        fleet: Some(Arc::clone(&state.fleet)),
        certificates: state.certificates.clone(),
        surroundings: state.surroundings.clone(),
    }
}

fn instance(state: &AdminState) -> Hop {
    let status = state.discovery.status();
    let up = state.started_steady.elapsed().as_secs();
    let hop = |verdict, evidence: String, advice: Option<&str>| Hop {
        kind: HopKind::Instance,
        entry: None,
        source: None,
        verdict,
        evidence: vec![evidence],
        advice: advice.map(str::to_owned),
    };
    match state.not_ready_because(&status) {
        None => hop(HopVerdict::Ok, format!("it is up for {up} s and ready"), None),
        Some(why) => {
            let advice = "see the hop `watch` of its sources; where it is stopping, ask another instance";
            hop(HopVerdict::Broken, format!("it is up for {up} s, but not ready: {why}"), Some(advice))
        }
    }
}

/// For so long an outcome is given again.
const FRESH: Duration = Duration::from_secs(1);
/// Examinations of different names; each asks many at a time itself.
const AT_A_TIME: usize = 2;
const REMEMBERED: usize = 64;
