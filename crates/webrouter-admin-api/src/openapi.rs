//! The OpenAPI document, generated from the types and the declarations below.

use utoipa::OpenApi;

use crate::{
    ApiError, Difference, Doctor, Drained, EndpointState, Endpoints, Explain, Failures, History, HoldResolved, Pinned,
    Rejections, Routes, SnapshotView, Status, TableChange, Tick, TrafficReport, TrafficSort,
};

/// The OpenAPI document of the admin API.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// The document: every path of [`crate::paths`].
#[derive(OpenApi)]
#[openapi(
    info(
        title = "webrouter admin API",
        description = "Reads all, decides nothing. A POST or DELETE must carry `X-Webrouter-Action: 1`. The Host of a request \
                       must be an IP address, `localhost` or the configured name.",
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT")
    ),
    paths(
        healthz,
        readyz,
        status,
        routes,
        endpoints,
        drain,
        undrain,
        traffic,
        events,
        snapshot,
        explain,
        failures,
        doctor,
        doctor_app,
        history,
        diff,
        rollback,
        end_rollback,
        pin,
        unpin,
        rejections,
        hold_accept,
        hold_refuse,
        metrics,
        document
    ),
    // The events of a stream are named by no path.
    components(schemas(Tick, TableChange))
)]
struct Document;

