//! A bounded number of connections, in which a new one always finds a place: a probe must not wait for idle clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::AbortHandle;

/// The connections that are open.
pub(super) struct Places {
    limit: usize,
    /// Counts what happens, requests and new connections alike.
    clock: Arc<AtomicU64>,
    taken: Vec<(Place, AbortHandle)>,
}

/// Of one connection: when it last asked.
#[derive(Clone)]
pub(super) struct Place {
    clock: Arc<AtomicU64>,
    asked: Arc<AtomicU64>,
}

impl Places {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, clock: Arc::default(), taken: Vec::new() }
    }

    /// A place for a new connection.
    pub(super) fn place(&self) -> Place {
        let place = Place { clock: Arc::clone(&self.clock), asked: Arc::default() };
        place.asked();
        place
    }

    /// Gives the place to a connection's task; when all are taken, the task whose last request is the oldest ends.
    pub(super) fn take(&mut self, place: Place, task: AbortHandle) {
        self.taken.retain(|(_, task)| !task.is_finished());
        if self.taken.len() >= self.limit {
            let oldest =
                self.taken.iter().enumerate().min_by_key(|(_, (place, _))| place.asked.load(Ordering::Relaxed));
            if let Some(oldest) = oldest.map(|(at, _)| at) {
                self.taken.swap_remove(oldest).1.abort();
            }
        }
        self.taken.push((place, task));
    }
}

impl Place {
    /// A request has come, or the connection itself.
    pub(super) fn asked(&self) {
        self.asked.store(self.clock.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
    }
}
