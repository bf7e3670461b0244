//! Where things are.

/// 200 while the process lives.
pub const HEALTHZ: &str = "/healthz";
/// 200 while a full table is in force and the instance is not stopping, else 503.
pub const READYZ: &str = "/readyz";
/// [`crate::Status`].
pub const STATUS: &str = "/v1/status";
/// [`crate::Routes`]; `?host=`, `?app=`, `?limit=`, `?offset=`.
pub const ROUTES: &str = "/v1/routes";
/// [`crate::Endpoints`]; `?app=`, `?upstream=`, `?state=`, `?limit=`, `?offset=`.
pub const ENDPOINTS: &str = "/v1/endpoints";
/// POST: keeps new requests from an endpoint; `?wait=`. DELETE: takes that back. Both answer [`crate::Drained`].
pub const ENDPOINT_DRAIN: &str = "/v1/endpoints/{endpoint}/drain";
/// [`crate::TrafficReport`]; `?app=`, `?sort=`, `?limit=`.
pub const TRAFFIC: &str = "/v1/traffic";
/// A stream of server-sent events: [`crate::Tick`] as `tick` each second, [`crate::TableChange`] as `table`.
pub const EVENTS: &str = "/v1/events";
/// [`crate::SnapshotView`].
pub const SNAPSHOT: &str = "/v1/snapshot";
/// [`crate::History`]; `?app=`, `?limit=`, `?before=`.
pub const HISTORY: &str = "/v1/history";
/// [`crate::Difference`]; `?from=`, `?to=`.
pub const DIFF: &str = "/v1/diff";
/// POST: back to the table of `?generation=`. DELETE: ends that. Both answer [`crate::Pinned`].
pub const ROLLBACK: &str = "/v1/rollback";
/// POST: keeps an app as it is, or was in `?generation=`. DELETE: ends that. Both answer [`crate::Pinned`].
pub const PIN: &str = "/v1/pins/{app}";
/// [`crate::Explain`]; `?url=`, `?method=`, `?client=`, `?at=`, `?generation=`.
pub const EXPLAIN: &str = "/v1/explain";
/// [`crate::Failures`]; `?id=`, `?app=`, `?limit=`.
pub const FAILURES: &str = "/v1/failures";
/// [`crate::Doctor`] of the router itself.
pub const DOCTOR: &str = "/v1/doctor";
/// [`crate::Doctor`] of an app, `app.proc` or entry.
pub const DOCTOR_APP: &str = "/v1/doctor/{app}";
/// [`crate::Rejections`].
pub const REJECTIONS: &str = "/v1/rejections";
/// POST: lets a held update through; `?id=`.
pub const HOLD_ACCEPT: &str = "/v1/hold/accept";
/// POST: refuses a held update; `?id=`.
pub const HOLD_REFUSE: &str = "/v1/hold/refuse";
/// OpenMetrics text for Prometheus.
pub const METRICS: &str = "/metrics";
/// The OpenAPI document.
pub const OPENAPI: &str = "/openapi.json";

/// The path of [`ENDPOINT_DRAIN`] for an endpoint, `ip:port`.
pub fn endpoint_drain(endpoint: &str) -> String {
    // What an address may hold beside letters, digits, `.` and `:`, which stand for themselves in a path.
    let encoded = endpoint.replace('%', "%25").replace('[', "%5B").replace(']', "%5D");
    ENDPOINT_DRAIN.replace("{endpoint}", &encoded)
}

/// The path of [`DOCTOR_APP`] for a name of letters, digits, `-`, `_` and `.`, which stand for themselves in a path.
pub fn doctor_app(app: &str) -> String {
    DOCTOR_APP.replace("{app}", app)
}

/// The path of [`PIN`] for an app.
pub fn pin(app: &str) -> String {
    // Whatever is no app's name names none.
    let encoded: String = app.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect();
    PIN.replace("{app}", &encoded)
}

/// A POST or DELETE must carry this field with the value [`ACTION_VALUE`]: a page of another site cannot send it unasked.
pub const ACTION_HEADER: &str = "x-webrouter-action";
/// The value of [`ACTION_HEADER`].
pub const ACTION_VALUE: &str = "1";
