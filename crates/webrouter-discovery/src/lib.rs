//! Who tells us: sources, assembler, guard, last good. Ends at a published snapshot; knows no proxy.
//!
//! ```text
//! lainlet ─┐ whole contributions   ┌────────── assembler ──────────┐
//!          ├───────────────────────► guard ─► merge ─► ArcSwap store ─► the data plane loads it
//! file ────┘   (latest wins)       └───────────────┬───────────────┘
//!                                                  └─► last good (redb, off this path)
//! ```

mod assembler;
mod delta;
pub mod file;
pub mod fresh;
mod guard;
pub mod history;
pub mod lainlet;
pub mod last_good;
mod pinning;
mod reconnect;
mod source;
pub mod status;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinHandle};
use webrouter_routing::merge::Defaults;
use webrouter_routing::name::SourceName;
use webrouter_routing::pin::Pins;
use webrouter_routing::snapshot::{Generation, Snapshot};

use assembler::{Assembler, AssemblerStatus, Decision, Order, Restored, Setup};
use history::{Cause, Change, Entry, History, HistoryError, When};
use last_good::{LastGood, StoreError};
pub use pinning::PinError;
use pinning::{Pinning, Then};
use source::{Inbox, SourceHealth, lock};
use status::{DiscoveryStatus, HoldDecision, HoldError, SourceKind, TableFrom};

/// What discovery follows and how.
#[derive(Debug, Clone)]
pub struct DiscoveryConfig {
    /// A lainlet to follow.
    pub lainlet: Option<LainletConfig>,
    /// An apps.toml to follow.
    pub file: Option<FileConfig>,
    /// Where the last good table is stored; `None` stores nothing.
    pub state_directory: Option<PathBuf>,
    /// What does not come from a source.
    pub defaults: Defaults,
    /// When an update is kept back.
    pub guard: GuardConfig,
    /// The least time between two applied updates; one that comes alone is applied at once.
    pub coalesce: Duration,
}

impl Default for DiscoveryConfig {
    fn default() -> Self {
        Self {
            lainlet: None,
            file: None,
            state_directory: None,
            defaults: Defaults::default(),
            guard: GuardConfig::default(),
            coalesce: Duration::from_millis(5),
        }
    }
}

/// How a lainlet is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LainletConfig {
    /// `host:port`.
    pub address: String,
    /// How often lainlet is asked to send a heartbeat; whole seconds, at least one.
    pub heartbeat: Duration,
    /// Without a byte for this long a watch is given up.
    pub read_timeout: Duration,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How often the truth is asked for with a GET; jittered.
    pub refresh: Duration,
    /// How long a watch may disagree with GET before it counts as deaf.
    pub deaf_after: Duration,
    /// The longest frame, and the longest GET body, in bytes.
    pub max_bytes: usize,
    /// The first pause before a reconnect; it doubles up to `reconnect_max`, jittered.
    pub reconnect_min: Duration,
    /// The longest pause before a reconnect.
    pub reconnect_max: Duration,
}

impl LainletConfig {
    /// Follows the lainlet at `host:port` with the defaults.
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            heartbeat: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            refresh: Duration::from_secs(30),
            deaf_after: Duration::from_secs(1),
            max_bytes: 64 << 20,
            reconnect_min: Duration::from_millis(100),
            reconnect_max: Duration::from_millis(800),
        }
    }
}

/// Which file is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileConfig {
    /// The apps.toml.
    pub path: PathBuf,
}

/// When an update is kept back, and for how long.
#[derive(Debug, Clone, PartialEq)]
pub struct GuardConfig {
    /// The share of a source's routes, or endpoints, that one update may take away.
    pub max_loss: f64,
    /// How long an update is kept back.
    pub grace: Duration,
    /// A source with fewer routes (endpoints) than this is guarded only against losing all of them.
    pub floor: usize,
    /// How long an endpoint that is to go is given to answer a connect.
    pub probe_timeout: Duration,
    /// How often it is looked again whether endpoints that are held still answer.
    pub recheck: Duration,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self {
            max_loss: 0.5,
            grace: Duration::from_secs(60),
            floor: 4,
            probe_timeout: Duration::from_millis(500),
            recheck: Duration::from_secs(2),
        }
    }
}

