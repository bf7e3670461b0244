//! All wiring, in path order: from a configuration to a running instance and back to nothing.

mod build;
mod listening;
mod open_files;
mod signals;
mod sticky;
mod tls;
pub(crate) mod token;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::{info, warn};
use webrouter_admin::AdminState;
use webrouter_discovery::Discovery;
use webrouter_proxy::Proxy;
use webrouter_proxy::fleet::Fleet;
use webrouter_telemetry::access_log::AccessLog;
use webrouter_telemetry::flight_recorder::FlightRecorder;
use webrouter_telemetry::graphite::Graphite;
use webrouter_telemetry::logging::{self, LoggingConfig, LoggingError};
use webrouter_telemetry::metrics::Metrics;

use crate::cli::Verdict;
use crate::config::{Config, Environment};

pub(crate) use build::{discovery_config, surroundings};
pub(crate) use listening::Listening;
pub(crate) use signals::{Signal, Signals};
pub(crate) use tls::open as open_certificates;

/// A running webrouter.
pub(crate) struct Instance {
    discovery: Discovery,
    proxy: Proxy,
    access_log: AccessLog,
    graphite: Option<Graphite>,
    stopping: Arc<AtomicBool>,
    admin: JoinHandle<()>,
    stop_admin: oneshot::Sender<()>,
    listening: Listening,
    config: Config,
}

/// `webrouter run`: serves until a signal.
pub(crate) async fn run(config: Config, environment: &Environment) -> anyhow::Result<Verdict> {
    start_logging("info")?;
    for name in environment.unused() {
        info!(name, "environment variable means nothing to this version");
    }
    let mut signals = Signals::new()?;
    let instance = Instance::start(config).await?;
    loop {
        match signals.next().await {
            Signal::Reopen => instance.access_log.reopen(),
            Signal::Reload => info!("nothing to reload: apps are followed, webrouter.toml is read at start"),
            Signal::Stop => break,
        }
    }
    tokio::select! {
        () = instance.stop() => Ok(Verdict::Well),
        () = signals.stop_again() => {
            warn!("second signal: unfinished requests are cut");
            std::process::exit(1)
        }
    }
}

impl Instance {
    /// Binds everything or nothing, then serves; the table comes when discovery has one.
    pub(crate) async fn start(config: Config) -> anyhow::Result<Self> {
        let (started, started_steady) = (SystemTime::now(), Instant::now());
        let state_directory = config.state.clone();
        let sticky_key = tokio::task::spawn_blocking(move || sticky::key(&state_directory)).await?;
        let sticky_key = sticky_key.context("cannot get random bytes from the system for the key of sticky cookies")?;
        let token = config.admin_token_file.as_deref().map(token::token).transpose()?;
        let certificates = tls::open(&config).await?;
        let proxy_config = build::proxy_config(&config, open_files::raise(), sticky_key, certificates.clone());
        let listeners = webrouter_proxy::bind(&proxy_config)?;
        let admin_listener = bind_admin(config.admin).await?;
        let listening = Listening::new(&listeners, admin_listener.local_addr()?);
        let access_log = AccessLog::start(build::access_log_config(&config))?;
        let (metrics, failures) = (Metrics::new(), FlightRecorder::default());
        let discovery = Discovery::start(discovery_config(&config)).await?;
        let fleet_config = build::fleet_config(&config);
        let fleet = Arc::new(tokio::task::spawn_blocking(move || Fleet::open(fleet_config)).await?);
        let stopping = Arc::new(AtomicBool::new(false));
        let state = AdminState {
            discovery: discovery.clone(),
            fleet: Arc::clone(&fleet),
            certificates,
            metrics: metrics.clone(),
            failures: failures.clone(),
            listeners: build::admin_listeners(&listeners),
            unknown_host: build::explained_unknown_host(&config),
            stopping: Arc::clone(&stopping),
            access_log: Some(access_log.clone()),
            token,
            started,
            started_steady,
            surroundings: surroundings(&config),
            names: config.admin_names.iter().map(ToString::to_string).collect(),
        };
        let snapshots = discovery.snapshots();
        let proxy =
            webrouter_proxy::start(listeners, proxy_config, snapshots, &fleet, &metrics, &access_log, &failures)?;
        let graphite = config.graphite.clone().map(|config| {
            let state = state.clone();
            Graphite::start(config, metrics.clone(), move || state.metrics_page())
        });
        let graphite = graphite.transpose().context("cannot start the thread that feeds Graphite")?;
        let (stop_admin, admin_stopped) = oneshot::channel();
        let admin = tokio::spawn(webrouter_admin::serve(admin_listener, state, async move {
            // A dropped sender means the same as a sent word.
            let _ = admin_stopped.await;
        }));
        listening.announce(&config.state);
        Ok(Self { discovery, proxy, access_log, graphite, stopping, admin, stop_admin, listening, config })
    }

    /// Where it listens.
    pub(crate) fn listening(&self) -> &Listening {
        &self.listening
    }

    /// Its table and sources.
    pub(crate) fn discovery(&self) -> &Discovery {
        &self.discovery
    }

    /// Not ready first, then the unfinished requests, then everything else.
    pub(crate) async fn stop(self) {
        let (notice, deadline) = (self.config.stop_notice, self.config.stop_deadline);
        info!(?notice, ?deadline, "stopping");
        self.stopping.store(true, Ordering::Release);
        tokio::time::sleep(notice).await;
        let (proxy, access_log) = (self.proxy, self.access_log);
        match tokio::task::spawn_blocking(move || proxy.stop(deadline)).await {
            Ok(report) if report.unfinished > 0 => {
                warn!(unfinished = report.unfinished, "connections cut at the deadline");
            }
            Ok(_) => {}
            Err(error) => warn!(%error, "the data plane did not stop in order"),
        }
        ended("discovery", self.discovery.stop()).await;
        if let Some(graphite) = self.graphite {
            ended("Graphite", tokio::task::spawn_blocking(|| graphite.stop())).await;
        }
        let _ = self.stop_admin.send(());
        ended("admin API", self.admin).await;
        // It bounds its own wait, for lines that are still to be written.
        if let Err(error) = tokio::task::spawn_blocking(move || access_log.stop()).await {
            warn!(%error, "the access log did not stop in order");
        }
        Listening::remove(&self.config.state);
        info!("stopped");
    }
}

async fn bind_admin(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address} for the admin API; choose another address in [admin] listen")
    })
}

/// Logs to standard error; `RUST_LOG` wins over `level`.
pub(crate) fn start_logging(level: &str) -> Result<(), LoggingError> {
    logging::start(&LoggingConfig { level: level.to_owned(), ..LoggingConfig::default() })
}

/// Waits for the end of a part, but not for ever: a disk may hang.
async fn ended<T>(part: &'static str, end: impl Future<Output = T>) -> Option<T> {
    let ended = tokio::time::timeout(END_DEADLINE, end).await;
    if ended.is_err() {
        warn!(part, "did not end in time");
    }
    ended.ok()
}

const END_DEADLINE: Duration = Duration::from_secs(5);
