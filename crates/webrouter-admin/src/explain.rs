//! Why a request goes where it goes: the data plane's own decision, told step by step.
//!
//! Host, path and table are asked by the code that serves requests; only the head that would be sent is written here,
//! as SPEC §3 and §4 say.

pub(crate) mod health;
mod url;

use std::net::{IpAddr, Ipv4Addr};

use http::Method;
use serde::Deserialize;
use webrouter_admin_api::{
    ApiError, Explain, Field, Listener, ListenerScope, ListenerVerdict, Outcome, PolicyKey, SentRequest, SetBy, Step,
    StepKind, StepVerdict,
};
use webrouter_proxy::tls::Certificates;
use webrouter_routing::path::{self, PathForm};
use webrouter_routing::policy;
use webrouter_routing::route::Route;
use webrouter_routing::snapshot::Snapshot;
use webrouter_routing::table::precedence::PathVerdict;
use webrouter_routing::table::{self};

use crate::state::UnknownHost;
use crate::view::routes::view;
use url::Asked;

/// The request that is asked about.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    pub(crate) url: String,
    pub(crate) method: Option<String>,
    pub(crate) client: Option<IpAddr>,
    /// Against the table of that time; the one in force when neither is named.
    pub(crate) at: Option<String>,
    pub(crate) generation: Option<u64>,
}

/// Explains what would happen to a request now.
pub(crate) fn explain(
    snapshot: &Snapshot,
    listeners: &[Listener],
    tls: Option<&Certificates>,
    unknown_host: UnknownHost,
    question: &Question,
) -> Result<Explain, ApiError> {
    let asked = Asked::parse(&question.url)
        .map_err(|error| ApiError { error, fix: "ask for a URL like https://demo.lain.local/x".into() })?;
    let method = question.method.as_deref().unwrap_or("GET");
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| ApiError {
        error: format!("`{}` is not a method", method.escape_debug()),
        fix: "leave it out, or ask for one like POST".into(),
    })?;
    let internal = snapshot.domains().is_internal(&asked.host);
    let answers = |listener: &Listener| ListenerVerdict {
        address: listener.address.clone(),
        scope: listener.scope,
        answers: listener.scope == ListenerScope::All || !internal,
    };
    let mut explained = Explain {
        url: question.url.clone(),
        method: method.to_string(),
        generation: snapshot.generation().0,
        host: asked.host.clone(),
        internal,
        path: asked.path.clone(),
        normal_path: None,
        listeners: listeners.iter().map(answers).collect(),
        steps: Vec::new(),
        outcome: Outcome::BadRequest,
        summary: String::new(),
        status: None,
        location: None,
        pin: None,
        route: None,
        policy: Vec::new(),
        health: None,
        sent: None,
    };
    let mut normal = Vec::new();
    let normal = match path::normalize(asked.path.as_bytes(), &mut normal) {
        Ok(PathForm::AsReceived) => asked.path.as_bytes(),
        Ok(PathForm::Rewritten) => normal.as_slice(),
        Err(error) => {
            explained.status = Some(400);
            explained.summary = format!("refused: {error}");
            return Ok(explained);
        }
    };
    explained.normal_path = Some(readable(normal));
    let (outcome, steps) = snapshot.table().explain(&asked.host, normal);
    explained.steps = steps.into_iter().map(step).collect();
    let client = question.client.unwrap_or(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
    match outcome {
        table::Outcome::NoHost => {
            let why = "no mountpoint covers the host";
            match unknown_host {
                UnknownHost::NotFound => answer(&mut explained, Outcome::UnknownHost, 404, why),
                UnknownHost::Close => {
                    explained.outcome = Outcome::UnknownHost;
                    explained.summary = format!("closed without an answer: {why}");
                }
            }
        }
        table::Outcome::NoPath => {
            answer(&mut explained, Outcome::NoPath, 404, "the host is known, but no mountpoint of it covers the path");
        }
        table::Outcome::AddSlash(route) => {
            let status = if matches!(method, Method::GET | Method::HEAD) { 301 } else { 308 };
            answer(&mut explained, Outcome::AddSlash, status, "redirected to the mountpoint with its final slash");
            explained.location = Some(encoded(normal) + "/" + &asked.query);
            explained.route = Some(view(snapshot, tls, route));
        }
        table::Outcome::Route(route) => {
            explained.route = Some(view(snapshot, tls, route));
            explained.policy = snapshot.policy_of(&route.upstream).into_iter().map(policy_key).collect();
            if route.upstream.endpoints.is_empty() {
                let summary = format!("{} has no endpoint at the moment", route.upstream.proc);
                answer(&mut explained, Outcome::NoEndpoint, 503, &summary);
            } else {
                explained.outcome = Outcome::Forwarded;
                explained.summary = format!("forwarded to an endpoint of {}", route.upstream.proc);
                explained.sent = Some(sent(&asked, &method, normal, route, client));
            }
        }
    }
    Ok(explained)
}

