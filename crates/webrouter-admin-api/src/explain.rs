//! Why a request goes where it goes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::endpoints::RouteHealth;
use crate::history::Pin;
use crate::routes::Route;
use crate::status::ListenerScope;

/// The decision about one request, with every rule that was considered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Explain {
    /// The URL that was asked about.
    pub url: String,
    /// The method that was assumed.
    pub method: String,
    /// The snapshot that decided.
    pub generation: u64,
    /// The host as it is looked up: lower case, without port and trailing dot.
    pub host: String,
    /// Whether the host is internal to the cluster.
    pub internal: bool,
    /// The path as it would be received.
    pub path: String,
    /// The path as it is looked up: decoded, dots resolved, slashes merged; absent when it has no such form.
    pub normal_path: Option<String>,
    /// On which listeners the host answers.
    pub listeners: Vec<ListenerVerdict>,
    /// The rules in the order in which they were considered.
    pub steps: Vec<Step>,
    /// What comes of it.
    pub outcome: Outcome,
    /// The same in words.
    pub summary: String,
    /// The status, when webrouter answers itself.
    pub status: Option<u16>,
    /// `Location`, when it redirects.
    pub location: Option<String>,
    /// What its app is pinned to, when the table in force was asked and it is.
    #[serde(default)]
    pub pin: Option<Pin>,
    /// The route that won.
    pub route: Option<Route>,
    /// The policy of that route, key by key; empty for a redirect and without a route.
    #[serde(default)]
    pub policy: Vec<PolicyKey>,
    /// How the route's endpoints are.
    pub health: Option<RouteHealth>,
    /// What is sent to one of the route's endpoints.
    pub sent: Option<SentRequest>,
}

/// Whether a host answers on a listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListenerVerdict {
    /// `ip:port`.
    pub address: String,
    /// Which hosts answer on it.
    pub scope: ListenerScope,
    /// Whether this one does.
    pub answers: bool,
}

/// One rule that was considered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Step {
    /// Which kind of rule.
    pub kind: StepKind,
    /// The host name or mountpoint.
    pub subject: String,
    /// How it fared.
    pub verdict: StepVerdict,
    /// The same in words.
    pub reason: String,
}

/// Which kind of rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// A host name was looked up.
    Host,
    /// A mountpoint of the host was compared with the path.
    Path,
}

/// How a rule fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepVerdict {
    /// It decided.
    Won,
    /// It matches, but a longer one won.
    Shorter,
    /// It does not match.
    NoMatch,
}

/// What comes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is forwarded.
    Forwarded,
    /// The route has no endpoint: 503.
    NoEndpoint,
    /// It is sent to the same path with a final slash: 301.
    AddSlash,
    /// The host is known, no mountpoint covers the path: 404.
    NoPath,
    /// No mountpoint covers the host: 404, or closed without an answer, as configured.
    UnknownHost,
    /// The URL is none, or its path has no normal form: 400.
    BadRequest,
}

/// What an endpoint is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SentRequest {
    /// The request line.
    pub request_line: String,
    /// The fields webrouter writes itself, besides those it passes on.
    pub fields: Vec<Field>,
}

/// A header field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its value; in angle brackets when it is made for each request.
    pub value: String,
}

/// One key of a policy in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyKey {
    /// Its name, as annotations and webrouter.toml write it.
    pub key: String,
    /// Its value, as it is written there.
    pub value: String,
    /// Who set it.
    pub set_by: SetBy,
}

/// Who set a key of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SetBy {
    /// Nobody: it is webrouter's own default.
    Default,
    /// The owner, in the entry's annotation or in apps.toml.
    Annotation,
    /// The operator, for every app or for this one.
    #[serde(rename = "webrouter.toml")]
    Operator,
}
