//! What every source has: a slot for its newest contribution, and a record of how it is doing.
//!
//! A source hands over its whole view; the assembler takes the latest and never sees what was overtaken.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Notify;
use webrouter_routing::contribution::Contribution;
use webrouter_routing::name::SourceName;

use crate::status::{ErrorStatus, SourceKind, SourceState, SourceStatus};

/// Something that went wrong with a source: a stable word and what happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) kind: &'static str,
    pub(crate) message: String,
}

impl Problem {
    pub(crate) fn new(kind: &'static str, message: impl fmt::Display) -> Self {
        Self { kind, message: excerpt(&message.to_string()) }
    }
}

/// The newest contribution of each source that the assembler has not taken yet.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    slots: Mutex<BTreeMap<SourceName, Contribution>>,
    news: Notify,
}

impl Inbox {
    pub(crate) fn put(&self, contribution: Contribution) {
        lock(&self.slots).insert(contribution.source.clone(), contribution);
        self.news.notify_one();
    }

    pub(crate) fn take(&self) -> Vec<Contribution> {
        std::mem::take(&mut *lock(&self.slots)).into_values().collect()
    }

    /// Resolves when something was put, or a source fares differently.
    pub(crate) async fn news(&self) {
        self.news.notified().await;
    }
}

/// How one source is doing; written by the source, read by whoever asks.
#[derive(Debug)]
pub(crate) struct SourceHealth {
    status: Mutex<SourceStatus>,
    log: Mutex<Log>,
    inbox: Arc<Inbox>,
}

impl SourceHealth {
    pub(crate) fn new(name: &SourceName, kind: SourceKind, target: String, inbox: Arc<Inbox>) -> Self {
        let status = SourceStatus {
            name: name.to_string(),
            kind,
            target,
            state: SourceState::Connecting,
            since: SystemTime::now(),
            last_news_at: None,
            last_error: None,
            errors: BTreeMap::new(),
            events: 0,
            reconnects: 0,
            deaf_watches: 0,
        };
        Self { status: Mutex::new(status), log: Mutex::default(), inbox }
    }

    pub(crate) fn status(&self) -> SourceStatus {
        lock(&self.status).clone()
    }

    pub(crate) fn state(&self) -> SourceState {
        lock(&self.status).state
    }

    /// The source said its whole view.
    pub(crate) fn news(&self) {
        let mut status = lock(&self.status);
        status.events += 1;
        status.last_news_at = Some(SystemTime::now());
        self.tell_state(&status);
    }

    /// The source said again what is known.
    pub(crate) fn confirmed(&self) {
        let mut status = lock(&self.status);
        status.last_news_at = Some(SystemTime::now());
        self.tell_state(&status);
    }

    pub(crate) fn reconnected(&self) {
        lock(&self.status).reconnects += 1;
    }

    pub(crate) fn found_deaf(&self) {
        lock(&self.status).deaf_watches += 1;
    }

    /// What kind of source it is.
    pub(crate) fn kind(&self) -> SourceKind {
        lock(&self.status).kind
    }

    /// Counts a problem; each kind is logged once until the source has been well for a while.
    pub(crate) fn problem(&self, problem: &Problem) {
        let mut status = lock(&self.status);
        *status.errors.entry(problem.kind).or_default() += 1;
        let failing = status.state == SourceState::Failing;
        let again = status.last_error.as_ref().filter(|last| failing && last.kind == problem.kind);
        let count = again.map_or(1, |last| last.count + 1);
        if lock(&self.log).is_new(problem.kind, Instant::now()) {
            tracing::warn!(source = %status.name, kind = problem.kind, error = %problem.message, "source error");
        }
        let (kind, message, at) = (problem.kind, problem.message.clone(), SystemTime::now());
        status.last_error = Some(ErrorStatus { kind, message, at, count });
        self.tell_state(&status);
    }

    pub(crate) fn enter(&self, state: SourceState) {
        let mut status = lock(&self.status);
        if status.state == state {
            return;
        }
        status.state = state;
        status.since = SystemTime::now();
        lock(&self.log).well_since = (state == SourceState::Following).then(Instant::now);
        self.tell_state(&status);
        drop(status);
        self.inbox.news.notify_one();
    }

    /// Logs the state, unless it is known or there were many such lines; then one of the next calls logs it.
    fn tell_state(&self, status: &SourceStatus) {
        if !lock(&self.log).tells(status.state, Instant::now()) {
            return;
        }
        match status.state {
            SourceState::Following => tracing::info!(source = %status.name, "source is followed"),
            SourceState::Failing => {
                tracing::warn!(source = %status.name, "source is failing, its last view stays in force");
            }
            SourceState::Connecting => {}
        }
    }
}

