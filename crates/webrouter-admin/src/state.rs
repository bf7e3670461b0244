//! What the admin API reads from.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime};

use webrouter_admin_api::Listener;
use webrouter_discovery::Discovery;
use webrouter_discovery::status::DiscoveryStatus;
use webrouter_proxy::fleet::Fleet;
use webrouter_proxy::tls::Certificates;
use webrouter_telemetry::access_log::AccessLog;
use webrouter_telemetry::flight_recorder::FlightRecorder;
use webrouter_telemetry::metrics::Metrics;

use crate::doctor::Surroundings;
use crate::gauges;
use crate::token::Token;

/// Everything the admin API reads from; clones are of the same instance.
#[derive(Clone)]
pub struct AdminState {
    /// The table, its sources and holds.
    pub discovery: Discovery,
    /// What is known of the endpoints.
    pub fleet: Arc<Fleet>,
    /// The certificates, where there is a TLS listener.
    pub certificates: Option<Arc<Certificates>>,
    /// What is counted.
    pub metrics: Metrics,
    /// The addresses that the data plane listens on, as bound.
    pub listeners: Arc<[Listener]>,
    /// What a request for a host that nobody claims gets.
    pub unknown_host: UnknownHost,
    /// Set when the instance begins to stop: it is not ready from then on.
    pub stopping: Arc<AtomicBool>,
    /// The requests that failed.
    pub failures: FlightRecorder,
    /// The access log, when one is written.
    pub access_log: Option<AccessLog>,
    /// When the process started.
    pub started: SystemTime,
    /// What shows an operator, where one is configured.
    pub token: Option<Token>,
    /// The same, by the clock that nobody sets.
    pub started_steady: Instant,
    /// Who else can be asked about apps.
    pub surroundings: Surroundings,
    /// Host names, besides IP addresses and `localhost`, under which the admin API is asked for.
    pub names: Arc<[String]>,
}

/// What a request for a host that nobody claims gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownHost {
    /// An answer: 404.
    NotFound,
    /// No answer: the connection is closed.
    Close,
}

impl AdminState {
    /// `/metrics`, as OpenMetrics text.
    pub fn metrics_page(&self) -> String {
        gauges::set(self);
        self.metrics.render()
    }

    /// Why requests should not be sent here, or `None` when they should.
    pub(crate) fn not_ready_because(&self, status: &DiscoveryStatus) -> Option<String> {
        if self.stopping.load(Ordering::Acquire) {
            return Some("stopping".to_owned());
        }
        let reason = || status.not_ready_because.clone().unwrap_or_else(|| "no full table is in force yet".to_owned());
        (!status.ready).then(reason)
    }
}