/// The declarations of one path each; they are read by the macro and never called.
macro_rules! declare {
    ($($(#[$attribute:meta])* $name:ident;)+) => {
        $($(#[$attribute])* #[expect(dead_code, reason = "read by the OpenApi macro, never called")] fn $name() {})+
    };
}

declare! {
    #[utoipa::path(get, path = "/healthz", summary = "Whether the process lives",
        responses((status = 200, description = "It does", body = String, content_type = "text/plain")))]
    healthz;

    #[utoipa::path(get, path = "/readyz", summary = "Whether requests should be sent here",
        responses(
            (status = 200, description = "A full table is in force", body = String, content_type = "text/plain"),
            (status = 503, description = "Not, or the instance is stopping; the body says why", body = String,
                content_type = "text/plain")))]
    readyz;

    #[utoipa::path(get, path = "/v1/status", summary = "How the instance is doing",
        responses((status = 200, description = "The state", body = Status)))]
    status;

    #[utoipa::path(get, path = "/v1/routes", summary = "The routes in force",
        params(
            ("host" = Option<String>, Query, description = "Only mountpoints of this host"),
            ("app" = Option<String>, Query, description = "Only routes of this app"),
            ("limit" = Option<usize>, Query, description = "At most so many; 1000 when absent, 100000 at most"),
            ("offset" = Option<usize>, Query, description = "Leave out so many first")),
        responses(
            (status = 200, description = "A page of routes", body = Routes),
            (status = 400, description = "A parameter cannot be read", body = ApiError)))]
    routes;

    #[utoipa::path(get, path = "/v1/endpoints", summary = "How the endpoints are",
        params(
            ("app" = Option<String>, Query, description = "Only endpoints of this app"),
            ("upstream" = Option<String>, Query, description = "Only endpoints of this upstream"),
            ("state" = Option<EndpointState>, Query, description = "Only endpoints in this state"),
            ("limit" = Option<usize>, Query, description = "At most so many; 1000 when absent, 100000 at most"),
            ("offset" = Option<usize>, Query, description = "Leave out so many first")),
        responses(
            (status = 200, description = "A page of endpoints", body = Endpoints),
            (status = 400, description = "A parameter cannot be read", body = ApiError)))]
    endpoints;

    #[utoipa::path(post, path = "/v1/endpoints/{endpoint}/drain",
        summary = "Keeps new requests from an endpoint, ahead of its stop; asked again, tells how many are left",
        params(
            ("endpoint" = String, Path, description = "`ip:port`"),
            ("wait" = Option<String>, Query, description = "Answer when no request is left, or after so long: `30s`; \
                60s at most"),
            ("X-Webrouter-Action" = String, Header, description = "Must be 1")),
        responses(
            (status = 200, description = "It gets no new request", body = Drained),
            (status = 400, description = "A parameter cannot be read", body = ApiError),
            (status = 403, description = "Without X-Webrouter-Action", body = ApiError),
            (status = 404, description = "No upstream holds it, and no request is left there", body = ApiError)))]
    drain;

    #[utoipa::path(delete, path = "/v1/endpoints/{endpoint}/drain", summary = "Gives an endpoint requests again",
        params(
            ("endpoint" = String, Path, description = "`ip:port`"),
            ("X-Webrouter-Action" = String, Header, description = "Must be 1")),
        responses(
            (status = 200, description = "It gets requests", body = Drained),
            (status = 400, description = "A parameter cannot be read", body = ApiError),
            (status = 403, description = "Without X-Webrouter-Action", body = ApiError),
            (status = 404, description = "No upstream holds it", body = ApiError)))]
    undrain;

    #[utoipa::path(get, path = "/v1/traffic", summary = "Rates and times of the last seconds, by upstream",
        params(
            ("app" = Option<String>, Query, description = "Only upstreams of this app"),
            ("sort" = Option<TrafficSort>, Query, description = "What comes first; `rate` when absent"),
            ("limit" = Option<usize>, Query, description = "At most so many; 100 when absent, 10000 at most")),
        responses(
            (status = 200, description = "The traffic", body = TrafficReport),
            (status = 400, description = "A parameter cannot be read", body = ApiError)))]
    traffic;

    #[utoipa::path(get, path = "/v1/events",
        summary = "What happens, as it happens: server-sent events `tick` (Tick) and `table` (TableChange). A stream \
            ends after a minute, at stop, and when its reader is slow: connect again, and read the state anew",
        responses(
            (status = 200, description = "A stream", body = String, content_type = "text/event-stream"),
            (status = 503, description = "All streams are taken, or the instance stops", body = ApiError)))]
    events;

    #[utoipa::path(get, path = "/v1/snapshot", summary = "The snapshot in force, whole",
        responses((status = 200, description = "The snapshot", body = SnapshotView)))]
    snapshot;

    #[utoipa::path(get, path = "/v1/explain", summary = "Why a request goes where it goes",
        params(
            ("url" = String, Query, description = "The URL, or host and path"),
            ("method" = Option<String>, Query, description = "The method; GET when absent"),
            ("client" = Option<String>, Query, description = "The client's IP address; 192.0.2.1 when absent")),
        responses(
            (status = 200, description = "The decision", body = Explain),
            (status = 400, description = "A parameter cannot be read", body = ApiError)))]
    explain;

    #[utoipa::path(get, path = "/v1/failures", summary = "The last requests that failed, and why",
        params(
            ("id" = Option<String>, Query, description = "Only requests with this X-Request-Id"),
            ("app" = Option<String>, Query, description = "Only requests to this app"),
            ("limit" = Option<usize>, Query, description = "At most so many; 20 when absent, 1000 at most")),
        responses(
            (status = 200, description = "The failures, the newest first", body = Failures),
            (status = 400, description = "A parameter cannot be read", body = ApiError)))]
    failures;
    #[utoipa::path(get, path = "/v1/doctor", summary = "How the router itself is, hop by hop",
        responses((status = 200, description = "The verdicts, good or bad", body = Doctor)))]
    doctor;

    #[utoipa::path(get, path = "/v1/doctor/{app}",
        summary = "Why an app cannot be reached: each hop from its containers to the news of its source, looked at now",
        params(("app" = String, Path, description = "An app, `app.proc`, or an entry")),
        responses(
            (status = 200, description = "The verdicts, good or bad, at most a second old; also of a name that nobody knows",
                body = Doctor),
            (status = 400, description = "Not a name", body = ApiError)))]
    doctor_app;

    #[utoipa::path(get, path = "/v1/rejections", summary = "What is not taken, and why",
        responses((status = 200, description = "The rejections in force", body = Rejections)))]
    rejections;

    #[utoipa::path(get, path = "/v1/history", summary = "What was in force, the newest first",
        params(
            ("app" = Option<String>, Query, description = "Only what concerns this app"),
            ("limit" = Option<usize>, Query, description = "At most so many; 20 when absent, 1000 at most"),
            ("before" = Option<u64>, Query, description = "Only entries before this id")),
        responses(
            (status = 200, description = "A page", body = History),
            (status = 400, description = "A parameter cannot be read", body = ApiError)))]
    history;

    #[utoipa::path(get, path = "/v1/diff", summary = "What differs between two generations",
        params(
            ("from" = u64, Query, description = "The one"),
            ("to" = u64, Query, description = "The other")),
        responses(
            (status = 200, description = "The difference", body = Difference),
            (status = 400, description = "A parameter cannot be read", body = ApiError),
            (status = 404, description = "One is not in the history", body = ApiError)))]
    diff;

    #[utoipa::path(post, path = "/v1/rollback",
        summary = "Back to the table of a generation: every app that differs is pinned to it, endpoints included",
        params(
            ("generation" = u64, Query, description = "Which one"),
            ("X-Webrouter-Action" = String, Header, description = "Must be 1")),
        responses(
            (status = 200, description = "In force", body = Pinned),
            (status = 403, description = "Without X-Webrouter-Action", body = ApiError),
            (status = 404, description = "It is not in the history", body = ApiError),
            (status = 409, description = "Nothing differs", body = ApiError)))]
    rollback;

    #[utoipa::path(delete, path = "/v1/rollback", summary = "Ends a rollback: its apps follow their sources again",
        params(("X-Webrouter-Action" = String, Header, description = "Must be 1")),
        responses(
            (status = 200, description = "Ended", body = Pinned),
            (status = 403, description = "Without X-Webrouter-Action", body = ApiError),
            (status = 409, description = "There is none", body = ApiError)))]
    end_rollback;

    #[utoipa::path(post, path = "/v1/pins/{app}", summary = "Keeps an app at a version, whatever its sources say",
        params(
            ("app" = String, Path, description = "The app"),
            ("generation" = Option<u64>, Query, description = "As it was then; as it is when absent"),
            ("X-Webrouter-Action" = String, Header, description = "Must be 1")),
        responses(
            (status = 200, description = "In force", body = Pinned),
            (status = 403, description = "Without X-Webrouter-Action", body = ApiError),
            (status = 404, description = "No such app, or no such generation", body = ApiError)))]
    pin;

    #[utoipa::path(delete, path = "/v1/pins/{app}", summary = "Lets an app follow its sources again",
        params(
            ("app" = String, Path, description = "The app"),
            ("X-Webrouter-Action" = String, Header, description = "Must be 1")),
        responses(
            (status = 200, description = "It does", body = Pinned),
            (status = 403, description = "Without X-Webrouter-Action", body = ApiError),
            (status = 409, description = "It is not pinned", body = ApiError)))]
    unpin;

    #[utoipa::path(post, path = "/v1/hold/accept", summary = "Lets held updates through",
        params(
            ("id" = Option<u64>, Query, description = "Only this one; all when absent"),
            ("X-Webrouter-Action" = String, Header, description = "Must be 1")),
        responses(
            (status = 200, description = "Done", body = HoldResolved),
            (status = 403, description = "Without X-Webrouter-Action", body = ApiError),
            (status = 409, description = "Nothing, or not this one, is held", body = ApiError)))]
    hold_accept;

    #[utoipa::path(post, path = "/v1/hold/refuse", summary = "Refuses held updates",
        params(
            ("id" = Option<u64>, Query, description = "Only this one; all when absent"),
            ("X-Webrouter-Action" = String, Header, description = "Must be 1")),
        responses(
            (status = 200, description = "Done", body = HoldResolved),
            (status = 403, description = "Without X-Webrouter-Action", body = ApiError),
            (status = 409, description = "Nothing, or not this one, is held", body = ApiError)))]
    hold_refuse;

    #[utoipa::path(get, path = "/metrics", summary = "Metrics for Prometheus",
        responses((status = 200, description = "OpenMetrics text", body = String,
            content_type = "application/openmetrics-text")))]
    metrics;

    #[utoipa::path(get, path = "/openapi.json", summary = "This document",
        responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json")))]
    document;
}

