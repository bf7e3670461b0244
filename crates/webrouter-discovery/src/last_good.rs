//! The last good table on disk: written off the path of updates, read once at the start.
//!
//! Each write carries only what changed since the one before; one write at a time. Whatever goes wrong here is shown in
//! the status and never touches traffic. A file that cannot be read is moved aside, not deleted.

mod store;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::sync::{oneshot, watch};
use webrouter_routing::merge::Defaults;
use webrouter_routing::name::SourceName;
use webrouter_routing::snapshot::Snapshot;

use crate::StartError;
use crate::source::{Problem, lock};
use crate::status::ErrorStatus;
use store::{OpenError, Store};

/// What keeps the table from being stored; shared with the status.
pub(crate) type StoreError = Arc<Mutex<Option<ErrorStatus>>>;

/// An open store with what it held.
pub(crate) struct LastGood {
    store: Option<Store>,
    directory: PathBuf,
    error: StoreError,
}

/// The table that an earlier run left.
pub(crate) struct Loaded {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) saved_at: SystemTime,
}

impl LastGood {
    /// Opens the store in a directory and reads the part of the table that comes from these sources.
    pub(crate) async fn open(
        directory: PathBuf,
        defaults: Defaults,
        sources: Vec<SourceName>,
    ) -> Result<(Self, Option<Loaded>), StartError> {
        let error = StoreError::default();
        let opening = directory.clone();
        let opened = tokio::task::spawn_blocking(move || open_and_load(&opening, &defaults, &sources)).await;
        match opened.unwrap_or_else(|panic| Err(OpenError::Unreadable(format!("reading it failed: {panic}")))) {
            Ok((store, loaded)) => Ok((Self { store: Some(store), directory, error }, loaded)),
            Err(OpenError::InUse(path)) => Err(StartError::StateInUse { path }),
            Err(OpenError::Io(message)) => {
                note(&error, Problem::new("io", message));
                Ok((Self { store: None, directory, error }, None))
            }
            Err(OpenError::Unreadable(message)) => {
                let aside = tokio::task::spawn_blocking({
                    let directory = directory.clone();
                    move || store::move_aside(&directory).and_then(|aside| Ok((aside, Store::open(&directory)?)))
                });
                let (store, told) = match aside.await {
                    Ok(Ok((aside, store))) => (Some(store), format!("{message}; it was moved to {}", aside.display())),
                    Ok(Err(error)) => (None, format!("{message}; it could not be moved aside: {error}")),
                    Err(panic) => (None, format!("{message}; {panic}")),
                };
                note(&error, Problem::new("corrupt", told));
                Ok((Self { store, directory, error }, None))
            }
        }
    }

    pub(crate) fn error(&self) -> StoreError {
        Arc::clone(&self.error)
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
        let written = tokio::task::spawn_blocking(move || {
            let mut store = match store {
                Some(store) => store,
                None => Store::open(&directory).map_err(|error| error.to_string())?,
            };
            store.write(&snapshot).map(|()| store).map_err(|error| error.to_string())
        });
        match written.await.unwrap_or_else(|panic| Err(format!("writing it failed: {panic}"))) {
            Ok(store) => {
                self.store = Some(store);
                if lock(&self.error).take_if(|error| error.kind != "corrupt").is_some() {
                    tracing::info!("the last good table is stored again");
                }
                Ok(())
            }
            // The store is opened anew for the next attempt; redb takes no write after a failed one.
            Err(message) => {
                note(&self.error, Problem::new("io", message));
                Err(())
            }
        }
    }
}

fn open_and_load(
    directory: &Path,
    defaults: &Defaults,
    sources: &[SourceName],
) -> Result<(Store, Option<Loaded>), OpenError> {
    let mut store = Store::open(directory)?;
    let loaded = store.load(defaults, sources)?;
    Ok((store, loaded))
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
