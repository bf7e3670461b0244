//! Signals of the process.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::signal::unix::{self, SignalKind};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// SIGTERM, SIGINT, SIGQUIT: stop, and finish what is under way.
    Stop,
    /// SIGHUP, SIGUSR2: what makes other servers read their configuration or binary again.
    Reload,
    /// SIGUSR1: open the log files again.
    Reopen,
}

/// The signals that are listened for; from now on they do not end the process by themselves.
pub(crate) struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    quit: unix::Signal,
    hangup: unix::Signal,
    user: unix::Signal,
    user2: unix::Signal,
}

impl Signals {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let listen = |kind| unix::signal(kind).context("cannot listen for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            quit: listen(SignalKind::quit())?,
            hangup: listen(SignalKind::hangup())?,
            user: listen(SignalKind::user_defined1())?,
            user2: listen(SignalKind::user_defined2())?,
        })
    }

    /// The next signal.
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.interrupt.recv() => Signal::Stop,
            _ = self.quit.recv() => Signal::Stop,
            _ = self.hangup.recv() => Signal::Reload,
            _ = self.user2.recv() => Signal::Reload,
            _ = self.user.recv() => Signal::Reopen,
        }
    }

    /// Waits for a signal to stop; others are passed over.
    pub(crate) async fn stop(&mut self) {
        while self.next().await != Signal::Stop {}
    }

    /// Waits for another signal to stop; one that comes with the first is the same wish (a group gets it twice).
    pub(crate) async fn stop_again(&mut self) {
        let first = Instant::now();
        while self.next().await != Signal::Stop || first.elapsed() < SAME_WISH {}
    }
}

const SAME_WISH: Duration = Duration::from_secs(1);
