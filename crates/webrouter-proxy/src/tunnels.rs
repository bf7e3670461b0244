//! The tunnels of one core: woken when their endpoint leaves, when it turns out to stay, and when the core stops. A tunnel about
//! which there is nothing to say is never looked at: the work of a look is in the endpoints that have tunnels.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};

use crate::fleet::endpoint::EndpointState;

/// Every running tunnel of a core, by its endpoint.
#[derive(Default)]
pub(crate) struct Tunnels {
    groups: RefCell<HashMap<*const EndpointState, Rc<Group>, foldhash::fast::RandomState>>,
    open: Cell<usize>,
    next: Cell<u64>,
    stopping: Cell<bool>,
}

/// The tunnels to one endpoint, which lives as long as they do.
struct Group {
    endpoint: Arc<EndpointState>,
    /// What the tunnels were told last.
    leaving: Cell<bool>,
    wakers: RefCell<HashMap<u64, Waker, foldhash::fast::RandomState>>,
    members: Cell<usize>,
}

/// One running tunnel; entered until it is dropped.
pub(crate) struct Membership {
    tunnels: Rc<Tunnels>,
    group: Rc<Group>,
    id: u64,
    waiting: Cell<bool>,
}

/// What a tunnel is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    Stay,
    /// Its endpoint leaves: end in good time.
    Leave,
    /// The core stops, and nothing else is left to wait for.
    Part,
}

impl Tunnels {
    pub(crate) fn open(&self) -> usize {
        self.open.get()
    }

    /// Tells the tunnels whose endpoint leaves, or does not leave after all, and that do not know it yet.
    pub(crate) fn wake_leaving(&self) {
        for group in self.groups.borrow().values() {
            let leaving = group.endpoint.is_leaving();
            if group.leaving.replace(leaving) != leaving {
                group.wake();
            }
        }
    }

    /// Tells all of them to part now.
    pub(crate) fn part(&self) {
        if !self.stopping.replace(true) {
            self.groups.borrow().values().for_each(|group| group.wake());
        }
    }
}

impl Group {
    fn wake(&self) {
        self.wakers.borrow().values().for_each(Waker::wake_by_ref);
    }
}

impl Membership {
    /// Enters a tunnel to an endpoint.
    pub(crate) fn enter(tunnels: &Rc<Tunnels>, endpoint: &Arc<EndpointState>) -> Self {
        let mut groups = tunnels.groups.borrow_mut();
        let group = groups.entry(Arc::as_ptr(endpoint)).or_insert_with(|| {
            Rc::new(Group {
                endpoint: Arc::clone(endpoint),
                leaving: Cell::new(endpoint.is_leaving()),
                wakers: RefCell::default(),
                members: Cell::default(),
            })
        });
        group.members.set(group.members.get() + 1);
        tunnels.open.set(tunnels.open.get() + 1);
        tunnels.next.set(tunnels.next.get() + 1);
        Self { tunnels: Rc::clone(tunnels), group: Rc::clone(group), id: tunnels.next.get(), waiting: Cell::new(false) }
    }

    /// What is to be done now; the task is woken when it changes.
    pub(crate) fn word(&self, context: &Context<'_>) -> Word {
        if !self.waiting.replace(true) {
            self.group.wakers.borrow_mut().insert(self.id, context.waker().clone());
        }
        match (self.tunnels.stopping.get(), self.group.leaving.get()) {
            (true, _) => Word::Part,
            (false, true) => Word::Leave,
            (false, false) => Word::Stay,
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let tunnels = &self.tunnels;
        self.group.wakers.borrow_mut().remove(&self.id);
        self.group.members.set(self.group.members.get() - 1);
        tunnels.open.set(tunnels.open.get() - 1);
        if self.group.members.get() == 0 {
            tunnels.groups.borrow_mut().remove(&Arc::as_ptr(&self.group.endpoint));
        }
    }
}
