//! The lainlet source: three watches, and GETs as the truth.
//!
//! ```text
//! watch ─► whole state ─┐
//!                       ├─► translate ─► contribution
//! GET, every refresh ───┘ only when the watch is down, or found deaf: twice in a row GET says something else,
//!                         `deaf_after` apart, and the watch has said nothing in between
//! ```
//! A webprocs state without any entry is an error: a real lainlet answers an error where it has none.

mod connection;
mod setting;
pub mod translate;
mod watch;
pub mod wire;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use webrouter_routing::certificate::CertificateMap;
use webrouter_routing::contribution::{Contribution, Settings};
use webrouter_routing::host::Host;
use webrouter_routing::name::SourceName;

use crate::LainletConfig;
use crate::reconnect::jittered;
use crate::source::{Inbox, Problem, SourceHealth};
use crate::status::SourceState;
use setting::{Setting, Told};
use translate::Translator;
use watch::Watch;

/// Follows a lainlet until the task is aborted; `known` is what it said in an earlier run.
pub(crate) async fn follow(
    config: LainletConfig,
    name: SourceName,
    known: Option<Contribution>,
    health: Arc<SourceHealth>,
    inbox: Arc<Inbox>,
) {
    let known = known.unwrap_or_else(|| Contribution::empty(name.clone()));
    let config = Arc::new(config);
    let news = Arc::new(Notify::new());
    let feeds = [Subject::Webprocs, Subject::Certificates, Subject::ExtraDomains]
        .map(|subject| Feed::open(subject, &config, &health, &news));
    let source = Source {
        certificates: setting::certificates(known.settings.certificates.clone()),
        extra_domains: setting::extra_domains(known.settings.extra_domains.clone()),
        translator: Translator::new(known.procs),
        name,
        config,
        health,
        inbox,
        news,
        feeds,
        gets: JoinSet::new(),
        settings_until: None,
        delivered: false,
    };
    source.run().await;
}

/// The answer about one app, and what lainlet takes for the time. `app` is of the characters of a name.
pub(crate) async fn ask_app(config: &LainletConfig, app: &str) -> Result<(Bytes, Option<SystemTime>), Problem> {
    connection::get_dated(config, &format!("{}?appname={app}", Subject::Webprocs.target())).await
}

/// The whole state, and what lainlet takes for the time.
pub(crate) async fn ask_all(config: &LainletConfig) -> Result<(Bytes, Option<SystemTime>), Problem> {
    connection::get_dated(config, Subject::Webprocs.target()).await
}

/// What lainlet takes for the time.
pub(crate) async fn ask_date(config: &LainletConfig) -> Result<Option<SystemTime>, Problem> {
    connection::get_dated(config, Subject::ExtraDomains.target()).await.map(|(_, date)| date)
}

/// What one watch is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Webprocs,
    Certificates,
    ExtraDomains,
}

impl Subject {
    fn target(self) -> &'static str {
        match self {
            Self::Webprocs => "/v2/webrouter/webprocs",
            Self::Certificates => "/v2/configwatcher?target=ssl",
            Self::ExtraDomains => "/v2/configwatcher?target=extra_domains",
        }
    }

    /// A setting is one short text: it may not take the memory that a state may.
    fn bounded(self, config: &Arc<LainletConfig>) -> Arc<LainletConfig> {
        match self {
            Self::Webprocs => Arc::clone(config),
            _ => Arc::new(LainletConfig { max_bytes: config.max_bytes.min(LONGEST_SETTING), ..(**config).clone() }),
        }
    }

    fn watch_target(self, heartbeat: Duration) -> String {
        let and = if self.target().contains('?') { '&' } else { '?' };
        format!("{}{and}watch=1&heartbeat={}", self.target(), heartbeat.as_secs().max(1))
    }
}

/// One subject: its watch, what it last said, and what GET says against it.
struct Feed {
    subject: Subject,
    watch: Watch,
    /// States the watch has delivered.
    count: u64,
    /// The last text that was taken, good or bad.
    text: Option<Bytes>,
    watch_problem: Option<Problem>,
    get_problem: Option<Problem>,
    text_problem: Option<Problem>,
    /// GET said something else when the watch had delivered this many states.
    disagreed_at: Option<u64>,
    next_get: Instant,
    getting: bool,
}

impl Feed {
    fn open(subject: Subject, config: &Arc<LainletConfig>, health: &Arc<SourceHealth>, news: &Arc<Notify>) -> Self {
        let target = subject.watch_target(config.heartbeat);
        let watch = Watch::open(subject.bounded(config), target, Arc::clone(health), Arc::clone(news));
        Self {
            subject,
            watch,
            count: 0,
            text: None,
            watch_problem: None,
            get_problem: None,
            text_problem: None,
            disagreed_at: None,
            next_get: Instant::now() + jittered(config.refresh, REFRESH_JITTER),
            getting: false,
        }
    }

