//! Requests at a fixed rate, whether earlier ones were answered or not, and what became of each.
//!
//! Each carries a number of its own (`X-Load-Id`), by which origins know it. Time counts from the moment a request was
//! due, so that one that had to wait for a free client is as slow as its user felt it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::acceptor::locked;
use crate::client::{Asked, Client};
use crate::eventually::until;
use crate::faulty_origin::LOAD_ID;

/// What to ask, how often.
#[derive(Debug, Clone)]
pub struct OpenPlan {
    /// The `Host` to ask for.
    pub host: String,
    /// Requests per second.
    pub rate: u32,
    /// How many in all.
    pub requests: u64,
    /// Every so many requests one is a POST with a body, and the others are GETs; 0 for GETs alone.
    pub post_every: u64,
}

/// A load that is under way; it ends early when dropped.
pub struct OpenLoad {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Its number.
    pub id: u64,
    /// What was asked.
    pub verb: Verb,
    /// When it was due.
    pub due: Instant,
    /// From then to the last byte of the answer, or to the failure.
    pub latency: Duration,
    /// Status and body, or why there was no answer.
    pub answer: Result<(u16, String), String>,
}

/// The methods of a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// GET.
    Get,
    /// POST with a body.
    Post,
}

struct Shared {
    addr: SocketAddr,
    plan: OpenPlan,
    began: Instant,
    next: AtomicU64,
    stopped: AtomicBool,
    outcomes: Mutex<Vec<Outcome>>,
}

impl OpenLoad {
    /// Starts to ask the router at `addr`.
    pub fn start(addr: SocketAddr, plan: OpenPlan) -> OpenLoad {
        let shared = Arc::new(Shared {
            addr,
            plan,
            began: Instant::now(),
            next: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            outcomes: Mutex::default(),
        });
        let threads = (0..CLIENTS)
            .map(|_| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.keep_asking())
            })
            .collect();
        OpenLoad { shared, threads }
    }

    /// How many requests were begun so far.
    pub fn begun(&self) -> u64 {
        self.shared.next.load(Ordering::SeqCst).min(self.shared.plan.requests)
    }

    /// What became of those that have ended.
    pub fn outcomes(&self) -> Vec<Outcome> {
        locked(&self.shared.outcomes).clone()
    }

    /// Waits until this many requests were begun; the rate says when that is.
    pub fn wait_begun(&self, requests: u64) {
        let goal = requests.min(self.shared.plan.requests);
        while until(PATIENCE, || (self.begun() >= goal).then_some(())).is_none() {}
    }

    /// Waits until all have ended; each one's outcome, in the order in which they were due.
    pub fn finish(mut self) -> Vec<Outcome> {
        self.join();
        let mut outcomes = self.outcomes();
        outcomes.sort_by_key(|outcome| outcome.id);
        outcomes
    }

    fn join(&mut self) {
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for OpenLoad {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.join();
    }
}

impl Shared {
    fn keep_asking(&self) {
        let mut client = None;
        loop {
            let id = self.next.fetch_add(1, Ordering::SeqCst);
            if id >= self.plan.requests || self.stopped.load(Ordering::SeqCst) {
                return;
            }
            let due = self.began + Duration::from_secs(1).mul_f64(id as f64 / f64::from(self.plan.rate.max(1)));
            // The rate is what this is for.
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let is_post = self.plan.post_every > 0 && id % self.plan.post_every == self.plan.post_every - 1;
            let verb = if is_post { Verb::Post } else { Verb::Get };
            let answer = self.ask(&mut client, verb, id);
            let latency = due.elapsed();
            locked(&self.outcomes).push(Outcome { id, verb, due, latency, answer });
        }
    }

    fn ask(&self, kept: &mut Option<Client>, verb: Verb, id: u64) -> Result<(u16, String), String> {
        let mut client = match kept.take() {
            Some(client) => client,
            None => Client::try_connect(self.addr).map_err(|error| format!("no connection to the router: {error}"))?,
        };
        let host = &self.plan.host;
        let request = match verb {
            Verb::Get => format!("GET /r/{id} HTTP/1.1\r\nHost: {host}\r\n{LOAD_ID}: {id}\r\n\r\n"),
            Verb::Post => {
                format!("POST /r/{id} HTTP/1.1\r\nHost: {host}\r\n{LOAD_ID}: {id}\r\nContent-Length: 5\r\n\r\nhello")
            }
        };
        if !client.send(request.as_bytes()) {
            return Err("the router takes no more bytes".to_owned());
        }
        let response = client.response(Asked::Content, PATIENCE)?;
        let answer = (response.status, response.text());
        if response.value("connection") != Some("close") {
            *kept = Some(client);
        }
        Ok(answer)
    }
}

/// So many requests can be under way: enough for half of 200 a second to hang for a second.
const CLIENTS: usize = 160;
/// Longer than any time-out of a test; only a failure takes this long.
const PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faulty_origin::FaultyOrigin;

    #[test]
    fn asks_at_the_rate_and_every_origin_knows_the_numbers() {
        let origin = FaultyOrigin::start("one");
        let plan = OpenPlan { host: "a.test".to_owned(), rate: 200, requests: 100, post_every: 4 };
        let began = Instant::now();
        let outcomes = OpenLoad::start(origin.addr(), plan).finish();
        assert!(began.elapsed() >= Duration::from_millis(490), "{:?}", began.elapsed());
        assert!(outcomes.iter().all(|outcome| outcome.answer == Ok((200, "one".to_owned()))), "{outcomes:?}");
        assert_eq!(outcomes.iter().filter(|outcome| outcome.verb == Verb::Post).count(), 25);
        let mut ids: Vec<_> = origin.seen().into_iter().filter_map(|seen| seen.id).collect();
        ids.sort_unstable();
        assert_eq!(ids, (0..100).collect::<Vec<_>>());
    }
}
