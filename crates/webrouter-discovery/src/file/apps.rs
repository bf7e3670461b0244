//! apps.toml: text into apps. The cost of an edit grows with the edit, not with the file.
//!
//! The file is cut at lines that begin with `[apps.`; pieces that did not change are not parsed again. That is the same
//! as parsing it whole when each piece is one table (no multi-line string, no other line that begins with `[`); where it
//! is not so, or something is wrong, the whole file is parsed.

mod app;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use crate::delta::common_ends;
use crate::source::excerpt;

pub use app::{App, AppEndpoint, AppOf};

/// Why an apps.toml cannot be read; nothing of it is taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct AppsError {
    /// The file.
    pub path: PathBuf,
    /// The line of the offence, from 1.
    pub line: usize,
    /// The column of the offence in characters, from 1.
    pub column: usize,
    /// The offending line, escaped and shortened.
    pub text: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub fix: &'static str,
}

impl fmt::Display for AppsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, column, text, message, fix } = self;
        write!(f, "{}:{line}:{column}: {message}: `{text}`: {fix}", path.display())
    }
}

/// An app that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppChange {
    /// Its key.
    pub name: String,
    /// What it is now; `None` when it is gone.
    pub app: Option<Arc<App>>,
}

/// A file that is read again and again.
#[derive(Debug, Clone)]
pub struct AppsFile {
    path: PathBuf,
    text: String,
    /// The pieces of the text; `None` when it cannot be cut.
    pieces: Option<Vec<Piece>>,
    apps: BTreeMap<Arc<str>, Arc<App>>,
}

/// One table of the file, up to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    start: usize,
    name: Arc<str>,
}

/// What makes a new text out of the old one.
struct Patch {
    /// The old pieces that are not in the new text as they were.
    replaced: Range<usize>,
    /// What stands there now, with its app where that is not known already.
    pieces: Vec<(Piece, Option<App>)>,
    /// The apps that are no longer there.
    gone: Vec<Arc<str>>,
    moved: isize,
}

/// Parses a whole file, sorted by name; `path` is for the error.
pub fn parse_apps(text: &str, path: &Path) -> Result<Vec<(String, App)>, AppsError> {
    parse(text, path).map(|raw| raw.apps.into_iter().collect())
}

