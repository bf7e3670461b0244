use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no other panicked").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no other panicked").clone()).expect("UTF-8")
    }
}

/// Logs one line with the hostile text in every place where a text can stand.
fn logged(format: LogFormat, hostile: &str) -> String {
    let log = Log::default();
    let writer = {
        let log = log.clone();
        move || log.clone()
    };
    let write = || {
        let span = tracing::info_span!("connection", peer = %hostile);
        let _entered = span.enter();
        tracing::info!(shown = %hostile, debugged = ?hostile, string = hostile, "an app said {hostile}");
    };
    let filter = filter("info").expect("a level");
    match format {
        LogFormat::Text => tracing::subscriber::with_default(text(filter, writer, false), write),
        LogFormat::Json => tracing::subscriber::with_default(json(filter, writer), write),
    }
    log.text()
}

#[test]
fn a_text_line() {
    let line = logged(LogFormat::Text, "a\nINFO forged \u{1b}[2J\u{9b}");
    let expected = "webrouter_telemetry::logging::tests: an app said a\\nINFO forged \\u{1b}[2J\\u{9b} \
                    shown=a\\nINFO forged \\u{1b}[2J\\u{9b} debugged=\"a\\nINFO forged \\u{1b}[2J\\u{9b}\" \
                    string=\"a\\nINFO forged \\u{1b}[2J\\u{9b}\"\n";
    assert!(line.ends_with(expected), "{line}");
    assert!(line.contains("connection{peer=a\\nINFO forged \\u{1b}[2J\\u{9b}}"), "{line}");
}

#[test]
fn a_json_line() {
    let hostile = "a\"\n\u{1b}\u{7f}\u{9b}";
    let line = logged(LogFormat::Json, hostile);
    let value: serde_json::Value = serde_json::from_str(&line).expect("a JSON object");
    assert_eq!((value["shown"].as_str(), value["span"]["peer"].as_str()), (Some(hostile), Some(hostile)));
}

#[test]
fn a_level_is_checked() {
    assert!(filter("info,webrouter_proxy=debug").is_ok());
    assert!(matches!(filter("in\nfo=x=y"), Err(LoggingError::Level { text, .. }) if !text.contains('\n')));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_control_character_is_written(hostile: String, controls in "\\PC*[\u{0}-\u{1f}\u{7f}-\u{9f}]{1,8}") {
        for hostile in [hostile, controls] {
            for format in [LogFormat::Text, LogFormat::Json] {
                let text = logged(format, &hostile);
                let line = text.strip_suffix('\n').expect("a line end");
                prop_assert!(!line.chars().any(char::is_control), "{:?}", line);
            }
        }
    }
}
