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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use webrouter_routing::endpoint::Endpoint;

    use super::*;
    use crate::fleet::endpoint::Mark;
    use crate::fleet::record::Record;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A tunnel that has been asked once, and its wakes.
    struct Told {
        membership: Membership,
        wakes: Arc<Wakes>,
    }

    impl Told {
        fn enter(tunnels: &Rc<Tunnels>, endpoint: &Arc<EndpointState>) -> Self {
            let told = Self { membership: Membership::enter(tunnels, endpoint), wakes: Arc::default() };
            told.word();
            told
        }

        fn word(&self) -> Word {
            let waker = Waker::from(Arc::clone(&self.wakes));
            self.membership.word(&Context::from_waker(&waker))
        }

        #[track_caller]
        fn check(&self, wakes: usize, word: Word) {
            assert_eq!((self.wakes.0.load(Ordering::Relaxed), self.word()), (wakes, word));
        }
    }

    fn endpoint(text: &str) -> Arc<EndpointState> {
        Arc::new(EndpointState::new(Endpoint::parse(text).expect("good"), Record::default()))
    }

    #[test]
    fn only_tunnels_of_a_leaving_endpoint_are_woken_and_only_once() {
        let tunnels = Rc::<Tunnels>::default();
        let (leaving, other) = (endpoint("10.0.0.1:80"), endpoint("10.0.0.2:80"));
        let (first, second) = (Told::enter(&tunnels, &leaving), Told::enter(&tunnels, &leaving));
        let third = Told::enter(&tunnels, &other);
        tunnels.wake_leaving();
        for told in [&first, &second, &third] {
            told.check(0, Word::Stay);
        }
        leaving.mark(Mark::GONE);
        tunnels.wake_leaving();
        tunnels.wake_leaving();
        for told in [&first, &second] {
            told.check(1, Word::Leave);
        }
        third.check(0, Word::Stay);
        let late = Told::enter(&tunnels, &leaving);
        late.check(0, Word::Leave);
        leaving.unmark(Mark::GONE);
        tunnels.wake_leaving();
        for told in [&first, &second] {
            told.check(2, Word::Stay);
        }
        tunnels.part();
        tunnels.part();
        third.check(1, Word::Part);
        first.check(3, Word::Part);
    }

    #[test]
    fn a_tunnel_that_ended_leaves_nothing_behind() {
        let tunnels = Rc::<Tunnels>::default();
        let endpoint = endpoint("10.0.0.1:80");
        let (first, second) = (Told::enter(&tunnels, &endpoint), Told::enter(&tunnels, &endpoint));
        assert_eq!((tunnels.open(), tunnels.groups.borrow().len()), (2, 1));
        drop(first);
        assert_eq!((tunnels.open(), tunnels.groups.borrow().len()), (1, 1));
        endpoint.mark(Mark::DRAINING);
        tunnels.wake_leaving();
        second.check(1, Word::Leave);
        drop(second);
        assert_eq!((tunnels.open(), tunnels.groups.borrow().len()), (0, 0));
        assert_eq!(Arc::strong_count(&endpoint), 1);
    }
}
