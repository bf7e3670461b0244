//! Paths and JSON types shared by the admin server and the command line.
//!
//! Owns the words of the admin API and its OpenAPI document (`openapi.json`, held to the code by a test). Times are
//! RFC 3339 texts, ages and durations are seconds. Knows no server, no client and no routing type.

mod action;
mod certificates;
mod doctor;
mod endpoints;
mod events;
mod explain;
mod failures;
mod history;
mod openapi;
pub mod paths;
mod rejections;
mod routes;
mod snapshot;
mod status;
mod traffic;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use action::{HoldAction, HoldResolved};
pub use certificates::{CaFile, Certificate, CertificateFolder, FileProblem};
pub use doctor::{Doctor, Hop, HopKind, HopVerdict};
pub use endpoints::{
    Breaker, Drained, EndpointState, EndpointView, Endpoints, FailureReport, ProbeReport, RouteHealth, UpstreamHealth,
};
pub use events::{ProcChange, ProcChangeKind, TableChange, Tick};
pub use explain::{
    Explain, Field, ListenerVerdict, Outcome, PolicyKey, SentRequest, SetBy, Step, StepKind, StepVerdict,
};
pub use failures::{FailedAttempt, FailedRequest, Failures};
pub use history::{ChangeKind, Difference, History, HistoryEntry, Moved, Pin, Pinned, ProcDifference};
pub use openapi::openapi;
pub use rejections::{Claimant, Rejection, Rejections};
pub use routes::{Route, RouteFlag, Routes};
pub use snapshot::{Claim, ProcView, SnapshotView};
pub use status::{
    AccessLogStatus, ErrorReport, Hold, Listener, ListenerScope, Source, SourceKind, SourceState, Status, TableFrom,
};
pub use traffic::{Rates, TrafficReport, TrafficSort, UpstreamTraffic};

/// Why a request to the admin API was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiError {
    /// What is wrong.
    pub error: String,
    /// What to do about it.
    pub fix: String,
}
