//! Requests that failed, and what to do about it.

use serde::Deserialize;
use webrouter_admin_api::{FailedAttempt, FailedRequest, Failures};
use webrouter_telemetry::cause::Cause;
use webrouter_telemetry::flight_recorder::{self, FlightRecorder};

use super::{age, seconds, time};

/// Which failures are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    id: Option<String>,
    app: Option<String>,
    limit: Option<usize>,
}

impl Filter {
    /// The failures of an app.
    pub(crate) fn of_app(app: &str) -> Self {
        Self { app: Some(app.to_owned()), ..Self::default() }
    }

    /// Of one app.
    fn wants(&self, failure: &flight_recorder::FailedRequest) -> bool {
        let app = || failure.upstream.rsplit_once(super::endpoints::UPSTREAM).map_or("", |(app, _)| app);
        self.id.as_ref().is_none_or(|id| *id == failure.id) && self.app.as_ref().is_none_or(|wanted| wanted == app())
    }
}

/// The failures that are asked for, the newest first.
pub(crate) fn failures(recorder: &FlightRecorder, filter: &Filter) -> Failures {
    let limit = filter.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
    let failures = recorder.failures(limit, |failure| filter.wants(failure));
    Failures { failures: failures.iter().map(view).collect() }
}

fn view(failure: &flight_recorder::FailedRequest) -> FailedRequest {
    let attempt = |attempt: &flight_recorder::FailedAttempt| FailedAttempt {
        endpoint: attempt.endpoint.to_string(),
        cause: attempt.cause.as_str().to_owned(),
        took_s: attempt.took.map(seconds),
    };
    FailedRequest {
        id: failure.id.clone(),
        at: time(failure.at),
        age_s: age(failure.at),
        client: failure.client.to_string(),
        method: failure.method.clone(),
        host: failure.host.clone(),
        path: failure.path.clone(),
        status: failure.status,
        cause: failure.cause.map(|cause| cause.as_str().to_owned()),
        meaning: failure.cause.map_or("The app itself answered so.", Cause::meaning).to_owned(),
        advice: advice(failure),
        route: failure.route.clone(),
        upstream: failure.upstream.clone(),
        endpoint: failure.endpoint.map(|endpoint| endpoint.to_string()),
        took_s: seconds(failure.took),
        upstream_s: failure.upstream_time.map(seconds),
        attempts: failure.attempts.iter().map(attempt).collect(),
    }
}

fn advice(failure: &flight_recorder::FailedRequest) -> String {
    use Cause::*;
    let flight_recorder::FailedRequest { upstream, host, path, .. } = failure;
    match failure.cause {
        None => format!("look at the log of the app behind {upstream} at that time"),
        Some(UnknownHost | OutOfScope | Misdirected | NoPath) => {
            format!("see which rules there are: webrouter explain http://{host}{path}")
        }
        Some(
            NoEndpoint | Draining | ConnectRefused | ConnectTimeout | ConnectFailed | UpstreamClosed | UpstreamReset
            | HostSilent | CircuitOpen | UpgradeFailed,
        ) => format!("see how the endpoints are: webrouter endpoints --upstream {upstream}"),
        Some(FirstByteTimeout | UpstreamTimeout | UpstreamWriteTimeout | RequestTimeout) => {
            format!("find out why {upstream} is slow, or give it more time (docs/policies.md)")
        }
        Some(QueueFull | QueueTimeout) => {
            format!("give {upstream} more endpoints, or a higher max_requests (docs/policies.md)")
        }
        Some(BadStatus | BadResponse | ResponseHeadTooLarge | BodyCut) => {
            format!("look at the log of the app behind {upstream} at that time: its answer was not whole")
        }
        Some(Loop) => format!("an endpoint of {upstream} leads back to webrouter: take it out of the source"),
        Some(OverLimit | Stopping | NotReady | Internal) => "see webrouter status and its log".to_owned(),
        Some(
            BadRequestLine | BadHeader | BadFraming | BadChunk | BadHost | BadTarget | BadPath | BadVersion
            | NotImplemented | BadExpectation | HeadTooLarge | TooManyHeaders | TargetTooLong | BodyTooLarge
            | ClientHeadTimeout | ClientBodyTimeout | ClientWriteTimeout | ClientClosed | ClientBodyCut
            | BadProxyHeader | AddSlash | HttpsOnly,
        ) => format!("it is the client's doing: ask whoever runs {}", failure.client),
    }
}

const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 1_000;
