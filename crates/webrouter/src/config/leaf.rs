//! Reads single values; a value of the wrong type or range becomes a mistake and the default stands in for it.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use miette::NamedSource;
use toml::Value;
use webrouter_routing::duration;

use super::error::{Mistake, Place, did_you_mean, named};
use super::raw::Leaf;
use super::unit::parse_size;

/// Collects the mistakes of one file.
pub(super) struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    pub(super) mistakes: Vec<Mistake>,
}

/// What is wrong with a value, and what to write.
pub(super) type Offence = (String, String);

impl<'a> Reader<'a> {
    pub(super) fn new(path: &'a Path, text: &'a str) -> Self {
        Self { path, text, mistakes: Vec::new() }
    }

    /// A value parsed by `parse`, or `default` when it is left out or wrong.
    pub(super) fn value<T>(&mut self, leaf: Leaf, default: T, parse: impl FnOnce(&Value) -> Result<T, Offence>) -> T {
        let Some(leaf) = leaf else { return default };
        match parse(leaf.get_ref()) {
            Ok(value) => value,
            Err(offence) => {
                self.add(leaf.span(), offence);
                default
            }
        }
    }

    /// A list, each element parsed by `parse`; a bad element is pointed at alone.
    pub(super) fn list<T>(
        &mut self,
        leaf: Leaf,
        default: Vec<T>,
        example: &str,
        parse: impl Fn(&Value) -> Result<T, Offence>,
    ) -> Vec<T> {
        let Some(leaf) = leaf else { return default };
        let Value::Array(elements) = leaf.get_ref() else {
            let problem = format!("expected a list, found {}", describe(leaf.get_ref()));
            self.add(leaf.span(), (problem, format!("write a list: {example}")));
            return default;
        };
        let mut list = Vec::new();
        for element in elements {
            match parse(element) {
                Ok(value) => list.push(value),
                Err(offence) => self.add(self.span_of(element, leaf.span()), offence),
            }
        }
        list
    }

    /// A duration of at least `least`.
    pub(super) fn duration(&mut self, leaf: Leaf, default: Duration, least: Duration) -> Duration {
        self.value(leaf, default, |value| {
            let offence = || {
                let fix = "write a number with its unit, ms, s, m, h or d, as text: \"5s\", \"200ms\", \"15m\"";
                (format!("{} is not a duration", shown(value)), fix.to_owned())
            };
            let duration = value.as_str().and_then(duration::parse).ok_or_else(offence)?;
            match (least..=LONGEST).contains(&duration) {
                true => Ok(duration),
                false => Err((
                    format!("{} is out of range", shown(value)),
                    format!("write a duration from \"{least:?}\" to a year, \"8760h\""),
                )),
            }
        })
    }

    /// A size or count between `min` and `max`.
    pub(super) fn size(&mut self, leaf: Leaf, default: usize, min: usize, max: usize) -> usize {
        self.value(leaf, default, |value| {
            let size = size_of(value)?;
            usize::try_from(size).ok().filter(|size| (min..=max).contains(size)).ok_or_else(|| {
                (format!("{} is out of range", shown(value)), format!("write a value from {min} to {max}"))
            })
        })
    }

    /// A size or count of at least `least` that may be `"unlimited"`.
    pub(super) fn limit(&mut self, leaf: Leaf, least: u64) -> Option<u64> {
        self.value(leaf, None, |value| {
            if value.as_str() == Some("unlimited") {
                return Ok(None);
            }
            let size = size_of(value).map_err(|(problem, fix)| (problem, format!("{fix}; or \"unlimited\"")))?;
            match size >= least {
                true => Ok(Some(size)),
                false => {
                    let fix = format!("write {least} or more, or \"unlimited\"");
                    Err((format!("{} is out of range", shown(value)), fix))
                }
            }
        })
    }

    /// A number between `min` and `max`.
    pub(super) fn number(&mut self, leaf: Leaf, default: u32, min: u32, max: u32) -> u32 {
        self.value(leaf, default, |value| {
            let number = value.as_integer().and_then(|number| u32::try_from(number).ok());
            number.filter(|number| (min..=max).contains(number)).ok_or_else(|| {
                let problem = if value.is_integer() { "is out of range" } else { "is not a whole number" };
                (format!("{} {problem}", shown(value)), format!("write a number from {min} to {max}"))
            })
        })
    }

