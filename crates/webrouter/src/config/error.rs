//! Configuration mistakes, as reports that point at the offending text and say what to write instead.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};

/// Why there is no configuration to start with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Mistakes in the file or the environment, at least one.
    #[error("{} in the configuration", count(.0.len()))]
    Mistakes(Vec<Mistake>),
    /// Nobody tells us about apps.
    #[error("no source: webrouter does not know who tells it about the apps")]
    NoSource,
}

/// One mistake: what is wrong, where, and what to write instead.
#[derive(Debug)]
pub(crate) struct Mistake {
    pub(crate) problem: String,
    pub(crate) fix: String,
    pub(crate) place: Place,
}

/// Where a mistake is.
#[derive(Debug)]
pub(crate) enum Place {
    /// These bytes of the file.
    File { source: NamedSource<String>, span: Range<usize> },
    /// This environment variable.
    Variable { name: &'static str, value: String },
}

impl ConfigError {
    /// The report for a person, with line and column; coloured only when asked to.
    pub(crate) fn report(&self, colour: Colour) -> String {
        let theme = match colour {
            Colour::Plain => GraphicalTheme::unicode_nocolor(),
            Colour::Ansi => GraphicalTheme::unicode(),
        };
        let handler = GraphicalReportHandler::new_themed(theme).with_width(REPORT_WIDTH).with_context_lines(1);
        let mut text = String::new();
        let mistakes: &[Mistake] = match self {
            Self::Mistakes(mistakes) => mistakes,
            Self::Unreadable { .. } | Self::NoSource => &[],
        };
        for mistake in mistakes {
            // Writing into a String cannot fail.
            let _ = handler.render_report(&mut text, mistake);
        }
        if mistakes.is_empty() {
            let _ = handler.render_report(&mut text, self);
        }
        text
    }
}

impl Diagnostic for ConfigError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = match self {
            Self::Mistakes(_) => return None,
            Self::Unreadable { .. } => {
                "check the path and the permissions; a relative path is meant from the working directory"
            }
            Self::NoSource => NO_SOURCE_HELP,
        };
        Some(Box::new(help))
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::File { .. } => f.write_str(&self.problem),
            Place::Variable { name, value } => {
                write!(f, "environment variable {name}={value:?}: {}", self.problem)
            }
        }
    }
}

impl std::error::Error for Mistake {}

impl Diagnostic for Mistake {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.fix))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        match &self.place {
            Place::File { source, .. } => Some(source),
            Place::Variable { .. } => None,
        }
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        match &self.place {
            Place::File { span, .. } => {
                Some(Box::new(std::iter::once(LabeledSpan::new(None, span.start, span.len().max(1)))))
            }
            Place::Variable { .. } => None,
        }
    }
}

/// Whether a report may use ANSI colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    Plain,
    Ansi,
}

/// A syntax or shape mistake as the TOML reader tells it.
pub(super) fn from_toml(error: &toml::de::Error, path: &Path, text: &str) -> Mistake {
    let span = error.span().unwrap_or(0..0);
    let message = error.message();
    let (problem, fix) = match unknown_key(message) {
        Some((key, known)) => (format!("unknown key `{key}`"), did_you_mean(&key, &known)),
        None if message.contains("expected struct") || message.contains("invalid type") => {
            (message.to_owned(), "a section is written as [section] with its keys below".to_owned())
        }
        None => (message.replace('\n', "; "), "correct the TOML here; strings need quotes".to_owned()),
    };
    Mistake { problem, fix, place: Place::File { source: named(path, text), span } }
}

/// The file as the reports show it.
pub(super) fn named(path: &Path, text: &str) -> NamedSource<String> {
    NamedSource::new(path.display().to_string(), text.to_owned())
}

/// The nearest of the known words, or all of them.
pub(super) fn did_you_mean(word: &str, known: &[String]) -> String {
    let list = known.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    match nearest(word, known) {
        Some(candidate) => format!("did you mean `{candidate}`? known here: {list}"),
        None => format!("remove it; known here: {list}"),
    }
}

/// The known word that was probably meant.
pub(super) fn nearest<'a, S: AsRef<str>>(word: &str, known: &'a [S]) -> Option<&'a str> {
    let candidates = known.iter().map(AsRef::as_ref);
    let near = candidates.map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate));
    near.filter(|(distance, candidate)| *distance <= candidate.len().max(word.len()) / 3).min().map(|(_, near)| near)
}

fn unknown_key(message: &str) -> Option<(String, Vec<String>)> {
    let rest = message.strip_prefix("unknown field `")?;
    let (key, rest) = rest.split_once('`')?;
    let known = rest.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    Some((key.to_owned(), known))
}

fn count(mistakes: usize) -> String {
    match mistakes {
        1 => "a mistake".to_owned(),
        n => format!("{n} mistakes"),
    }
}

const REPORT_WIDTH: usize = 110;
const NO_SOURCE_HELP: &str = "add a source to webrouter.toml, a lainlet or a file:

[source.lainlet]
address = \"lainlet.lain:9001\"

[source.file]
path = \"apps.toml\"

or set LAINLET_ADDR=host:port in the environment; `webrouter demo` shows it all running without any";