#[cfg(test)]
mod tests {
    use crate::paths;

    #[test]
    fn the_committed_document_is_that_of_the_code() {
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        let document = super::openapi().to_pretty_json().expect("serialises") + "\n";
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(golden, &document).expect("the golden file is written");
        }
        let committed = std::fs::read_to_string(golden).expect("the golden file");
        assert_eq!(document, committed, "run with UPDATE=1 when the change is meant");
    }

    #[test]
    fn every_path_is_documented() {
        let document = super::openapi();
        let documented: Vec<&str> = document.paths.paths.keys().map(String::as_str).collect();
        let mut expected = [
            paths::HEALTHZ,
            paths::READYZ,
            paths::STATUS,
            paths::ROUTES,
            paths::ENDPOINTS,
            paths::ENDPOINT_DRAIN,
            paths::TRAFFIC,
            paths::EVENTS,
            paths::SNAPSHOT,
            paths::EXPLAIN,
            paths::FAILURES,
            paths::DOCTOR,
            paths::DOCTOR_APP,
            paths::HISTORY,
            paths::DIFF,
            paths::ROLLBACK,
            paths::PIN,
            paths::REJECTIONS,
            paths::HOLD_ACCEPT,
            paths::HOLD_REFUSE,
            paths::METRICS,
            paths::OPENAPI,
        ];
        expected.sort_unstable();
        assert_eq!(documented, expected);
    }
}
