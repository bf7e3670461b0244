//! The threads of the data plane: started together, stopped in order.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use webrouter_routing::snapshot::Snapshot;
use webrouter_telemetry::access_log::AccessLog;
use webrouter_telemetry::flight_recorder::{CoreRecorder, FlightRecorder};
use webrouter_telemetry::metrics::{CoreMetrics, Metrics};

use crate::clients::Clients;
use crate::config::{ProxyConfig, Scope, Security};
use crate::core::Core;
use crate::fleet::Fleet;
use crate::fleet::keeper::Keeper;
use crate::listener::{self, Listeners};
use crate::upgrade;

/// The data plane cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start a thread of the data plane: {0}")]
pub struct StartError(#[from] io::Error);

/// The running data plane.
#[derive(Debug)]
pub struct Proxy {
    stop: watch::Sender<Option<Instant>>,
    threads: Vec<JoinHandle<usize>>,
    keeper: Keeper,
}

/// How a stop went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopReport {
    /// Connections that were still busy at the deadline and were cut.
    pub unfinished: usize,
}

/// Starts one thread per core and one for health; they serve at once what the snapshots hold.
pub fn start(
    listeners: Listeners,
    config: ProxyConfig,
    snapshots: Arc<ArcSwap<Snapshot>>,
    fleet: &Arc<Fleet>,
    metrics: &Metrics,
    access_log: &AccessLog,
    failures: &FlightRecorder,
) -> Result<Proxy, StartError> {
    let (stop, stopping) = watch::channel(None);
    let config = Arc::new(config);
    let connections = Arc::new(AtomicUsize::new(0));
    let mut threads = Vec::new();
    for (index, sockets) in listeners.per_core.into_iter().enumerate() {
        let seat = Seat {
            sockets,
            config: Arc::clone(&config),
            snapshots: Arc::clone(&snapshots),
            fleet: Arc::clone(fleet),
            metrics: metrics.core(index),
            access_log: access_log.clone(),
            failures: failures.core(),
            connections: Arc::clone(&connections),
            stopping: stopping.clone(),
        };
        threads.push(thread::Builder::new().name(format!("core-{index}")).spawn(move || seat.serve())?);
    }
    let keeper = Keeper::start(Arc::clone(fleet), snapshots, metrics.clone())?;
    Ok(Proxy { stop, threads, keeper })
}

impl Proxy {
    /// Accepts nothing new, lets requests finish, cuts what is left at the deadline. Blocks for that long at most.
    pub fn stop(self, deadline: Duration) -> StopReport {
        self.stop.send_replace(Some(Instant::now() + deadline));
        let unfinished = self.threads.into_iter().map(|thread| thread.join().unwrap_or_default()).sum();
        // Last: what the last requests met is worth remembering, too.
        self.keeper.stop();
        StopReport { unfinished }
    }
}

/// What a core's thread is given.
struct Seat {
    sockets: Vec<(std::net::TcpListener, Scope, Security)>,
    config: Arc<ProxyConfig>,
    snapshots: Arc<ArcSwap<Snapshot>>,
    fleet: Arc<Fleet>,
    metrics: Arc<CoreMetrics>,
    access_log: AccessLog,
    failures: CoreRecorder,
    connections: Arc<AtomicUsize>,
    stopping: watch::Receiver<Option<Instant>>,
}

impl Seat {
    /// Serves until told to stop; returns how many connections had to be cut.
    fn serve(self) -> usize {
        let runtime = match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!(%error, "a core cannot serve");
                return 0;
            }
        };
        let clients = Clients::new(self.connections, self.config.limits.connections);
        let (config, snapshots, metrics) = (self.config, self.snapshots, self.metrics);
        let core = Core::new(config, snapshots, metrics, self.access_log, clients, self.fleet, self.failures);
        let core = Rc::new(core);
        runtime.block_on(run(core, self.sockets, self.stopping))
    }
}

async fn run(
    core: Rc<Core>,
    sockets: Vec<(std::net::TcpListener, Scope, Security)>,
    mut stopping: watch::Receiver<Option<Instant>>,
) -> usize {
    let mut acceptors = Vec::new();
    for (socket, scope, security) in sockets {
        match TcpListener::from_std(socket) {
            Ok(socket) => {
                let accepting = listener::accept(Rc::clone(&core), socket, (scope, security), stopping.clone());
                acceptors.push(tokio::task::spawn_local(accepting));
            }
            Err(error) => tracing::error!(%error, "a listener cannot be served"),
        }
    }
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ticks: u32 = 0;
    let deadline = loop {
        tokio::select! {
            _ = tick.tick() => {}
            told = stopping.wait_for(Option::is_some) => break told.ok().and_then(|told| *told),
        }
        ticks = ticks.wrapping_add(1);
        if ticks.is_multiple_of(TICKS_PER_HOUSEKEEPING) || core.table_changed() {
            core.housekeep();
        }
        core.tick();
    };
    let deadline = deadline.unwrap_or_else(Instant::now);
    for acceptor in acceptors {
        let _ = tokio::time::timeout_at(deadline, acceptor).await;
    }
    core.clients.stop();
    let last_call = upgrade::last_call(Instant::now(), deadline);
    while core.clients.open() > 0 && Instant::now() < deadline {
        // First: what has arrived by now is about to be a request.
        tokio::time::sleep(Duration::from_millis(5)).await;
        if core.clients.exchanges() <= core.tunnels.open() || Instant::now() >= last_call {
            core.tunnels.part();
        }
    }
    core.log.borrow_mut().flush();
    core.clients.open()
}

const TICK: Duration = Duration::from_millis(50);
const TICKS_PER_HOUSEKEEPING: u32 = 20;