/// What was logged, so that a source that flaps does not fill the log.
#[derive(Debug, Default)]
struct Log {
    /// Kinds of problems since the source was last well for [`WELL`].
    kinds: BTreeSet<&'static str>,
    well_since: Option<Instant>,
    told: Option<SourceState>,
    /// When the lines about the state are counted from, and how many there were.
    states: Option<(Instant, u32)>,
}

impl Log {
    fn is_new(&mut self, kind: &'static str, now: Instant) -> bool {
        if self.well_since.is_some_and(|since| now.duration_since(since) >= WELL) {
            self.kinds.clear();
        }
        self.well_since = self.well_since.map(|_| now);
        self.kinds.insert(kind)
    }

    fn tells(&mut self, state: SourceState, now: Instant) -> bool {
        if self.told == Some(state) || state == SourceState::Connecting {
            return false;
        }
        let (since, lines) = self.states.filter(|(since, _)| now.duration_since(*since) < WELL).unwrap_or((now, 0));
        if lines == STATE_LINES {
            return false;
        }
        self.states = Some((since, lines + 1));
        self.told = Some(state);
        true
    }
}

/// The beginning of a foreign text, escaped, fit for a log line.
pub(crate) fn excerpt(text: &str) -> String {
    let mut short: String = text.chars().take(EXCERPT_CHARS).flat_map(escape).collect();
    if text.chars().nth(EXCERPT_CHARS).is_some() {
        short.push('…');
    }
    short
}

/// Escapes what could forge a line or move a terminal's cursor; quotes stay as they are.
fn escape(c: char) -> impl Iterator<Item = char> {
    let quote = matches!(c, '"' | '\'' | '\\');
    let plain = quote.then_some(c);
    plain.into_iter().chain((!quote).then(|| c.escape_debug()).into_iter().flatten())
}

/// Locks a mutex; what it guards is whole even if a holder panicked, since each update is a plain assignment.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const EXCERPT_CHARS: usize = 300;
/// How long a source has to be well for its problems to be news again.
const WELL: Duration = Duration::from_secs(60);
/// Lines about its state within that time.
const STATE_LINES: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn health() -> (SourceHealth, Arc<Inbox>) {
        let inbox = Arc::new(Inbox::default());
        let name = SourceName::new("file");
        (SourceHealth::new(&name, SourceKind::File, "apps.toml".into(), Arc::clone(&inbox)), inbox)
    }

    #[test]
    fn the_latest_contribution_wins() {
        let inbox = Inbox::default();
        let source = SourceName::new("file");
        let mut second = Contribution::empty(source.clone());
        second.unreadable = Arc::new(vec![("x".into(), webrouter_routing::rejection::Reason::BadName("x".into()))]);
        inbox.put(Contribution::empty(source));
        inbox.put(second.clone());
        assert_eq!(inbox.take(), [second]);
        assert_eq!(inbox.take(), []);
    }

    #[test]
    fn problems_in_a_row_are_counted_and_kept_after_they_are_over() {
        let (health, _inbox) = health();
        let problem = Problem::new("connect", "refused");
        for _ in 0..3 {
            health.problem(&problem);
            health.enter(SourceState::Failing);
        }
        health.enter(SourceState::Following);
        let status = health.status();
        assert_eq!(status.state, SourceState::Following);
        assert_eq!(status.last_error.as_ref().map(|error| (error.kind, error.count)), Some(("connect", 3)));
        assert_eq!(status.errors.get("connect"), Some(&3));
    }

    #[test]
    fn each_kind_is_logged_once_until_the_source_was_well_for_a_while() {
        let mut log = Log::default();
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        assert!(log.is_new("connect", at(0)) && log.is_new("closed", at(0)) && !log.is_new("connect", at(1)));
        log.well_since = Some(at(10));
        assert!(!log.is_new("connect", at(69)), "well for 59 seconds");
        assert!(!log.is_new("connect", at(128)), "it was a problem in between");
        assert!(log.is_new("connect", at(188)));
    }

    #[test]
    fn a_state_that_flaps_is_logged_a_few_times_and_its_last_in_the_end() {
        let mut log = Log::default();
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let states = [SourceState::Following, SourceState::Failing];
        let lines = (0..51).filter(|&second| log.tells(states[usize::from(second % 2 == 1)], at(second))).count();
        assert_eq!(lines, 4);
        assert!(!log.tells(SourceState::Following, at(59)));
        assert!(log.tells(SourceState::Following, at(61)) && !log.tells(SourceState::Following, at(62)));
    }

    #[test]
    fn foreign_text_is_escaped_and_shortened() {
        assert_eq!(excerpt("a\nb\u{1b}[0m\"c\""), "a\\nb\\u{1b}[0m\"c\"");
        assert_eq!(excerpt(&"x".repeat(1000)).chars().count(), EXCERPT_CHARS + 1);
    }
}
