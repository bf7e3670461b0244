//! What a source says at this moment, asked besides the one that is followed: nothing of it gets into the table.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use imbl::OrdMap;
use webrouter_routing::contribution::Proc;
use webrouter_routing::name::{ProcName, SourceName};
use webrouter_routing::rejection::Reason;

use crate::lainlet::translate::Translator;
use crate::source::Problem;
use crate::{LainletConfig, file, lainlet};

/// What a source says now.
#[derive(Debug, Clone, Default)]
pub struct Fresh {
    /// The entries by name: those that were asked for, of a lainlet, and all of a file.
    pub procs: OrdMap<ProcName, Arc<Proc>>,
    /// Entries whose key is no name: (escaped key, reason).
    pub unreadable: Arc<Vec<(String, Reason)>>,
    /// What the source takes for the time, where it tells.
    pub date: Option<SystemTime>,
}

/// Why a source could not be asked, or not be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AskError {
    /// A closed, stable word.
    pub kind: &'static str,
    /// What happened; foreign text in it is escaped and shortened.
    pub message: String,
}

impl From<Problem> for AskError {
    fn from(Problem { kind, message }: Problem) -> Self {
        Self { kind, message }
    }
}

/// What a lainlet says of one app, within twice the time of `config`; `known` stands in for what cannot be read now.
///
/// To a question about one app it answers the same error when it has no such app and when it is unwell itself: only its
/// whole state tells which.
pub async fn lainlet(config: &LainletConfig, app: &str, known: OrdMap<ProcName, Arc<Proc>>) -> Result<Fresh, AskError> {
    let answer = match lainlet::ask_app(config, app).await {
        Err(problem) if problem.kind == "http_status" => lainlet::ask_all(config).await,
        answer => answer,
    };
    let (text, date) = answer?;
    let app = app.to_owned();
    // A whole state takes a while to read.
    let read = tokio::task::spawn_blocking(move || translate(text, known, &app)).await;
    let fresh = read.map_err(|panic| Problem::new("panic", panic))??;
    Ok(Fresh { date, ..fresh })
}

/// What a lainlet takes for the time, by an answer whose content does not matter.
pub async fn lainlet_date(config: &LainletConfig) -> Result<Option<SystemTime>, AskError> {
    Ok(lainlet::ask_date(config).await?)
}

/// What a file of apps says.
pub async fn file(path: PathBuf) -> Result<Fresh, AskError> {
    let read = tokio::task::spawn_blocking(move || file::read_once(&path, &SourceName::new("file"))).await;
    let said = read.map_err(|panic| Problem::new("panic", panic))??;
    Ok(Fresh { procs: said.procs, unreadable: said.unreadable, date: None })
}

fn translate(text: Bytes, known: OrdMap<ProcName, Arc<Proc>>, app: &str) -> Result<Fresh, Problem> {
    if text.trim_ascii() == b"{}" {
        return Err(Problem::new("empty", "lainlet says that there is no web app at all"));
    }
    let known = known.into_iter().filter(|(name, _)| name.app() == app);
    let mut translator = Translator::new(known.collect());
    translator.update(text).map_err(|error| Problem::new(error.kind(), error))?;
    let of_app = |(name, _): &(&ProcName, &Arc<Proc>)| name.app() == app;
    let procs = translator.procs().iter().filter(of_app).map(|(name, proc)| (name.clone(), Arc::clone(proc)));
    Ok(Fresh { procs: procs.collect(), unreadable: Arc::clone(translator.unreadable()), date: None })
}
