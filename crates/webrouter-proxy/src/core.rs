//! One core: its view of the table, its upstreams, its buffers. Nothing here is shared with another core but the
//! pointer to the snapshot.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::{ArcSwap, Cache};
use webrouter_routing::route::{Upstream, UpstreamId};
use webrouter_routing::snapshot::{Generation, Snapshot};
use webrouter_telemetry::access_log::{AccessLog, CoreLog};
use webrouter_telemetry::flight_recorder::CoreRecorder;
use webrouter_telemetry::metrics::CoreMetrics;

use crate::clients::Clients;
use crate::config::ProxyConfig;
use crate::exchange::Scratch;
use crate::fleet::Fleet;
use crate::tls::handshake::Acceptor;
use crate::tunnels::Tunnels;
use crate::upstream::UpstreamState;

/// The table as a request sees it: loaded once, kept to the request's end.
pub(crate) type LiveTable = Rc<Arc<Snapshot>>;

/// What one thread serves with.
pub(crate) struct Core {
    pub(crate) config: Arc<ProxyConfig>,
    pub(crate) metrics: Arc<CoreMetrics>,
    /// Where TLS is spoken at all.
    pub(crate) tls: Option<Acceptor>,
    pub(crate) access_log: AccessLog,
    pub(crate) log: RefCell<CoreLog>,
    pub(crate) clients: Clients,
    pub(crate) tunnels: Rc<Tunnels>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) failures: CoreRecorder,
    table: RefCell<TableView>,
    upstreams: RefCell<HashMap<UpstreamId, Rc<UpstreamState>, foldhash::fast::RandomState>>,
    swept: Cell<Generation>,
    #[expect(clippy::vec_box, reason = "they move in and out once a request")]
    scratches: RefCell<Vec<Box<Scratch>>>,
    pub(crate) random: RefCell<fastrand::Rng>,
    /// The HTTP date (RFC 9110 §5.6.7), made anew with every tick.
    pub(crate) date: RefCell<String>,
}

/// The shared pointer, cached, and the table it led to when last asked.
struct TableView {
    newest: Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>,
    current: LiveTable,
}

impl Core {
    pub(crate) fn new(
        config: Arc<ProxyConfig>,
        snapshots: Arc<ArcSwap<Snapshot>>,
        metrics: Arc<CoreMetrics>,
        access_log: AccessLog,
        clients: Clients,
        fleet: Arc<Fleet>,
        failures: CoreRecorder,
    ) -> Self {
        let tls = config.tls.as_ref().map(|tls| Acceptor::new(Arc::clone(tls), Arc::clone(&snapshots)));
        let mut newest = Cache::new(snapshots);
        let current = Rc::new(Arc::clone(newest.load()));
        Self {
            config,
            tls,
            metrics,
            log: RefCell::new(access_log.core()),
            access_log,
            clients,
            tunnels: Rc::default(),
            fleet,
            failures,
            table: RefCell::new(TableView { newest, current }),
            upstreams: RefCell::default(),
            swept: Cell::default(),
            scratches: RefCell::default(),
            random: RefCell::new(fastrand::Rng::new()),
            date: RefCell::new(httpdate::fmt_http_date(SystemTime::now())),
        }
    }

    /// The table in force at this moment.
    pub(crate) fn table(&self) -> LiveTable {
        let TableView { newest, current } = &mut *self.table.borrow_mut();
        let newest = newest.load();
        if !Arc::ptr_eq(newest, current) {
            *current = Rc::new(Arc::clone(newest));
        }
        Rc::clone(current)
    }

    /// What this core knows of an upstream.
    pub(crate) fn upstream(&self, upstream: &Arc<Upstream>) -> Rc<UpstreamState> {
        let mut upstreams = self.upstreams.borrow_mut();
        let state = upstreams.entry(upstream.id).or_insert_with(|| {
            let metrics = self.metrics.upstream(upstream.id.0, &upstream.name);
            Rc::new(UpstreamState::new(upstream, metrics, &self.fleet, self.random.borrow_mut().usize(..)))
        });
        Rc::clone(state)
    }

    pub(crate) fn random_id(&self) -> (u128, u64) {
        let mut random = self.random.borrow_mut();
        (random.u128(..), random.u64(..))
    }

    pub(crate) fn take_scratch(&self) -> Box<Scratch> {
        self.scratches.borrow_mut().pop().unwrap_or_default()
    }

    pub(crate) fn put_scratch(&self, mut scratch: Box<Scratch>) {
        let mut scratches = self.scratches.borrow_mut();
        if scratches.len() < MAX_SCRATCHES {
            scratch.shrink();
            scratches.push(scratch);
        }
    }

    /// What has to be done many times a second.
    pub(crate) fn tick(&self) {
        *self.date.borrow_mut() = httpdate::fmt_http_date(SystemTime::now());
        self.log.borrow_mut().flush();
    }

    /// What has to be done once a second: idle connections looked after, gone upstreams forgotten, the log flushed.
    pub(crate) fn housekeep(&self) {
        let table = self.table();
        let mut idle = 0;
        self.upstreams.borrow_mut().retain(|id, state| {
            let in_force = table.proc(&state.shared.proc).filter(|proc| proc.upstream.id == *id);
            idle += in_force.map_or(0, |proc| state.sweep(&proc.upstream, &self.fleet));
            if in_force.is_none() {
                self.metrics.forget(id.0);
            }
            in_force.is_some()
        });
        self.metrics.upstream_idle.set(i64::try_from(idle).unwrap_or(i64::MAX));
        self.swept.set(table.generation());
        self.tunnels.wake_leaving();
    }

    /// Whether there is a table whose departed endpoints still have idle connections here.
    pub(crate) fn table_changed(&self) -> bool {
        self.table().generation() != self.swept.get()
    }
}

const MAX_SCRATCHES: usize = 256;
