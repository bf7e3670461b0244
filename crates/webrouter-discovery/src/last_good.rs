//! The last good table on disk: written off the path of updates, read once at the start.
//!
//! Each write carries only what changed since the one before; one write at a time. Whatever goes wrong here is shown in
//! the status and never touches traffic. A file that cannot be read is moved aside, not deleted.

pub(crate) mod store;

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::sync::{oneshot, watch};
use webrouter_routing::merge::Defaults;
use webrouter_routing::name::SourceName;
use webrouter_routing::pin::Pins;
use webrouter_routing::snapshot::Snapshot;

use crate::StartError;
use crate::history::History;
use crate::source::{Problem, excerpt, lock};
use crate::status::ErrorStatus;
use store::{OpenError, Store, StoreFailure};

/// What a state directory holds, as a reader that changes nothing finds it.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The table.
    pub snapshot: Arc<Snapshot>,
    /// When it was stored.
    pub saved_at: SystemTime,
}

/// Why the table of a state directory cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// A live process has it open.
    #[error("{} is in use by a process that runs", .0.display())]
    InUse(PathBuf),
    /// It is not there, or may not be read.
    #[error("{0}")]
    Io(String),
    /// It is there, and is no store, or one of another format.
    #[error("{0}")]
    Unreadable(String),
}

/// Reads the last good table of an instance that is down; `None` when none was stored. Blocks; changes nothing.
pub fn read(directory: &Path, defaults: &Defaults, sources: &[SourceName]) -> Result<Option<Stored>, ReadError> {
    let read = caught(|| store::read(directory, defaults, sources));
    match read {
        Ok(loaded) => Ok(loaded.map(|Loaded { snapshot, saved_at }| Stored { snapshot, saved_at })),
        Err(OpenError::InUse(path)) => Err(ReadError::InUse(path)),
        Err(OpenError::Io(message)) => Err(ReadError::Io(message)),
        Err(OpenError::Unreadable(message)) => Err(ReadError::Unreadable(message)),
    }
}

/// What keeps the table from being stored; shared with the status.
pub(crate) type StoreError = Arc<Mutex<Option<ErrorStatus>>>;

/// An open store with what it held.
pub(crate) struct LastGood {
    store: Option<Store>,
    directory: PathBuf,
    error: StoreError,
    history: Arc<History>,
}

/// The table that an earlier run left.
pub(crate) struct Loaded {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) saved_at: SystemTime,
}

impl LastGood {
    /// Opens the store in a directory and reads the part of the table that comes from these sources, and the pins.
    pub(crate) async fn open(
        directory: PathBuf,
        defaults: Defaults,
        sources: Vec<SourceName>,
    ) -> Result<(Self, Option<Loaded>), StartError> {
        let error = StoreError::default();
        let nothing = Arc::new(Snapshot::empty(&defaults));
        let opening = directory.clone();
        let opened = tokio::task::spawn_blocking(move || open_and_load(&opening, &defaults, &sources)).await;
        match opened.unwrap_or_else(|panic| Err(OpenError::Unreadable(format!("reading it failed: {panic}")))) {
            Ok((store, loaded, pins)) => {
                let in_force = loaded.as_ref().map_or(nothing, |loaded| Arc::clone(&loaded.snapshot));
                let history = Arc::new(History::new(in_force, pins));
                if let Err(failure) = store.serve(&history) {
                    note(&error, Problem::new("io", failure));
                }
                Ok((Self { store: Some(store), directory, error, history }, loaded))
            }
            Err(OpenError::InUse(path)) => Err(StartError::StateInUse { path }),
            Err(OpenError::Io(message)) => {
                note(&error, Problem::new("io", message));
                let history = Arc::new(History::new(nothing, Pins::default()));
                Ok((Self { store: None, directory, error, history }, None))
            }
            Err(OpenError::Unreadable(message)) => {
                let replacing = directory.clone();
                let replaced = tokio::task::spawn_blocking(move || replace(&replacing, &message)).await;
                let (store, told) = match replaced.unwrap_or_else(|panic| Err(OpenError::Io(panic.to_string()))) {
                    Ok((store, told)) => (Some(store), told),
                    Err(error) => (None, error.to_string()),
                };
                note(&error, Problem::new("corrupt", told));
                let history = Arc::new(History::new(nothing, Pins::default()));
                if let Some(Err(failure)) = store.as_ref().map(|store| store.serve(&history)) {
                    note(&error, Problem::new("io", failure));
                }
                Ok((Self { store, directory, error, history }, None))
            }
        }
    }

    pub(crate) fn error(&self) -> StoreError {
        Arc::clone(&self.error)
    }

    /// What the writer records.
    pub(crate) fn history(&self) -> Arc<History> {
        Arc::clone(&self.history)
    }