    /// A share between 0 and 1; `fix` tells what it means.
    pub(super) fn share(&mut self, leaf: Leaf, default: f64, fix: &str) -> f64 {
        self.value(leaf, default, |value| {
            let share = match value {
                Value::Float(share) => Some(*share),
                Value::Integer(0) => Some(0.0),
                Value::Integer(1) => Some(1.0),
                _ => None,
            };
            share
                .filter(|share| (0.0..=1.0).contains(share))
                .ok_or_else(|| (format!("{} is not a share between 0 and 1", shown(value)), fix.to_owned()))
        })
    }

    pub(super) fn switch(&mut self, leaf: Leaf, default: bool) -> bool {
        self.value(leaf, default, |value| {
            let offence = || (format!("{} is neither true nor false", shown(value)), "write true or false".to_owned());
            value.as_bool().ok_or_else(offence)
        })
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&mut self, leaf: Leaf, default: T, words: &[(&str, T)]) -> T {
        self.value(leaf, default, |value| {
            let text = value.as_str().unwrap_or_default();
            let found = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
            found.ok_or_else(|| {
                let known: Vec<String> = words.iter().map(|(word, _)| (*word).to_owned()).collect();
                let fix = did_you_mean(text, &known).replace("remove it; known", "allowed");
                (format!("{} is not a known value", shown(value)), fix.replace("known here", "allowed here"))
            })
        })
    }

    pub(super) fn path(&mut self, leaf: Leaf) -> Option<PathBuf> {
        let path = self.value(leaf, None, |value| match value.as_str() {
            Some(text) if !text.is_empty() => Ok(Some(PathBuf::from(text))),
            _ => Err((format!("{} is not a path", shown(value)), "write a path as text".to_owned())),
        });
        // Relative paths are meant from where the file is, not from where somebody happened to start webrouter.
        path.map(|path| self.path.parent().map(|parent| parent.join(&path)).unwrap_or(path))
    }

    pub(super) fn add(&mut self, span: Range<usize>, (problem, fix): Offence) {
        let place = Place::File { source: self.source(), span };
        self.mistakes.push(Mistake { problem, fix, place });
    }

    fn source(&self) -> NamedSource<String> {
        named(self.path, self.text)
    }

    /// Where an element of a list is written: its first mention inside the list, quotes and all.
    fn span_of(&self, element: &Value, list: Range<usize>) -> Range<usize> {
        let text = self.text.get(list.clone()).unwrap_or_default();
        let spellings = match element {
            Value::String(written) => vec![format!("\"{written}\""), format!("'{written}'")],
            other => vec![other.to_string()],
        };
        let mention = |written: String| text.find(&written).map(|at| list.start + at..list.start + at + written.len());
        spellings.into_iter().find_map(mention).unwrap_or(list)
    }
}

/// An address to listen at, `ip:port`.
pub(super) fn listen_address(value: &Value) -> Result<SocketAddr, Offence> {
    let text = value.as_str().unwrap_or_default();
    text.parse().map_err(|_| {
        let fix = match text.parse::<u16>().or_else(|_| text.trim_start_matches(':').parse()) {
            Ok(port) => format!("write the address too: \"0.0.0.0:{port}\" for every interface"),
            Err(_) => "write ip:port, for example \"0.0.0.0:80\" or \"[::]:80\"".to_owned(),
        };
        (format!("{} is not an address to listen at", shown(value)), fix)
    })
}

/// A value as it is written, for a message.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{}`", text.escape_debug()),
        Value::Array(_) | Value::Table(_) => describe(value).to_owned(),
        other => format!("`{other}`"),
    }
}

fn size_of(value: &Value) -> Result<u64, Offence> {
    let size = match value {
        Value::Integer(number) => u64::try_from(*number).ok(),
        Value::String(text) => parse_size(text),
        _ => None,
    };
    size.ok_or_else(|| {
        let fix = "write a number, or one with its unit: \"64KiB\", \"1MiB\", \"2GiB\"";
        (format!("{} is not a size", shown(value)), fix.to_owned())
    })
}

fn describe(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Integer(_) => "a number",
        Value::Float(_) => "a fraction",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

/// Longer ones are mistakes, and too many of them do not fit into a clock.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