impl AppsFile {
    /// A file that has not been read yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), text: String::new(), pieces: None, apps: BTreeMap::new() }
    }

    /// The last good text; empty before there was one.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The apps of the last good text.
    pub fn apps(&self) -> impl Iterator<Item = (&str, &Arc<App>)> {
        self.apps.iter().map(|(name, app)| (name.as_ref(), app))
    }

    /// Takes a new text and returns the apps that changed; after an error the last good text stays.
    pub fn update(&mut self, text: String) -> Result<Vec<AppChange>, AppsError> {
        if let Some(patch) = self.patch(&text) {
            return Ok(self.apply(patch, text));
        }
        let raw = parse(&text, &self.path)?;
        let gone = self.apps.keys().filter(|name| !raw.apps.contains_key(name.as_ref())).cloned().collect();
        let changes = self.exchange(gone, raw.apps.into_iter().map(|(name, app)| (name.into(), app)));
        self.pieces = None;
        self.text = text;
        Ok(changes)
    }

    /// Compares the texts and parses what differs; `None` when the new one is to be parsed whole.
    fn patch(&self, new: &str) -> Option<Patch> {
        let old_pieces = self.pieces.as_deref().unwrap_or_default();
        let old = if self.pieces.is_some() { self.text.as_str() } else { "" };
        let (front, back) = common_ends(old.as_bytes(), new.as_bytes());
        let moved = isize::try_from(new.len()).ok()? - isize::try_from(old.len()).ok()?;
        let place = |piece: &Piece| piece.start.checked_add_signed(moved);
        // A piece is as it was when the cut behind it is too.
        let followers = old_pieces.get(1..).unwrap_or_default();
        let kept = followers.partition_point(|next| next.start + CUT.len() <= front);
        let mut tail = old_pieces.partition_point(|piece| piece.start < old.len() - back).max(kept);
        let begins_a_line = |at: usize| at == 0 || new.as_bytes().get(at - 1) == Some(&b'\n');
        while old_pieces.get(tail).is_some_and(|piece| !place(piece).is_some_and(begins_a_line)) {
            tail += 1;
        }
        let to = old_pieces.get(tail).map_or(Some(new.len()), place)?;
        if let Some(pieces) = self.edited_in_place(kept..tail, front, new.get(..to)?) {
            return Some(Patch { replaced: kept..tail, pieces, gone: Vec::new(), moved });
        }
        let from = if kept == 0 { 0 } else { old_pieces.get(kept)?.start };
        // What only stands elsewhere is not parsed again.
        let ends = old_pieces.iter().skip(1).map(|next| next.start).chain([old.len()]);
        let known = old_pieces.iter().zip(ends).take(tail).skip(kept);
        let unmoved: HashMap<&str, &Arc<str>> =
            known.filter_map(|(piece, end)| Some((old.get(piece.start..end)?, &piece.name))).collect();
        let mut pieces = Vec::new();
        for (start, text) in cut(new.get(from..to)?, from)? {
            if let Some(name) = unmoved.get(text) {
                pieces.push((Piece { start, name: Arc::clone(name) }, None));
                continue;
            }
            let (name, app) = parse_piece(text)?;
            pieces.push((Piece { start, name: name.into() }, Some(app)));
        }
        let replaced = kept..tail;
        let dropped: BTreeSet<&str> = match &self.pieces {
            Some(_) => old_pieces.get(replaced.clone())?.iter().map(|piece| piece.name.as_ref()).collect(),
            None => self.apps.keys().map(AsRef::as_ref).collect(),
        };
        let mut names = BTreeSet::new();
        let is_new = |name: &str| !self.apps.contains_key(name) || dropped.contains(name);
        if !pieces.iter().all(|(piece, _)| names.insert(piece.name.as_ref()) && is_new(&piece.name)) {
            return None;
        }
        let gone = dropped.difference(&names).map(|name| Arc::from(*name)).collect();
        Some(Patch { replaced, pieces, gone, moved })
    }

    /// The pieces that replace these, when each is what it was or an edit of the same app; a walk without any search.
    /// `new` ends where the piece behind them begins.
    fn edited_in_place(&self, replaced: Range<usize>, front: usize, new: &str) -> Option<Vec<(Piece, Option<App>)>> {
        let old_pieces = self.pieces.as_deref()?;
        let mut start = old_pieces.get(replaced.start)?.start;
        let mut pieces = Vec::with_capacity(replaced.len());
        if start > front || !new.get(start..)?.starts_with(CUT) {
            return None;
        }
        for at in replaced {
            let piece = old_pieces.get(at)?;
            let end = old_pieces.get(at + 1).map_or(self.text.len(), |next| next.start);
            let (old, rest) = (self.text.get(piece.start..end)?, new.get(start..).filter(|rest| !rest.is_empty())?);
            let is_whole = |rest: &str| rest.is_empty() || (rest.starts_with(CUT) && old.ends_with('\n'));
            let name = Arc::clone(&piece.name);
            if rest.strip_prefix(old).is_some_and(is_whole) {
                pieces.push((Piece { start, name }, None));
                start += old.len();
                continue;
            }
            let text = rest.get(..memchr::memmem::find(rest.as_bytes(), NEXT_CUT).map_or(rest.len(), |end| end + 1))?;
            cut(text, start)?;
            let (_, app) = parse_piece(text).filter(|(edited, _)| **edited == *name)?;
            pieces.push((Piece { start, name }, Some(app)));
            start += text.len();
        }
        (start == new.len()).then_some(pieces)
    }

    fn apply(&mut self, patch: Patch, text: String) -> Vec<AppChange> {
        let mut pieces = self.pieces.take().unwrap_or_default();
        for piece in pieces.get_mut(patch.replaced.end..).unwrap_or_default() {
            piece.start =
                piece.start.checked_add_signed(patch.moved).expect("a piece behind the edit is in the new text too");
        }
        let (new_pieces, apps): (Vec<Piece>, Vec<Option<App>>) = patch.pieces.into_iter().unzip();
        let apps = new_pieces.iter().zip(apps).filter_map(|(piece, app)| Some((Arc::clone(&piece.name), app?)));
        let changes = self.exchange(patch.gone, apps);
        pieces.splice(patch.replaced, new_pieces);
        self.pieces = Some(pieces);
        self.text = text;
        changes
    }

    fn exchange(&mut self, gone: Vec<Arc<str>>, apps: impl Iterator<Item = (Arc<str>, App)>) -> Vec<AppChange> {
        let mut changes = Vec::new();
        for name in gone {
            if self.apps.remove(&name).is_some() {
                changes.push(AppChange { name: name.as_ref().to_owned(), app: None });
            }
        }
        for (name, app) in apps {
            if self.apps.get(&name).is_none_or(|known| **known != app) {
                let app = Arc::new(app);
                changes.push(AppChange { name: name.as_ref().to_owned(), app: Some(Arc::clone(&app)) });
                self.apps.insert(name, app);
            }
        }
        changes
    }
}