    /// The watch lives, but a GET failed: whether that is over is asked sooner than at the next refresh.
    fn ask_soon(&mut self, refresh: Duration) {
        self.next_get = self.next_get.min(Instant::now() + GET_AGAIN.min(refresh));
    }

    fn is_well(&self) -> bool {
        self.text.is_some() && !self.has_problem()
    }

    fn has_problem(&self) -> bool {
        self.watch_problem.is_some() || self.get_problem.is_some() || self.text_problem.is_some()
    }
}

struct Got {
    at: usize,
    /// What the watch had delivered when it was asked.
    count: u64,
    answer: Result<Bytes, Problem>,
}

struct Source {
    name: SourceName,
    config: Arc<LainletConfig>,
    health: Arc<SourceHealth>,
    inbox: Arc<Inbox>,
    news: Arc<Notify>,
    feeds: [Feed; 3],
    translator: Translator,
    certificates: Setting<CertificateMap>,
    extra_domains: Setting<Vec<Host>>,
    gets: JoinSet<Got>,
    /// How long the first contribution waits for the settings.
    settings_until: Option<Instant>,
    delivered: bool,
}

impl Source {
    async fn run(mut self) {
        loop {
            let next_get = self.feeds.iter().filter(|feed| !feed.getting).map(|feed| feed.next_get).min();
            let settings = self.settings_until.filter(|_| !self.delivered);
            let deadline = next_get.into_iter().chain(settings).min().unwrap_or_else(|| Instant::now() + IDLE);
            let news = Arc::clone(&self.news);
            let mut got = None;
            tokio::select! {
                () = news.notified() => {}
                Some(answer) = self.gets.join_next(), if !self.gets.is_empty() => got = answer.ok(),
                () = tokio::time::sleep_until(deadline) => {}
            }
            // The watches first: an answer is held against the newest they have said.
            let mut changed = self.take_states();
            changed |= got.is_some_and(|got| self.take_answer(got));
            self.ask_due();
            self.note_state();
            self.deliver(changed);
        }
    }

    /// Takes what the watches have brought.
    fn take_states(&mut self) -> bool {
        let mut changed = false;
        for at in 0..self.feeds.len() {
            let Some(feed) = self.feeds.get_mut(at) else { continue };
            let slot = feed.watch.take();
            feed.watch_problem = slot.problem;
            if let Some(state) = slot.state {
                feed.count = slot.count;
                feed.disagreed_at = None;
                if feed.get_problem.is_some() {
                    feed.ask_soon(self.config.refresh);
                }
                self.health.news();
                changed |= self.take_text(at, state, Told::Watch);
            }
        }
        changed
    }

    fn ask_due(&mut self) {
        let now = Instant::now();
        for (at, feed) in self.feeds.iter_mut().enumerate() {
            if feed.getting || feed.next_get > now {
                continue;
            }
            feed.getting = true;
            feed.next_get = now + jittered(self.config.refresh, REFRESH_JITTER);
            let (config, target, count) = (feed.subject.bounded(&self.config), feed.subject.target(), feed.count);
            self.gets.spawn(async move { Got { at, count, answer: connection::get(&config, target).await } });
        }
    }

    /// Holds the truth against what the watch says.
    fn take_answer(&mut self, got: Got) -> bool {
        let webprocs_well = self.feeds.first().is_some_and(Feed::is_well);
        let told = if webprocs_well { Told::Get } else { Told::UnwellGet };
        let Some(feed) = self.feeds.get_mut(got.at) else { return false };
        feed.getting = false;
        let text = match got.answer {
            Ok(text) => text,
            Err(problem) => {
                self.health.problem(&problem);
                feed.get_problem = Some(problem);
                if feed.watch_problem.is_none() {
                    feed.ask_soon(self.config.refresh);
                }
                return false;
            }
        };
        feed.get_problem = None;
        let known = feed.text.clone();
        if feed.watch_problem.is_some() || known.is_none() {
            self.health.news();
            return self.take_text(got.at, text, told);
        }
        if feed.count != got.count {
            // The watch has moved on since; the next GET will tell.
            return false;
        }
        if self.agrees(got.at, known.as_ref(), &text) {
            self.health.confirmed();
            if let Some(feed) = self.feeds.get_mut(got.at) {
                feed.disagreed_at = None;
            }
            // A setting that is missing again may be believed now.
            return got.at != 0 && self.take_text(got.at, text, told);
        }
        self.disagreement(got.at, text, told)
    }

