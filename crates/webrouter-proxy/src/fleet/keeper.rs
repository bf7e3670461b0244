//! The one thread beside the cores: it takes note of every new snapshot, ends ejections, makes the health checks and
//! writes down what they found. No core and no operator waits for it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use webrouter_routing::snapshot::Snapshot;
use webrouter_telemetry::metrics::Metrics;

use super::prober::Prober;
use super::{Fleet, saved};

/// The running thread; it ends with [`Keeper::stop`], or when this is dropped.
#[derive(Debug)]
pub(crate) struct Keeper {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Keeper {
    pub(crate) fn start(fleet: Arc<Fleet>, snapshots: Arc<ArcSwap<Snapshot>>, metrics: Metrics) -> io::Result<Self> {
        // Not the cores' runtimes, nor the admin's: neither disturbs the other.
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("health".to_owned()).spawn(move || {
            runtime.block_on(keep(&fleet, &snapshots, &metrics, stopped));
            // A disk may hang: a write that does not end is left to the end of the process.
            runtime.shutdown_background();
        })?;
        Ok(Self { stop, thread })
    }

    /// Writes down what is known and ends the thread. Blocks for a few seconds at most.
    pub(crate) fn stop(self) {
        let Self { stop, thread } = self;
        drop(stop);
        if thread.join().is_err() {
            tracing::error!("the health thread broke off: a mistake of webrouter's own");
        }
    }
}

async fn keep(
    fleet: &Arc<Fleet>,
    snapshots: &ArcSwap<Snapshot>,
    metrics: &Metrics,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut prober = Prober::new(metrics.clone());
    let mut record = fleet.config.health_file.clone().map(|path| RecordKeeper::new(path, fleet, metrics));
    let mut known = Arc::new(Snapshot::default());
    let mut strangers_until = Some(Instant::now() + STRANGERS);
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            _ = tick.tick() => {
                let grown = fleet.grown();
                let newest = snapshots.load_full();
                if !Arc::ptr_eq(&known, &newest) {
                    fleet.follow(&known, &newest);
                    prober.follow(&known, &newest, fleet);
                    known = newest;
                }
                fleet.settle(grown, &known);
                fleet.readmit(&known);
                fleet.sweep();
                if strangers_until.take_if(|until| *until <= Instant::now()).is_some() {
                    fleet.forget_strangers(&known);
                }
                if let Some(record) = &mut record {
                    record.look().await;
                }
            }
            () = prober.step() => {}
        }
    }
    if let Some(record) = record {
        record.finish().await;
    }
}

/// Writes the health file when something changed, off this thread, one write at a time.
struct RecordKeeper {
    path: PathBuf,
    fleet: Arc<Fleet>,
    metrics: Metrics,
    writing: Option<Writing>,
    /// Not again before.
    next: Instant,
    failed: bool,
}

struct Writing {
    since: Instant,
    task: tokio::task::JoinHandle<io::Result<()>>,
}

impl RecordKeeper {
    fn new(path: PathBuf, fleet: &Arc<Fleet>, metrics: &Metrics) -> Self {
        let (fleet, metrics, next) = (Arc::clone(fleet), metrics.clone(), Instant::now());
        Self { path, fleet, metrics, writing: None, next, failed: false }
    }

    /// Begins to write if there is something to write, and takes note of how it went.
    async fn look(&mut self) {
        if let Some(writing) = self.writing.take_if(|writing| writing.task.is_finished()) {
            let took = writing.since.elapsed();
            let ended = writing.task.await;
            self.ended(ended, took);
        }
        if self.writing.is_none() && Instant::now() >= self.next {
            self.begin();
        }
    }

    fn begin(&mut self) {
        if !self.fleet.unsaved.swap(false, Ordering::AcqRel) {
            return;
        }
        let (path, fleet) = (self.path.clone(), Arc::clone(&self.fleet));
        let task = spawn_blocking(move || saved::write(&path, fleet.to_remember()));
        self.writing = Some(Writing { since: Instant::now(), task });
    }

    fn ended(&mut self, ended: Result<io::Result<()>, JoinError>, took: Duration) {
        let now = Instant::now();
        match ended.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
            Ok(()) => {
                // A large table may change all the time: it must not be written all the time.
                self.next = now + BETWEEN_WRITES.max(took * REST_PER_WORK);
                if std::mem::take(&mut self.failed) {
                    tracing::info!("the endpoints' health is written down again");
                }
            }
            Err(error) => {
                self.next = now + RETRY;
                self.fleet.unsaved.store(true, Ordering::Release);
                self.metrics.node().health_save_failures.increment();
                if !std::mem::replace(&mut self.failed, true) {
                    let path = self.path.display();
                    tracing::warn!(
                        %path, %error,
                        "the endpoints' health cannot be written down: a restart would have to learn it again; traffic \
                         goes on, and it is tried again"
                    );
                }
            }
        }
    }

    /// The last write; not waited for for ever.
    async fn finish(mut self) {
        let finished = timeout(LAST_WRITE, async {
            if let Some(Writing { since, task }) = self.writing.take() {
                self.ended(task.await, since.elapsed());
            }
            self.begin();
            if let Some(Writing { since, task }) = self.writing.take() {
                self.ended(task.await, since.elapsed());
            }
        });
        if finished.await.is_err() {
            tracing::warn!("the endpoints' health was not written down in time");
        }
    }
}

const TICK: Duration = Duration::from_millis(50);
const BETWEEN_WRITES: Duration = Duration::from_secs(1);
/// One part of the time is spent on writing, at most, and so many on other things.
const REST_PER_WORK: u32 = 100;
const RETRY: Duration = Duration::from_secs(10);
const LAST_WRITE: Duration = Duration::from_secs(3);
/// Sources have told all they know by then.
const STRANGERS: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests;
