//! Clients that keep asking while something happens to the router, and remember every request that failed.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::acceptor::locked;
use crate::client::Client;

/// What a load client asks for and what it must get.
#[derive(Debug, Clone)]
pub struct Target {
    /// The `Host` to ask for.
    pub host: String,
    /// The request target.
    pub path: String,
    /// Every answer's body must start with this.
    pub body: String,
}

/// Keep-alive clients asking in turn for all targets until stopped.
pub struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stopped: AtomicBool,
    answered: AtomicUsize,
    failures: Mutex<Vec<String>>,
}

impl Load {
    /// Starts `clients` threads against the router at `addr`.
    pub fn start(addr: SocketAddr, clients: usize, targets: &[Target]) -> Load {
        let shared = Arc::new(Shared::default());
        let threads = (0..clients)
            .map(|_| {
                let (shared, targets) = (Arc::clone(&shared), targets.to_vec());
                thread::spawn(move || keep_asking(addr, &targets, &shared))
            })
            .collect();
        Load { shared, threads }
    }

    /// Requests answered as they should be, so far.
    pub fn answered(&self) -> usize {
        self.shared.answered.load(Ordering::SeqCst)
    }

    /// What failed so far.
    pub fn failures(&self) -> Vec<String> {
        locked(&self.shared.failures).clone()
    }

    /// Waits until `more` further requests were answered; false when that takes longer than `deadline`.
    pub fn proceeds(&self, more: usize, deadline: Duration) -> bool {
        let goal = self.answered() + more;
        crate::until(deadline, || (self.answered() >= goal).then_some(())).is_some()
    }

    /// Stops all clients; every failure there was.
    pub fn finish(mut self) -> Vec<String> {
        self.stop();
        self.failures()
    }

    fn stop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop();
    }
}

fn keep_asking(addr: SocketAddr, targets: &[Target], shared: &Shared) {
    let mut client = None;
    for target in targets.iter().cycle() {
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        match ask(addr, &mut client, target) {
            Ok(()) => {
                shared.answered.fetch_add(1, Ordering::SeqCst);
            }
            Err(why) => {
                client = None;
                let mut failures = locked(&shared.failures);
                if failures.len() < MAX_FAILURES {
                    failures.push(format!("{}{}: {why}", target.host, target.path));
                }
            }
        }
        // Leaves the processor to what is being tested.
        thread::sleep(PAUSE);
    }
}

fn ask(addr: SocketAddr, kept: &mut Option<Client>, target: &Target) -> Result<(), String> {
    let mut client = match kept.take() {
        Some(client) => client,
        None => Client::try_connect(addr).map_err(|error| error.to_string())?,
    };
    let response = client.get(&target.host, &target.path)?;
    if response.status != 200 || !response.text().starts_with(&target.body) {
        return Err(format!("{} {:?}", response.status, response.text()));
    }
    *kept = Some(client);
    Ok(())
}

const PAUSE: Duration = Duration::from_millis(1);
const MAX_FAILURES: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http_origin::HttpOrigin;

    fn target(body: &str) -> Target {
        Target { host: "a.test".to_owned(), path: "/".to_owned(), body: body.to_owned() }
    }

    #[test]
    fn counts_answers_and_remembers_failures() {
        let origin = HttpOrigin::start("one");
        let load = Load::start(origin.addr(), 2, &[target("one")]);
        assert!(load.proceeds(10, Duration::from_secs(5)));
        assert_eq!(load.finish(), Vec::<String>::new());

        let load = Load::start(origin.addr(), 1, &[target("another")]);
        crate::eventually(Duration::from_secs(5), "a failure", || !load.failures().is_empty());
        assert!(load.finish().iter().any(|why| why.contains("200 \"one\"")));
    }
}
