//! The client connections of one core: counted, and told when the core stops.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

/// Every open client connection of a core.
pub(crate) struct Clients {
    idle: RefCell<HashMap<u64, Waker, foldhash::fast::RandomState>>,
    open: Cell<usize>,
    exchanges: Cell<usize>,
    next: Cell<u64>,
    stopping: Cell<bool>,
    /// Set while connections cannot be accepted, so that it is said once.
    refusing: Cell<bool>,
    /// Of all cores together.
    total: Arc<AtomicUsize>,
    limit: usize,
}

/// One open connection; counted until it is dropped.
pub(crate) struct Presence {
    core: Rc<crate::core::Core>,
    id: u64,
    waiting: Cell<bool>,
}

/// One request under way, be it a tunnel by now; counted until it is dropped.
pub(crate) struct UnderWay<'a>(&'a Cell<usize>);

impl Clients {
    pub(crate) fn new(total: Arc<AtomicUsize>, limit: Option<usize>) -> Self {
        Self {
            idle: RefCell::default(),
            open: Cell::default(),
            exchanges: Cell::default(),
            next: Cell::default(),
            stopping: Cell::default(),
            refusing: Cell::default(),
            total,
            limit: limit.unwrap_or(usize::MAX),
        }
    }

    pub(crate) fn open(&self) -> usize {
        self.open.get()
    }

    /// How many requests are under way: over HTTP/2, one connection has many.
    pub(crate) fn exchanges(&self) -> usize {
        self.exchanges.get()
    }

    pub(crate) fn begin_exchange(&self) -> UnderWay<'_> {
        self.exchanges.set(self.exchanges.get() + 1);
        UnderWay(&self.exchanges)
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Notes that a connection could not be accepted; says whether that is news.
    pub(crate) fn begins_to_refuse(&self) -> bool {
        !self.refusing.replace(true)
    }

    /// Ends idle connections now, and the others after their request.
    pub(crate) fn stop(&self) {
        self.stopping.set(true);
        self.idle.borrow_mut().drain().for_each(|(_, waker)| waker.wake());
    }
}

impl Presence {
    /// Counts a connection in; `None` when there are too many.
    pub(crate) fn enter(core: &Rc<crate::core::Core>) -> Option<Self> {
        let clients = &core.clients;
        if clients.total.fetch_add(1, Ordering::Relaxed) >= clients.limit {
            clients.total.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        clients.refusing.set(false);
        clients.open.set(clients.open.get() + 1);
        clients.next.set(clients.next.get() + 1);
        core.metrics.connections_accepted.increment();
        core.metrics.connections_open.increment();
        Some(Self { core: Rc::clone(core), id: clients.next.get(), waiting: Cell::new(false) })
    }

    /// Ready when the core stops; to be asked only between requests.
    pub(crate) fn poll_stop(&self, context: &Context<'_>) -> Poll<()> {
        let clients = &self.core.clients;
        if clients.stopping.get() {
            return Poll::Ready(());
        }
        if !self.waiting.replace(true) {
            clients.idle.borrow_mut().insert(self.id, context.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let clients = &self.core.clients;
        clients.idle.borrow_mut().remove(&self.id);
        clients.total.fetch_sub(1, Ordering::Relaxed);
        clients.open.set(clients.open.get() - 1);
        self.core.metrics.connections_open.decrement();
    }
}
