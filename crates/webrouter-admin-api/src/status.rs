//! How an instance is doing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::certificates::{Certificate, CertificateFolder};
use crate::endpoints::EndpointState;
use crate::history::Pin;

/// The state of an instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// webrouter's version.
    pub version: String,
    /// When the process started.
    pub started_at: String,
    /// For how many seconds it runs.
    pub uptime_s: f64,
    /// Whether a full table is in force and the instance is not stopping.
    pub ready: bool,
    /// Why not, when it is not ready.
    pub not_ready_because: Option<String>,
    /// The snapshot in force.
    pub generation: u64,
    /// When it came in force.
    pub applied_at: String,
    /// How many seconds its merge and publication took.
    pub last_apply_s: f64,
    /// Where the table in force comes from.
    pub table_from: TableFrom,
    /// When the stored part of the table was stored, when there is one.
    pub last_good_saved_at: Option<String>,
    /// How old that is, in seconds.
    pub last_good_age_s: Option<f64>,
    /// Routes in force.
    pub routes: usize,
    /// Procs in force.
    pub procs: usize,
    /// Endpoints in force.
    pub endpoints: usize,
    /// How many endpoints are in each state, those that left the table and serve still included.
    pub endpoints_by_state: BTreeMap<EndpointState, usize>,
    /// Upstreams whose endpoints are all sick, so that all are tried.
    pub fail_open: Vec<String>,
    /// Upstreams whose circuit breaker is not closed.
    pub breakers_open: Vec<String>,
    /// Endpoints that an operator drains.
    pub draining: Vec<String>,
    /// Entries, or parts of them, that are not taken.
    pub rejections: usize,
    /// The configured sources.
    pub sources: Vec<Source>,
    /// An update that the guard keeps back.
    pub hold: Option<Hold>,
    /// Apps that are kept at a version, whatever their sources say.
    #[serde(default)]
    pub pins: Vec<Pin>,
    /// The addresses that are listened on.
    pub listeners: Vec<Listener>,
    /// The certificates, sorted by stem.
    pub certificates: Vec<Certificate>,
    /// Where they are, when there is a TLS listener.
    pub certificate_folder: Option<CertificateFolder>,
    /// The access log.
    pub access_log: AccessLogStatus,
    /// What keeps the last good table from being stored.
    pub store_error: Option<ErrorReport>,
}

/// Where the table in force comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TableFrom {
    /// Every configured source has delivered in this run.
    Source,
    /// At least one has not: its part is what an earlier run stored.
    LastGood,
}

/// One source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Source {
    /// Its configured name.
    pub name: String,
    /// What it is.
    pub kind: SourceKind,
    /// The address or path it is followed at.
    pub target: String,
    /// How it is doing.
    pub state: SourceState,
    /// Since when it is doing so.
    pub since: String,
    /// For how many seconds it is doing so.
    pub since_s: f64,
    /// When it last said its whole view.
    pub last_news_at: Option<String>,
    /// How many seconds ago that was.
    pub last_news_age_s: Option<f64>,
    /// The last thing that went wrong, also after it is over.
    pub last_error: Option<ErrorReport>,
    /// Everything that went wrong, counted by kind.
    pub errors: BTreeMap<String, u64>,
    /// Views that were received.
    pub events_total: u64,
    /// Connections made again after the first.
    pub reconnects: u64,
    /// Watches that were found deaf and replaced.
    pub deaf_watches: u64,
}

/// Which kind of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// A lainlet daemon.
    Lainlet,
    /// A followed apps.toml.
    File,
}

/// How a source is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceState {
    /// Nothing was heard yet, nothing has failed yet.
    Connecting,
    /// It is heard.
    Following,
    /// Its last word, or the way to it, is broken; what it said before stays in force.
    Failing,
}

/// Something that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorReport {
    /// A stable word.
    pub kind: String,
    /// What happened; foreign text in it is escaped and shortened.
    pub message: String,
    /// When, the last time.
    pub at: String,
    /// How often in a row.
    pub count: u64,
}

/// An update that the guard keeps back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Hold {
    /// Its number, for accept and refuse.
    pub id: u64,
    /// Whose update.
    pub source: String,
    /// Why it is kept back.
    pub reason: String,
    /// Since when.
    pub since: String,
    /// When it is applied unless somebody decides; absent where only a decision, or a better word of the source, ends it.
    pub applies_at: Option<String>,
    /// Routes of the source in force.
    pub routes_before: usize,
    /// Routes of the source if it were applied.
    pub routes_after: usize,
    /// Endpoints of the source in force.
    pub endpoints_before: usize,
    /// Endpoints of the source if it were applied.
    pub endpoints_after: usize,
    /// The procs kept at their last version; a hundred are listed.
    pub procs: Vec<String>,
}

/// An address that is listened on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Listener {
    /// `ip:port`, as bound.
    pub address: String,
    /// Which hosts answer on it.
    pub scope: ListenerScope,
    /// Whether it speaks TLS.
    pub tls: bool,
}

/// Which hosts answer on a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ListenerScope {
    /// Every host.
    All,
    /// Hosts that are not internal to the cluster.
    External,
}

/// The access log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccessLogStatus {
    /// Lines lost since the start.
    pub lost_total: u64,
    /// The same by reason; reasons without a lost line are left out.
    pub lost: BTreeMap<String, u64>,
}