/// A policy in force, in the words of the API.
pub(crate) fn policy_key(key: policy::InForce) -> PolicyKey {
    let set_by = match key.set_by {
        policy::SetBy::Default => SetBy::Default,
        policy::SetBy::Annotation => SetBy::Annotation,
        policy::SetBy::Operator => SetBy::Operator,
    };
    PolicyKey { key: key.key.to_owned(), value: key.value, set_by }
}

fn answer(explained: &mut Explain, outcome: Outcome, status: u16, summary: &str) {
    explained.outcome = outcome;
    explained.status = Some(status);
    explained.summary = format!("answered {status}: {summary}");
}

fn step(step: table::Step) -> Step {
    match step {
        table::Step::Host { name, found } => {
            let (verdict, reason) = match found {
                true => (StepVerdict::Won, "mountpoints have this host; it decides alone"),
                false => (StepVerdict::NoMatch, "no mountpoint has this host"),
            };
            Step { kind: StepKind::Host, subject: name, verdict, reason: reason.to_owned() }
        }
        table::Step::Path { mountpoint, verdict } => {
            let (verdict, reason) = match verdict {
                PathVerdict::Won => (StepVerdict::Won, "the longest prefix of the path that ends at a `/`"),
                PathVerdict::Shorter => (StepVerdict::Shorter, "a prefix of the path, but a longer one won"),
                PathVerdict::NoPrefix => (StepVerdict::NoMatch, "no prefix of the path that ends at a `/`"),
            };
            Step { kind: StepKind::Path, subject: mountpoint.to_string(), verdict, reason: reason.to_owned() }
        }
    }
}

/// The head that an endpoint sees, for a client that sends no `X-Forwarded-*` itself.
fn sent(asked: &Asked, method: &Method, normal: &[u8], route: &Route, client: IpAddr) -> SentRequest {
    let received = format!("{}{}", asked.path, asked.query);
    let prefix = route.mountpoint.path().as_bytes();
    let target = match prefix {
        b"" => received.clone(),
        prefix => encoded(normal.strip_prefix(prefix).unwrap_or(normal)) + &asked.query,
    };
    let fields = [
        ("Host", asked.host.clone()),
        ("X-Real-IP", client.to_string()),
        ("X-Forwarded-For", client.to_string()),
        ("X-Forwarded-Proto", asked.scheme.to_owned()),
        ("X-Forwarded-Host", asked.authority.clone()),
        ("X-Original-URI", received.clone()),
        ("REQUEST_URI", received),
        ("X-Request-Id", "<the client's, or made>".to_owned()),
        ("traceparent", "<the client's, or made>".to_owned()),
    ];
    SentRequest {
        request_line: format!("{method} {target} HTTP/1.1"),
        fields: fields.into_iter().map(|(name, value)| Field { name: name.to_owned(), value }).collect(),
    }
}

fn encoded(decoded: &[u8]) -> String {
    let mut target = Vec::new();
    path::encode(decoded, &mut target);
    // The encoding is ASCII.
    String::from_utf8(target).unwrap_or_default()
}

/// A decoded path for people: what is not printable UTF-8 is escaped.
fn readable(decoded: &[u8]) -> String {
    match std::str::from_utf8(decoded) {
        Ok(text) if !text.contains(char::is_control) => text.to_owned(),
        _ => decoded.escape_ascii().to_string(),
    }
}

#[cfg(test)]
mod tests;
