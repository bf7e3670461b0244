//! Who may ask: against DNS rebinding and requests that another site makes a browser send.

use std::net::IpAddr;

use axum::Json;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, REFERRER_POLICY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use webrouter_admin_api::{ApiError, paths};
use webrouter_routing::host::RequestHost;

use crate::server::Peer;
use crate::state::AdminState;
use crate::token::Token;

/// Refuses what no operator sends; marks every answer as not to be kept, framed or guessed at.
pub(crate) async fn guard(State(state): State<AdminState>, request: Request, next: Next) -> Response {
    let change = is_change(request.method()).then(|| (request.method().clone(), request.uri().clone()));
    let peer = request.extensions().get::<Peer>().copied();
    let address = peer.map(|Peer(address)| address.ip());
    let refused = refusal(&state.names, &request).or_else(|| stranger(state.token.as_ref(), address, &request));
    let mut response = match refused {
        Some((status, error)) => (status, Json(error)).into_response(),
        None => next.run(request).await,
    };
    if let Some((method, uri)) = change {
        let (status, peer) = (response.status().as_u16(), peer.map(tracing::field::display));
        tracing::info!(target: "audit", peer, %method, %uri, status, "an operator asked for a change");
    }
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    let fields: [(HeaderName, &'static str); 4] = [
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (CONTENT_SECURITY_POLICY, CONTENT),
    ];
    for (name, value) in fields {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    // What never changes says itself how it is kept.
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Refuses who has not shown that he may: from elsewhere, nobody changes anything without the token; where there is one,
/// nobody reads from elsewhere without it, and nobody changes anything at all.
fn stranger(token: Option<&Token>, asker: Option<IpAddr>, request: &Request) -> Option<(StatusCode, ApiError)> {
    let local = asker.is_some_and(|asker| asker.to_canonical().is_loopback());
    let change = is_change(request.method());
    let (status, error, fix) = match token {
        _ if is_probe(request) => return None,
        Some(token) if (change || !local) && !token.is_in(request.headers()) => {
            let fix =
                "send `Authorization: Bearer …` with the token of [admin] token_file, or name it with --token-file";
            (StatusCode::UNAUTHORIZED, "the request does not carry the token of this admin API", fix)
        }
        None if change && !local => {
            let fix = "ask on the machine itself, or have [admin] token_file configured and send its token";
            (StatusCode::FORBIDDEN, "without a token, this admin API takes changes from its own machine only", fix)
        }
        _ => return None,
    };
    Some((status, ApiError { error: error.into(), fix: fix.into() }))
}

fn is_probe(request: &Request) -> bool {
    matches!(request.uri().path(), paths::HEALTHZ | paths::READYZ)
}

fn is_change(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}
/// Pages load what is of their own origin, and nothing inline.
const CONTENT: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                       form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Probes come by whatever name a balancer has for us; they tell whether to send requests here, nothing about the apps.
fn refusal(names: &[String], request: &Request) -> Option<(StatusCode, ApiError)> {
    let refused = |status, error: &str, fix: &str| Some((status, ApiError { error: error.into(), fix: fix.into() }));
    let authority = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    let hosts = request.headers().get_all(HOST).iter().map(HeaderValue::as_bytes);
    if !is_probe(request) && !hosts.chain(authority).all(|host| is_ours(names, host)) {
        return refused(
            StatusCode::MISDIRECTED_REQUEST,
            "the Host of the request is not a name of this admin API",
            "ask for it by IP address or as localhost, or add the name to [admin] names",
        );
    }
    if request.headers().get_all(HOST).iter().count() > 1 {
        return refused(StatusCode::BAD_REQUEST, "the request has more than one Host", "send one");
    }
    if is_change(request.method()) && !is_action(request.headers()) {
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
    fn strangers_change_nothing() {
        let token = Token::parse("0123456789abcdef").expect("a token");
        let check = |asker: &str, line: &str, configured: bool, sent: bool, expected: Option<StatusCode>| {
            let (method, path) = line.split_once(' ').expect("method and path");
            let mut request = Request::builder().method(method).uri(path);
            if sent {
                request = request.header(http::header::AUTHORIZATION, "Bearer 0123456789abcdef");
            }
            let request = request.body(axum::body::Body::empty()).expect("a request");
            let token = configured.then_some(&token);
            let refused = stranger(token, asker.parse().ok(), &request).map(|(status, _)| status);
            assert_eq!(refused, expected, "{asker} {line}");
        };
        let (unauthorized, forbidden) = (Some(StatusCode::UNAUTHORIZED), Some(StatusCode::FORBIDDEN));
        for change in ["POST /v1/hold/accept", "DELETE /v1/endpoints/192.0.2.1:80/drain", "PUT /x", "POST /v1/status"] {
            check("127.0.0.1", change, false, false, None);
            check("::ffff:127.0.0.1", change, false, false, None);
            check("192.0.2.1", change, false, false, forbidden);
            check("192.0.2.1", change, false, true, forbidden);
            check("unknown", change, false, false, forbidden);
            check("127.0.0.1", change, true, false, unauthorized);
            check("192.0.2.1", change, true, false, unauthorized);
            check("192.0.2.1", change, true, true, None);
        }
        check("192.0.2.1", "GET /v1/status", false, false, None);
        check("192.0.2.1", "GET /v1/status", true, false, unauthorized);
        check("192.0.2.1", "GET /metrics", true, true, None);
        check("127.0.0.1", "GET /v1/status", true, false, None);
        check("192.0.2.1", "GET /readyz", true, false, None);
    }

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
