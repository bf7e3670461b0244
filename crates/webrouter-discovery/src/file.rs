//! The file source: a followed apps.toml.
//!
//! Its folder is watched, so that a rename over it and a swapped link are seen; a slow look at the file itself catches
//! what the watch misses. A file that is being written is read when its writer closes it, or a moment later.

mod apps;
mod changes;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use imbl::OrdMap;
use webrouter_routing::annotation::{Annotation, RawAnnotation};
use webrouter_routing::contribution::{Claims, Contribution, Proc, Settings};
use webrouter_routing::endpoint::Endpoint;
use webrouter_routing::name::{ProcName, SourceName};
use webrouter_routing::rejection::Reason;

use crate::source::{Inbox, Problem, SourceHealth, excerpt};
use crate::status::SourceState;
use changes::Changes;

pub use apps::{App, AppChange, AppsError, AppsFile, parse_apps};

/// Follows a file until the task is aborted.
pub(crate) async fn follow(path: PathBuf, name: SourceName, health: Arc<SourceHealth>, inbox: Arc<Inbox>) {
    let mut changes = Changes::of(path.clone());
    let mut view = View::new(name, AppsFile::new(&path));
    loop {
        let reading = path.clone();
        // Reading may block, and a large file that is new takes a while to parse.
        let taken = tokio::task::spawn_blocking(move || {
            let outcome = read(&reading).and_then(|text| view.take(text));
            (view, outcome)
        });
        let (next, outcome) = match taken.await {
            Ok(taken) => taken,
            Err(error) => {
                health.problem(&Problem::new("panic", error));
                health.enter(SourceState::Failing);
                return;
            }
        };
        view = next;
        match outcome {
            Ok(Seen::New) => {
                health.news();
                health.enter(SourceState::Following);
                inbox.put(view.contribution());
            }
            Ok(Seen::Known) => {
                health.confirmed();
                health.enter(SourceState::Following);
            }
            Err(problem) => {
                health.problem(&problem);
                health.enter(SourceState::Failing);
            }
        }
        changes.next().await;
    }
}

fn read(path: &Path) -> Result<String, Problem> {
    let problem = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Problem::new("missing", format!("{}: there is no such file; it is waited for", path.display()))
        }
        _ => Problem::new("io", format!("{}: {error}", path.display())),
    };
    let size = std::fs::metadata(path).map_err(problem)?.len();
    if size > MAX_BYTES {
        return Err(Problem::new(
            "too_large",
            format!("{}: {size} bytes, at most {MAX_BYTES} are taken", path.display()),
        ));
    }
    std::fs::read_to_string(path).map_err(problem)
}

/// Whether a text was known.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    New,
    Known,
}

/// What the file says, as procs.
struct View {
    name: SourceName,
    file: AppsFile,
    taken: bool,
    procs: OrdMap<ProcName, Arc<Proc>>,
    bad_names: OrdMap<String, Reason>,
}

impl View {
    fn new(name: SourceName, file: AppsFile) -> Self {
        Self { name, file, taken: false, procs: OrdMap::new(), bad_names: OrdMap::new() }
    }

    fn take(&mut self, text: String) -> Result<Seen, Problem> {
        if self.taken && self.file.text() == text {
            return Ok(Seen::Known);
        }
        let changes = self.file.update(text).map_err(|error| Problem::new("bad_toml", error))?;
        self.taken = true;
        for change in changes {
            match (ProcName::parse(&change.name), change.app) {
                (Ok(name), Some(app)) => drop(self.procs.insert(name, Arc::new(proc(&app)))),
                (Ok(name), None) => drop(self.procs.remove(&name)),
                (Err(error), Some(_)) => {
                    self.bad_names.insert(change.name, Reason::BadName(error.to_string()));
                }
                (Err(_), None) => drop(self.bad_names.remove(&change.name)),
            }
        }
        Ok(Seen::New)
    }

    fn contribution(&self) -> Contribution {
        let unreadable = self.bad_names.iter().map(|(key, reason)| (excerpt(key), reason.clone())).collect();
        Contribution {
            source: self.name.clone(),
            procs: self.procs.clone(),
            unreadable: Arc::new(unreadable),
            settings: Arc::new(Settings::default()),
        }
    }
}

fn proc(app: &App) -> Proc {
    let (annotation, mut reasons) = Annotation::from_raw(RawAnnotation {
        mountpoint: Some(app.mountpoint.clone()),
        https_only: Some(app.https_only),
        healthcheck: app.healthcheck.clone(),
    });
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for text in &app.endpoints {
        match Endpoint::parse(text) {
            Ok(endpoint) if endpoints.contains(&endpoint) => {}
            Ok(endpoint) => endpoints.push(endpoint),
            Err(error) => reasons.push(Reason::BadEndpoint(excerpt(&error.to_string()))),
        }
    }
    Proc { claims: Claims::Readable(Arc::new(annotation)), endpoints: endpoints.into(), reasons }
}

const MAX_BYTES: u64 = 64 << 20;