    fn agrees(&self, at: usize, known: Option<&Bytes>, text: &Bytes) -> bool {
        if known.is_some_and(|known| known.trim_ascii() == text.trim_ascii()) {
            return true;
        }
        if at != 0 {
            return false;
        }
        // Written differently, it may still say the same.
        let mut other = self.translator.clone();
        let readable = other.update(text.clone()).is_ok();
        let text_is_good = self.feeds.first().is_some_and(|feed| feed.text_problem.is_none());
        readable
            && text_is_good
            && other.procs() == self.translator.procs()
            && other.unreadable() == self.translator.unreadable()
    }

    /// GET and the watch disagree: the second time in a row the watch is deaf, and GET is right.
    fn disagreement(&mut self, at: usize, text: Bytes, told: Told) -> bool {
        let Some(feed) = self.feeds.get_mut(at) else { return false };
        if feed.disagreed_at.replace(feed.count) != Some(feed.count) {
            feed.next_get = Instant::now() + self.config.deaf_after;
            return false;
        }
        tracing::warn!(source = %self.name, target_path = feed.subject.target(), "watch is deaf, replaced by a new one");
        self.health.found_deaf();
        self.health.reconnected();
        self.health.news();
        *feed = Feed::open(feed.subject, &self.config, &self.health, &self.news);
        self.take_text(at, text, told)
    }

    /// Takes a text of one subject; says whether it may have changed the contribution.
    fn take_text(&mut self, at: usize, text: Bytes, told: Told) -> bool {
        let Some(subject) = self.feeds.get(at).map(|feed| feed.subject) else { return false };
        let taken = match subject {
            Subject::Webprocs => self.take_webprocs(text.clone()),
            Subject::Certificates => self.certificates.take(&text, told),
            Subject::ExtraDomains => self.extra_domains.take(&text, told),
        };
        let Some(feed) = self.feeds.get_mut(at) else { return false };
        feed.text = Some(text);
        match taken {
            Ok(()) => {
                feed.text_problem = None;
                true
            }
            Err(problem) => {
                self.health.problem(&problem);
                feed.text_problem = Some(problem);
                false
            }
        }
    }

    fn take_webprocs(&mut self, text: Bytes) -> Result<(), Problem> {
        if text.iter().all(|byte| byte.is_ascii_whitespace() || matches!(byte, b'{' | b'}')) {
            return Err(Problem::new("empty", "lainlet says that there is no web app at all"));
        }
        self.translator.update(text).map_err(|error| Problem::new(error.kind(), error))
    }

    /// Hands the whole view over, once it is whole: the webprocs, and the settings unless they are long in coming.
    fn deliver(&mut self, changed: bool) {
        let [webprocs, settings @ ..] = &self.feeds;
        let has_webprocs = webprocs.text.is_some() && (self.delivered || webprocs.text_problem.is_none());
        if !has_webprocs || (self.delivered && !changed) {
            return;
        }
        let now = Instant::now();
        let settings_told = settings.iter().all(|feed| feed.text.is_some() || feed.watch_problem.is_some());
        if !self.delivered && !settings_told && *self.settings_until.get_or_insert(now + SETTINGS_WAIT) > now {
            return;
        }
        self.delivered = true;
        let flaws: Vec<_> = self.certificates.flaws().chain(self.extra_domains.flaws()).cloned().collect();
        let unreadable = match flaws.is_empty() {
            true => Arc::clone(self.translator.unreadable()),
            false => Arc::new(self.translator.unreadable().iter().cloned().chain(flaws).collect()),
        };
        let settings = Settings {
            certificates: self.certificates.value().cloned(),
            extra_domains: self.extra_domains.value().cloned(),
        };
        self.inbox.put(Contribution {
            source: self.name.clone(),
            procs: self.translator.procs().clone(),
            unreadable,
            settings: Arc::new(settings),
        });
    }

    fn note_state(&self) {
        if self.feeds.iter().any(Feed::has_problem) {
            self.health.enter(SourceState::Failing);
        } else if self.feeds.first().is_some_and(Feed::is_well) {
            self.health.enter(SourceState::Following);
        }
    }
}

const REFRESH_JITTER: f64 = 0.2;
const LONGEST_SETTING: usize = 1 << 20;
const GET_AGAIN: Duration = Duration::from_secs(1);
const SETTINGS_WAIT: Duration = Duration::from_millis(300);
const IDLE: Duration = Duration::from_secs(60);