    /// Stores every snapshot that is published, the latest of a burst, until told to stop; then the last one.
    pub(crate) async fn follow(
        mut self,
        mut snapshots: watch::Receiver<Arc<Snapshot>>,
        mut stop: oneshot::Receiver<()>,
    ) {
        let mut stopping = false;
        let mut retry = None;
        while !stopping {
            tokio::select! {
                changed = snapshots.changed() => stopping = changed.is_err(),
                () = pause(retry) => {}
                _ = &mut stop => stopping = true,
            }
            let snapshot = Arc::clone(&snapshots.borrow_and_update());
            retry = self.write(snapshot).await.err().map(|()| RETRY);
            if !stopping && retry.is_none() {
                tokio::select! {
                    () = tokio::time::sleep(BETWEEN_WRITES) => {}
                    _ = &mut stop => {
                        stopping = true;
                        let snapshot = Arc::clone(&snapshots.borrow_and_update());
                        let _ = self.write(snapshot).await;
                    }
                }
            }
        }
    }

    async fn write(&mut self, snapshot: Arc<Snapshot>) -> Result<(), ()> {
        let store = self.store.take();
        let directory = self.directory.clone();
        let history = Arc::clone(&self.history);
        let written = move || write_or_replace(store, &directory, &snapshot, &history);
        let written = tokio::task::spawn_blocking(written).await;
        match written.unwrap_or_else(|panic| Err(OpenError::Unreadable(format!("writing it failed: {panic}")))) {
            Ok((store, replaced)) => {
                self.store = Some(store);
                if let Some(told) = replaced {
                    note(&self.error, Problem::new("corrupt", told));
                } else if lock(&self.error).take_if(|error| error.kind != "corrupt").is_some() {
                    tracing::info!("the last good table is stored again");
                }
                Ok(())
            }
            // The store is opened anew for the next attempt; redb takes no write after a failed one.
            Err(error) => {
                note(&self.error, Problem::new("io", error));
                Err(())
            }
        }
    }
}

/// Writes to the store in the directory: the open one, if it is still there. An unreadable one is replaced, and told of.
fn write_or_replace(
    store: Option<Store>,
    directory: &Path,
    snapshot: &Arc<Snapshot>,
    history: &History,
) -> Result<(Store, Option<String>), OpenError> {
    let written = caught(|| {
        let mut store = match store.filter(|store| store.is_in_place(directory)) {
            Some(store) => store,
            None => served(Store::open(directory)?, history)?,
        };
        record(&mut store, snapshot, history)?;
        Ok(store)
    });
    match written {
        Ok(store) => Ok((store, None)),
        Err(OpenError::Unreadable(message)) => {
            let (store, told) = replace(directory, &message)?;
            let store = caught(|| {
                let mut store = served(store, history)?;
                record(&mut store, snapshot, history)?;
                Ok(store)
            })?;
            Ok((store, Some(told)))
        }
        Err(error) => Err(error),
    }
}

fn served(store: Store, history: &History) -> Result<Store, OpenError> {
    store.serve(history).map_err(failed)?;
    Ok(store)
}

fn record(store: &mut Store, snapshot: &Arc<Snapshot>, history: &History) -> Result<(), OpenError> {
    let unwritten = history.unwritten();
    store.write(snapshot, &unwritten).map_err(failed)?;
    if let Some(last) = unwritten.pending.last() {
        history.written(last.id);
    }
    Ok(())
}

fn failed(failure: StoreFailure) -> OpenError {
    match failure.is_corruption() {
        true => OpenError::Unreadable(failure.to_string()),
        false => OpenError::Io(failure.to_string()),
    }
}

/// Moves an unreadable store out of the way and makes a new one; also tells where the old one is.
fn replace(directory: &Path, message: &str) -> Result<(Store, String), OpenError> {
    let cannot = |error| OpenError::Io(format!("{message}; it could not be moved aside: {error}"));
    let aside = store::move_aside(directory).map_err(cannot)?;
    let store = caught(|| Store::open(directory)).map_err(cannot)?;
    Ok((store, format!("{message}; it was moved to {}", aside.display())))
}

/// What is damaged may make the store panic: that is an unreadable store, and no more.
fn caught<T>(access: impl FnOnce() -> Result<T, OpenError>) -> Result<T, OpenError> {
    std::panic::catch_unwind(AssertUnwindSafe(access)).unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().map(String::as_str);
        let message = message.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked");
        Err(OpenError::Unreadable(excerpt(message)))
    })
}

fn open_and_load(
    directory: &Path,
    defaults: &Defaults,
    sources: &[SourceName],
) -> Result<(Store, Option<Loaded>, Pins), OpenError> {
    let mut store = Store::open(directory)?;
    let loaded = store.load(defaults, sources)?;
    let pins = store.pins()?;
    Ok((store, loaded, pins))
}

fn note(error: &StoreError, problem: Problem) {
    let mut error = lock(error);
    let count = error.as_ref().filter(|error| error.kind == problem.kind).map_or(1, |error| error.count + 1);
    if count == 1 {
        tracing::warn!(kind = problem.kind, error = %problem.message, "the last good table cannot be stored");
    }
    *error = Some(ErrorStatus { kind: problem.kind, message: problem.message, at: SystemTime::now(), count });
}

async fn pause(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

const BETWEEN_WRITES: Duration = Duration::from_millis(250);
const RETRY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
