//! What a core knows of the pools it forwards to; it outlives every snapshot that keeps the upstream.

pub(crate) mod balance;
pub(crate) mod connect;
pub(crate) mod pool;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use webrouter_routing::mountpoint::Mountpoint;
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
    logged: RefCell<Vec<Rc<LoggedRoute>>>,
}

/// A route as the access log names it.
pub(crate) struct LoggedRoute {
    pub(crate) mountpoint: Mountpoint,
    pub(crate) text: String,
    pub(crate) file: LogFileId,
}

impl UpstreamState {
    pub(crate) fn new(upstream: &Upstream, metrics: Arc<UpstreamMetrics>, first_turn: usize) -> Self {
        Self {
            proc: upstream.proc.clone(),
            metrics,
            pool: Pool::default(),
            turn: Cell::new(first_turn),
            logged: RefCell::default(),
        }
    }

    /// How the access log names a route of this upstream.
    pub(crate) fn logged(&self, route: &Route, log: &AccessLog) -> Rc<LoggedRoute> {
        let mut logged = self.logged.borrow_mut();
        if let Some(known) = logged.iter().find(|known| known.mountpoint == route.mountpoint) {
            return Rc::clone(known);
        }
        if logged.len() >= MAX_LOGGED {
            logged.clear();
        }
        let file = log.file(route.mountpoint.host().as_str(), &route.upstream.name);
        let text = route.mountpoint.to_string();
        let new = Rc::new(LoggedRoute { mountpoint: route.mountpoint.clone(), text, file });
        logged.push(Rc::clone(&new));
        new
    }
}

/// Past this, names of mountpoints that came and went are forgotten.
const MAX_LOGGED: usize = 1024;
