//! What the process says on standard error, as text or JSON lines.
//!
//! Whatever is logged may carry foreign text: no control character of a value reaches the terminal or file raw, so no
//! line can be forged and no terminal be driven. Messages are constant; values go into fields.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write};

use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{self, Writer};
use tracing_subscriber::util::SubscriberInitExt;

/// The shape of log lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// A JSON object per line.
    Json,
}

/// What is to be logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggingConfig {
    /// The shape of a line.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or directives like `info,webrouter_proxy=debug`; `RUST_LOG` wins.
    pub level: String,
}

impl Default for LoggingConfig {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".to_owned() }
    }
}

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The level, or `RUST_LOG`, cannot be read.
    #[error("`{text}` is not a log level or filter: {error}")]
    Level {
        /// The offending text.
        text: String,
        /// What is wrong with it.
        error: String,
    },
    /// Something else receives the log already.
    #[error("logging was started before")]
    Started,
}

/// Starts to log to standard error.
pub fn start(config: &LoggingConfig) -> Result<(), LoggingError> {
    let environment = std::env::var("RUST_LOG").ok().filter(|text| !text.trim().is_empty());
    let filter = filter(environment.as_deref().unwrap_or(&config.level))?;
    match config.format {
        LogFormat::Text => text(filter, io::stderr, io::stderr().is_terminal()).try_init(),
        LogFormat::Json => json(filter, io::stderr).try_init(),
    }
    .map_err(|_| LoggingError::Started)
}

fn filter(text: &str) -> Result<EnvFilter, LoggingError> {
    let refused = |error: tracing_subscriber::filter::ParseError| LoggingError::Level {
        text: text.escape_debug().to_string(),
        error: error.to_string(),
    };
    EnvFilter::builder().parse(text).map_err(refused)
}

fn text<W>(filter: EnvFilter, writer: W, colours: bool) -> impl SubscriberInitExt + tracing::Subscriber
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .fmt_fields(format::debug_fn(write_field).delimited(" "))
        .with_ansi(colours)
        .with_writer(writer)
        .finish()
}

fn json<F, W>(filter: EnvFilter, writer: F) -> impl SubscriberInitExt + tracing::Subscriber
where
    F: Fn() -> W + Send + Sync + 'static,
    W: Write + 'static,
{
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(filter)
        .with_writer(move || JsonLines(writer()))
        .finish()
}

/// `name=value`, the message without its name, everything through [`Escaping`].
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    if field.name() != "message" {
        write!(writer, "{}=", field.name())?;
    }
    write!(Escaping(writer), "{value:?}")
}

/// Passes text on with control characters escaped as in Rust: `\n`, `\u{1b}`.
struct Escaping<'a, 'w>(&'a mut Writer<'w>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for piece in text.split_inclusive(is_unsafe) {
            match piece.chars().next_back().filter(|&last| is_unsafe(last)) {
                Some(last) => {
                    self.0.write_str(piece.strip_suffix(last).unwrap_or_default())?;
                    write!(self.0, "{}", last.escape_default())?;
                }
                None => self.0.write_str(piece)?,
            }
        }
        Ok(())
    }
}

/// Passes lines on with the controls that JSON leaves raw (DEL and C1) escaped; they stand in strings only.
struct JsonLines<W>(W);

impl<W: Write> Write for JsonLines<W> {
    /// Takes the whole line or fails: the formatter hands over one line at a time.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let mut safe = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '\n' => safe.push('\n'),
                c if is_unsafe(c) => {
                    // Writing to a String does not fail.
                    let _ = write!(safe, "\\u{:04x}", u32::from(c));
                }
                c => safe.push(c),
            }
        }
        self.0.write_all(safe.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests;