/// Why discovery cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another instance has the state directory.
    #[error("{path} is in use by another instance: give each instance a state directory of its own")]
    StateInUse {
        /// The store.
        path: PathBuf,
    },
}

/// What an operator's word about pins came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    /// The table in force with it.
    pub generation: Generation,
    /// The apps that it is about.
    pub apps: Vec<String>,
}

/// A running discovery; clones are handles of the same one.
#[derive(Clone)]
pub struct Discovery {
    inner: Arc<Inner>,
}

struct Inner {
    snapshots: Arc<ArcSwap<Snapshot>>,
    sources: Vec<Arc<SourceHealth>>,
    assembler: Arc<Mutex<AssemblerStatus>>,
    store_error: StoreError,
    ready: watch::Receiver<bool>,
    orders: mpsc::Sender<Order>,
    history: Arc<History>,
    defaults: Defaults,
    /// Held by whoever changes the pins.
    pinning: tokio::sync::Mutex<()>,
    /// Everything that runs, but the store.
    tasks: Vec<AbortHandle>,
    /// The store and how to end it; taken by the first stop.
    store: tokio::sync::Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Discovery {
    /// Loads the last good table, then follows the sources in tasks of the current runtime.
    pub async fn start(config: DiscoveryConfig) -> Result<Self, StartError> {
        let inbox = Arc::new(Inbox::default());
        let mut sources: Vec<(SourceName, Arc<SourceHealth>)> = Vec::new();
        let mut add = |kind: SourceKind, target: String| {
            let name = SourceName::new(kind.as_str());
            let health = Arc::new(SourceHealth::new(&name, kind, target, Arc::clone(&inbox)));
            sources.push((name.clone(), Arc::clone(&health)));
            (name, health)
        };
        let lainlet = config.lainlet.map(|config| (add(SourceKind::Lainlet, config.address.clone()), config));
        let file = config.file.map(|config| (add(SourceKind::File, config.path.display().to_string()), config.path));
        let (last_good, loaded) = match config.state_directory {
            Some(directory) => {
                let names = sources.iter().map(|(name, _)| name.clone()).collect();
                let (last_good, loaded) = LastGood::open(directory, config.defaults.clone(), names).await?;
                (Some(last_good), loaded)
            }
            None => (None, None),
        };
        let in_force = loaded.as_ref().map(|loaded| Arc::clone(&loaded.snapshot));
        let in_force = in_force.unwrap_or_else(|| Arc::new(Snapshot::empty(&config.defaults)));
        let restored = loaded.map(|loaded| Restored {
            sources: in_force.contributions().map(|contribution| contribution.source.clone()).collect(),
            saved_at: loaded.saved_at,
        });
        if let Some(restored) = &restored {
            let age = restored.saved_at.elapsed().unwrap_or_default().as_secs();
            let (generation, routes) = (in_force.generation().0, in_force.route_count());
            tracing::info!(generation, routes, age_seconds = age, "last good table loaded");
        }
        let snapshots = Arc::new(ArcSwap::new(Arc::clone(&in_force)));
        let (to_store, stored) = watch::channel(Arc::clone(&in_force));
        let (ready_sender, ready) = watch::channel(false);
        let (orders, orders_receiver) = mpsc::channel(4);
        let history = last_good.as_ref().map(LastGood::history);
        let history = history.unwrap_or_else(|| Arc::new(History::new(Arc::clone(&in_force), Pins::default())));
        let pins = history.pins();
        if restored.is_some() {
            history.note(Arc::clone(&in_force), Cause::Restart, &pins);
        }
        let assembler = Arc::new(Mutex::new(AssemblerStatus {
            generation: in_force.generation(),
            applied_at: SystemTime::now(),
            last_apply: Duration::ZERO,
            table_from: restored.as_ref().map_or(TableFrom::Source, |r| TableFrom::LastGood { saved_at: r.saved_at }),
            hold: None,
            pins,
            silent: sources.iter().map(|(name, _)| name.clone()).collect(),
        }));
        let mut tasks = Vec::new();
        let mut spawn = |task: JoinHandle<()>| tasks.push(task.abort_handle());
        let setup = Setup {
            defaults: config.defaults.clone(),
            guard: config.guard,
            coalesce: config.coalesce,
            sources: sources.clone(),
            restored,
            inbox: Arc::clone(&inbox),
            snapshots: Arc::clone(&snapshots),
            status: Arc::clone(&assembler),
            ready: ready_sender,
            to_store,
            history: Arc::clone(&history),
            orders: orders_receiver,
        };
        spawn(tokio::spawn(Assembler::new(setup).run()));
        if let Some(((name, health), config)) = lainlet {
            let known = in_force.contribution(&name).cloned();
            spawn(tokio::spawn(lainlet::follow(config, name, known, health, Arc::clone(&inbox))));
        }
        if let Some(((name, health), path)) = file {
            spawn(tokio::spawn(file::follow(path, name, health, Arc::clone(&inbox))));
        }
        let store_error = last_good.as_ref().map(LastGood::error).unwrap_or_default();
        let store = last_good.map(|last_good| {
            let (stop, stopped) = oneshot::channel();
            (stop, tokio::spawn(last_good.follow(stored, stopped)))
        });
        let sources = sources.into_iter().map(|(_, health)| health).collect();
        let store = tokio::sync::Mutex::new(store);
        let inner = Inner {
            snapshots,
            sources,
            assembler,
            store_error,
            ready,
            orders,
            history,
            defaults: config.defaults,
            pinning: tokio::sync::Mutex::default(),
            tasks,
            store,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The one pointer the data plane loads.
    pub fn snapshots(&self) -> Arc<ArcSwap<Snapshot>> {
        Arc::clone(&self.inner.snapshots)
    }

    /// The snapshot in force.
    pub fn table(&self) -> Arc<Snapshot> {
        self.inner.snapshots.load_full()
    }

    /// How discovery is doing.
    pub fn status(&self) -> DiscoveryStatus {
        let assembler = lock(&self.inner.assembler).clone();
        let ready = self.is_ready();
        let not_ready_because = (!ready).then(|| not_ready_because(&self.inner.sources, &assembler));
        DiscoveryStatus {
            generation: assembler.generation,
            applied_at: assembler.applied_at,
            last_apply: assembler.last_apply,
            table_from: assembler.table_from,
            ready,
            not_ready_because,
            sources: self.inner.sources.iter().map(|source| source.status()).collect(),
            hold: assembler.hold,
            pins: assembler.pins,
            generations_lost: self.inner.history.lost(),
            store_error: lock(&self.inner.store_error).clone(),
        }
    }

    /// Whether a full table is in force.
    pub fn is_ready(&self) -> bool {
        *self.inner.ready.borrow()
    }

    /// Resolves when a full table is in force; never, when discovery is stopped before.
    pub async fn ready(&self) {
        let mut ready = self.inner.ready.clone();
        if ready.wait_for(|ready| *ready).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Applies or refuses a held update; without a number, all that are held.
    pub async fn resolve_hold(&self, decision: HoldDecision, id: Option<u64>) -> Result<(), HoldError> {
        let (done, outcome) = oneshot::channel();
        let sent = self.inner.orders.send(Order::Hold(Decision { decision, id, done })).await;
        sent.map_err(|_| HoldError::Stopped)?;
        outcome.await.unwrap_or(Err(HoldError::Stopped))
    }

    /// A page of the generations that were in force, the newest first; `app` leaves out those that do not concern it,
    /// `before` those from this entry on. Reads the disk.
    pub fn history(&self, app: Option<&str>, before: Option<u64>, limit: usize) -> Result<Vec<Entry>, HistoryError> {
        self.inner.history.page(app, before, limit)
    }

    /// What differs between two generations, proc by proc. Reads the disk.
    pub fn difference(&self, from: Generation, to: Generation) -> Result<Vec<Change>, HistoryError> {
        self.inner.history.difference(from, to)
    }

    /// A table as it was, under the policies that are configured now. Reads the disk.
    pub fn table_of(&self, when: When) -> Result<Arc<Snapshot>, HistoryError> {
        let (newest, past, generation) = self.inner.history.past(when)?;
        Ok(Arc::new(past.table(&newest, generation, &self.inner.defaults)))
    }

    /// Goes back to the table of a generation: every app that differs is pinned to it. Returns what came in force.
    pub async fn rollback(&self, generation: Generation, by: &str) -> Result<Pinned, PinError> {
        let _only = self.inner.pinning.lock().await;
        let then = self.then(generation).await?;
        self.bring(pinning::rollback(&self.pins(), then, by)?).await
    }

    /// Lets the apps of a rollback follow their sources again.
    pub async fn end_rollback(&self, by: &str) -> Result<Pinned, PinError> {
        let _only = self.inner.pinning.lock().await;
        self.bring(pinning::end_rollback(&self.pins(), by)?).await
    }

    /// Keeps an app as it was in a generation, the one in force when none is named.
    pub async fn pin(&self, app: &str, generation: Option<Generation>, by: &str) -> Result<Pinned, PinError> {
        let _only = self.inner.pinning.lock().await;
        let then = self.then(generation.unwrap_or_else(|| self.table().generation())).await?;
        self.bring(pinning::pin(&self.pins(), app, &then, by)?).await
    }

    /// Lets an app follow its sources again.
    pub async fn unpin(&self, app: &str, by: &str) -> Result<Pinned, PinError> {
        let _only = self.inner.pinning.lock().await;
        self.bring(pinning::unpin(&self.pins(), app, by)?).await
    }

    fn pins(&self) -> Arc<Pins> {
        Arc::clone(&lock(&self.inner.assembler).pins)
    }

    async fn then(&self, generation: Generation) -> Result<Then, PinError> {
        let history = Arc::clone(&self.inner.history);
        let read = tokio::task::spawn_blocking(move || history.past(When::Generation(generation))).await;
        let (newest, past, generation) = read.map_err(|error| HistoryError::Unreadable(error.to_string()))??;
        Ok(Then { newest, past, generation })
    }

    async fn bring(&self, pinning: Pinning) -> Result<Pinned, PinError> {
        let apps = pinning.apps.clone();
        let (done, outcome) = oneshot::channel();
        self.inner.orders.send(Order::Pin(pinning, done)).await.map_err(|_| PinError::Stopped)?;
        let generation = outcome.await.map_err(|_| PinError::Stopped)?;
        Ok(Pinned { generation, apps })
    }

    /// Ends all tasks after the table in force has been stored.
    pub async fn stop(&self) {
        self.inner.tasks.iter().for_each(AbortHandle::abort);
        if let Some((stop, store)) = self.inner.store.lock().await.take() {
            // It may have ended by itself.
            let _ = stop.send(());
            let _ = store.await;
        }
    }
}

fn not_ready_because(sources: &[Arc<SourceHealth>], assembler: &AssemblerStatus) -> String {
    if sources.is_empty() {
        return "no source is configured".to_owned();
    }
    let silent: Vec<&str> = assembler.silent.iter().map(SourceName::as_str).collect();
    format!("nothing was heard yet from {}, and no table of an earlier run stands in", silent.join(" and "))
}
