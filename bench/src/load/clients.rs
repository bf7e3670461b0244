//! Clients that are tasks of one thread, each a closed loop: what they count, and when they stop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// A kind of client.
pub(crate) trait Client: Send + Sync + 'static {
    /// Asks until the window ends, finishes what is under way, and returns how many right answers there were.
    /// The first wrong one is an error.
    fn ask_until(&self, number: usize, window_ends: Instant) -> impl Future<Output = Result<u64>> + Send;
}

/// Runs so many clients for the length of a window; right answers and wall-clock time.
pub(crate) fn run(client: impl Client, clients: usize, window: Duration) -> Result<(u64, Duration)> {
    let client = Arc::new(client);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let started = Instant::now();
        let mut tasks = JoinSet::new();
        for number in 0..clients {
            let client = Arc::clone(&client);
            tasks.spawn(async move { client.ask_until(number, started + window).await });
        }
        let mut answers = 0;
        while let Some(ended) = timeout(window + GRACE, tasks.join_next()).await.context("answers are missing")? {
            answers += ended??;
        }
        if answers == 0 {
            bail!("no answers");
        }
        Ok((answers, started.elapsed()))
    })
}

/// How long requests under way may take after the window.
const GRACE: Duration = Duration::from_secs(10);
