//! What a core knows of the pools it forwards to; it outlives every snapshot that keeps the upstream.

pub(crate) mod balance;
pub(crate) mod connect;
pub(crate) mod pool;
mod race;
mod sticky;
pub(crate) mod view;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use tokio::task::AbortHandle;
use webrouter_routing::policy::Policy;
use webrouter_routing::route::{Route, Upstream};
use webrouter_telemetry::access_log::{AccessLog, LogFileId};
use webrouter_telemetry::metrics::UpstreamMetrics;

use crate::fleet::Fleet;
use crate::fleet::endpoint::Mark;
use crate::fleet::upstream::SharedUpstream;
use view::View;

/// One upstream as one core sees it.
pub(crate) struct UpstreamState {
    pub(crate) shared: Arc<SharedUpstream>,
    pub(crate) metrics: Arc<UpstreamMetrics>,
    view: RefCell<Rc<View>>,
    /// Gives way to other cores, once there is a connection that may be in theirs.
    giving_way: RefCell<Option<AbortHandle>>,
    /// Found by the route itself as a rule, by its mountpoint after an update.
    logged: RefCell<Vec<(Arc<Route>, Rc<LoggedRoute>)>>,
}

/// A route as the access log names it.
pub(crate) struct LoggedRoute {
    pub(crate) text: String,
    pub(crate) file: LogFileId,
}

impl UpstreamState {
    pub(crate) fn new(
        upstream: &Arc<Upstream>,
        metrics: Arc<UpstreamMetrics>,
        fleet: &Fleet,
        first_turn: usize,
    ) -> Self {
        let shared = fleet.upstream(upstream);
        shared.count_by(Arc::clone(&metrics));
        let view = View::new(upstream, &shared, fleet, None, first_turn);
        Self {
            shared,
            metrics,
            view: RefCell::new(Rc::new(view)),
            giving_way: RefCell::default(),
            logged: RefCell::default(),
        }
    }

    /// The endpoints as a snapshot has them.
    pub(crate) fn view(&self, upstream: &Arc<Upstream>, fleet: &Fleet) -> Rc<View> {
        let mut view = self.view.borrow_mut();
        if !Arc::ptr_eq(&view.upstream, upstream) {
            *view = Rc::new(View::new(upstream, &self.shared, fleet, Some(&view), view.turn.get()));
        }
        Rc::clone(&view)
    }

    /// Closes the connections that are only kept whenever another core has no room for one of its own.
    pub(crate) fn give_way(self: &Rc<Self>) {
        let mut giving_way = self.giving_way.borrow_mut();
        if giving_way.is_some() {
            return;
        }
        let (state, shared) = (Rc::downgrade(self), Arc::clone(&self.shared));
        let task = tokio::task::spawn_local(async move {
            loop {
                shared.queue.asked_for_room().await;
                let Some(state) = state.upgrade() else { return };
                state.view.borrow().seats.iter().for_each(|seat| seat.give_way());
            }
        });
        *giving_way = Some(task.abort_handle());
    }

    /// The policy in force when the endpoints were last looked at.
    pub(crate) fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.view.borrow().upstream.policy)
    }

    /// Closes idle connections that are of no use any more; says how many are left.
    pub(crate) fn sweep(&self, upstream: &Arc<Upstream>, fleet: &Fleet) -> usize {
        let view = self.view(upstream, fleet);
        if view.seats.iter().any(|seat| seat.shared.is_marked(Mark::GONE)) {
            // It left and came back while that was being noted: it has another state now.
            *self.view.borrow_mut() = Rc::new(View::new(upstream, &self.shared, fleet, Some(&view), view.turn.get()));
        }
        self.view.borrow().seats.iter().map(|seat| seat.sweep()).sum()
    }

    /// How the access log names a route of this upstream.
    pub(crate) fn logged(&self, route: &Arc<Route>, log: &AccessLog) -> Rc<LoggedRoute> {
        let mut logged = self.logged.borrow_mut();
        if let Some((_, known)) = logged.iter().find(|(known, _)| Arc::ptr_eq(known, route)) {
            return Rc::clone(known);
        }
        if let Some((before, known)) = logged.iter_mut().find(|(known, _)| known.mountpoint == route.mountpoint) {
            *before = Arc::clone(route);
            return Rc::clone(known);
        }
        if logged.len() >= MAX_LOGGED {
            logged.clear();
        }
        let file = log.file(route.mountpoint.host().as_str(), &route.upstream.name);
        let new = Rc::new(LoggedRoute { text: route.mountpoint.to_string(), file });
        logged.push((Arc::clone(route), Rc::clone(&new)));
        new
    }
}

impl Drop for UpstreamState {
    fn drop(&mut self) {
        if let Some(task) = self.giving_way.take() {
            task.abort();
        }
    }
}

/// Past this, names of mountpoints that came and went are forgotten.
const MAX_LOGGED: usize = 1024;
