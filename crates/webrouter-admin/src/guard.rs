//! Who may ask: against DNS rebinding and requests that another site makes a browser send.

use axum::Json;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use webrouter_admin_api::{ApiError, paths};
use webrouter_routing::host::RequestHost;

use crate::server::Peer;
use crate::state::AdminState;

/// Refuses what no operator sends; marks every answer as not to be kept, framed or guessed at.
pub(crate) async fn guard(State(state): State<AdminState>, request: Request, next: Next) -> Response {
    let mut response = match refusal(&state.names, &request) {
        Some((status, error)) => (status, Json(error)).into_response(),
        None => audited(request, next).await,
    };
    let fields: [(HeaderName, &'static str); 4] = [
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    ];
    for (name, value) in fields {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Every changing call is told in the log, with who asked and what came of it.
async fn audited(request: Request, next: Next) -> Response {
    if !matches!(*request.method(), Method::POST | Method::DELETE) {
        return next.run(request).await;
    }
    let peer = request.extensions().get::<Peer>().map(ToString::to_string);
    let (method, what) = (request.method().clone(), request.uri().to_string().escape_debug().to_string());
    let response = next.run(request).await;
    let status = response.status().as_u16();
    tracing::info!(target: "audit", peer, %method, what, status, "an operator's call");
    response
}

/// Probes come by whatever name a balancer has for us; they tell whether to send requests here, nothing about the apps.
fn refusal(names: &[String], request: &Request) -> Option<(StatusCode, ApiError)> {
    let refused = |status, error: &str, fix: &str| Some((status, ApiError { error: error.into(), fix: fix.into() }));
    let authority = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    let hosts = request.headers().get_all(HOST).iter().map(HeaderValue::as_bytes);
    let is_probe = matches!(request.uri().path(), paths::HEALTHZ | paths::READYZ);
    if !is_probe && !hosts.chain(authority).all(|host| is_ours(names, host)) {
        return refused(
            StatusCode::MISDIRECTED_REQUEST,
            "the Host of the request is not a name of this admin API",
            "ask for it by IP address or as localhost, or add the name to [admin] names",
        );
    }
    if request.headers().get_all(HOST).iter().count() > 1 {
        return refused(StatusCode::BAD_REQUEST, "the request has more than one Host", "send one");
    }
    if matches!(*request.method(), Method::POST | Method::DELETE) && !is_action(request.headers()) {
        return refused(
            StatusCode::FORBIDDEN,
            "the request lacks the field that shows that it is meant",
            "send `X-Webrouter-Action: 1`",
        );
    }
    None
}

/// A name that somebody else controls could be made to point here; an address or our own name could not.
fn is_ours(names: &[String], host: &[u8]) -> bool {
    let Ok(host) = RequestHost::parse(host) else { return false };
    let name = host.as_str();
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    bare.parse::<std::net::IpAddr>().is_ok()
        || name == "localhost"
        || names.iter().any(|ours| ours.trim_end_matches('.').eq_ignore_ascii_case(name))
}

fn is_action(fields: &HeaderMap) -> bool {
    fields.get(paths::ACTION_HEADER).is_some_and(|value| value == paths::ACTION_VALUE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_our_names_are_ours() {
        let names = ["Admin.lain.local".to_owned()];
        let check = |host: &str, expected: bool| assert_eq!(is_ours(&names, host.as_bytes()), expected, "{host}");
        check("127.0.0.1:9080", true);
        check("[::1]:9080", true);
        check("localhost", true);
        check("LOCALHOST.:9080", true);
        check("admin.lain.local:9080", true);
        check("evil.test", false);
        check("x.localhost.evil.test", false);
        check("127.0.0.1.evil.test", false);
        check("", false);
        check("a b", false);
    }
}