/// Cuts a text into tables, with their places; `None` when a piece may not be a table of its own.
fn cut(text: &str, offset: usize) -> Option<Vec<(usize, &str)>> {
    if text.contains("\"\"\"") || text.contains("'''") {
        return None;
    }
    let mut starts = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let blank = || line.trim_start().is_empty() || line.trim_start().starts_with('#');
        if line.starts_with(CUT) {
            starts.push(at);
        } else if line.trim_start().starts_with('[') || (starts.is_empty() && !blank()) {
            return None;
        }
        at += line.len();
    }
    // What looks blank may still be no TOML: a control character in a comment, a CR by itself.
    let preamble = text.get(..starts.first().copied()?)?;
    toml::from_str::<RawApps>(preamble).ok()?;
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let piece = |(start, end)| text.get(start..end).map(|piece| (offset + start, piece));
    starts.iter().copied().zip(ends).map(piece).collect()
}

/// The one app of a piece; `None` when it is anything else.
fn parse_piece(text: &str) -> Option<(String, App)> {
    let mut apps = toml::from_str::<RawApps>(text).ok()?.apps;
    apps.pop_first().filter(|_| apps.is_empty())
}

fn parse(text: &str, path: &Path) -> Result<RawApps, AppsError> {
    toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start.min(text.len()));
        let before = text.get(..at).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = text.get(line_start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        AppsError {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            text: excerpt(line.trim()),
            message: excerpt(error.message()),
            fix: fix(error.message()),
        }
    })
}

fn fix(message: &str) -> &'static str {
    if message.contains("unknown field") {
        "an app has mountpoint, https_only, healthcheck, endpoints and the policies of docs/policies.md, and stands under \
         [apps.\"<app>.<type>.<proc>\"]"
    } else if message.starts_with(app::BAD_POLICY) {
        "docs/policies.md tells what each key takes"
    } else if message.contains("invalid type") {
        "mountpoint is a list of texts, endpoints one of \"ip:port\" or { address = \"ip:port\", weight = 3 }, https_only is \
         true or false, healthcheck is a text"
    } else if message.contains("duplicate") {
        "give it once"
    } else {
        "correct the TOML there"
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawApps {
    #[serde(default)]
    apps: BTreeMap<String, App>,
}

const CUT: &str = "[apps.";
const NEXT_CUT: &[u8] = b"\n[apps.";

#[cfg(test)]
mod tests;
