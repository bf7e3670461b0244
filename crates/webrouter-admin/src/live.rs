//! What is live: one task samples the traffic each second, and tells those who listen what happens.
//!
//! It costs its listeners' number nothing: an event is written once. Its end, at stop, ends every stream.

mod change;
mod stream;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use tokio::sync::{Semaphore, broadcast};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use webrouter_admin_api::Tick;
use webrouter_routing::snapshot::Snapshot;

use crate::state::AdminState;
use crate::traffic::Recent;
use crate::view::endpoints::word;
use crate::view::time;

pub(crate) use stream::{Stream, Taken};

/// What handlers see of it.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) recent: Recent,
    /// Weak, so that the end of the task ends the streams.
    events: broadcast::WeakSender<Arc<Event>>,
    streams: Arc<Semaphore>,
}

/// An event as it is sent.
#[derive(Debug)]
struct Event {
    name: &'static str,
    json: String,
}

/// Starts the task; it ends when it is aborted.
pub(crate) fn start(state: AdminState) -> (Arc<Live>, JoinHandle<()>) {
    let (sender, _) = broadcast::channel(BACKLOG);
    let live = Arc::new(Live {
        recent: Recent::default(),
        events: sender.downgrade(),
        streams: Arc::new(Semaphore::new(MAX_STREAMS)),
    });
    let task = tokio::spawn(run(state, Arc::clone(&live), sender));
    (live, task)
}

async fn run(state: AdminState, live: Arc<Live>, events: broadcast::Sender<Arc<Event>>) {
    let mut clock = interval(LOOK_EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = state.discovery.table();
    for look in 0_u64.. {
        clock.tick().await;
        let is_second = look % LOOKS_PER_SECOND == 0;
        let table = state.discovery.table();
        if !is_second && Arc::ptr_eq(&table, &seen) {
            continue;
        }
        let (state, live, listened_to) = (state.clone(), Arc::clone(&live), events.receiver_count() > 0);
        let old = std::mem::replace(&mut seen, Arc::clone(&table));
        let told = tokio::task::spawn_blocking(move || tell(&state, &live, &old, &table, is_second, listened_to));
        match told.await {
            // Nobody listening is no failure.
            Ok(told) => told.into_iter().for_each(|event| drop(events.send(Arc::new(event)))),
            Err(error) => tracing::error!(%error, "the events of this second could not be made"),
        }
    }
}

fn tell(
    state: &AdminState,
    live: &Live,
    old: &Arc<Snapshot>,
    table: &Arc<Snapshot>,
    is_second: bool,
    listened_to: bool,
) -> Vec<Event> {
    if is_second {
        live.recent.sample(state.metrics.traffic(), Instant::now());
    }
    let mut events = Vec::new();
    if listened_to && !Arc::ptr_eq(old, table) {
        events.extend(Event::new("table", &change::between(old, table)));
    }
    if listened_to && is_second {
        events.extend(Event::new("tick", &tick(state, live, table)));
    }
    events
}

fn tick(state: &AdminState, live: &Live, table: &Snapshot) -> Tick {
    let (fleet, status) = (state.fleet.summary(table), state.discovery.status());
    Tick {
        at: time(SystemTime::now()),
        ready: state.not_ready_because(&status).is_none(),
        generation: table.generation().0,
        routes: table.route_count(),
        total: live.recent.total(),
        endpoints_by_state: fleet.by_state.into_iter().map(|(state, count)| (word(state), count)).collect(),
        fail_open: fleet.fail_open.len(),
        breakers_open: fleet.breakers_open.len(),
        hold: status.hold.is_some(),
    }
}

impl Event {
    fn new(name: &'static str, content: &impl Serialize) -> Option<Self> {
        serde_json::to_string(content).ok().map(|json| Self { name, json })
    }
}

const LOOK_EVERY: Duration = Duration::from_millis(200);
const LOOKS_PER_SECOND: u64 = 5;
/// Events that a stream may be behind; who is further behind is dropped.
const BACKLOG: usize = 16;
/// At the same time; fewer than the connections there may be, so that a probe finds a place.
const MAX_STREAMS: usize = 16;
