//! What a core knows of the pools it forwards to; it outlives every snapshot that keeps the upstream.

pub(crate) mod balance;
pub(crate) mod connect;
pub(crate) mod pool;

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use webrouter_routing::name::ProcKey;
use webrouter_routing::route::{Route, Upstream};
use webrouter_telemetry::access_log::{AccessLog, LogFileId};
use webrouter_telemetry::metrics::UpstreamMetrics;

use pool::Pool;

/// One upstream as one core sees it.
pub(crate) struct UpstreamState {
    pub(crate) proc: ProcKey,
    pub(crate) metrics: Arc<UpstreamMetrics>,
    pub(crate) pool: Pool,
    /// Where the next round begins.
    pub(crate) turn: Cell<usize>,
    log_files: RefCell<Vec<(String, LogFileId)>>,
}

impl UpstreamState {
    pub(crate) fn new(upstream: &Upstream, metrics: Arc<UpstreamMetrics>, first_turn: usize) -> Self {
        Self {
            proc: upstream.proc.clone(),
            metrics,
            pool: Pool::default(),
            turn: Cell::new(first_turn),
            log_files: RefCell::default(),
        }
    }

    /// The access log's file for a route of this upstream.
    pub(crate) fn log_file(&self, route: &Route, log: &AccessLog) -> LogFileId {
        let host = route.mountpoint.host().as_str();
        let mut files = self.log_files.borrow_mut();
        if let Some((_, id)) = files.iter().find(|(known, _)| known == host) {
            return *id;
        }
        let id = log.file(host, &route.upstream.name);
        files.push((host.to_owned(), id));
        id
    }
}
