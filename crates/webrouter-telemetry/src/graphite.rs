//! The metrics for a Graphite: every so often, each as a line `path value time` over TCP (its plaintext protocol).
//!
//! A path is `<domain>.webrouter.<what>.<instance>` and the values of the labels; buckets of histograms are left out. A thread of
//! its own, so that a Graphite that hangs is in nobody's way; what it does not take is lost and counted.

use std::io::{self, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use crate::metrics::Metrics;

/// Where the metrics go, and under which name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphiteConfig {
    /// `host:port`.
    pub address: String,
    /// The first part of each path; its dots become underscores.
    pub domain: String,
    /// Which instance this is.
    pub instance: String,
    /// The time between two deliveries.
    pub interval: Duration,
}

/// The running thread.
#[derive(Debug)]
pub struct Graphite {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Graphite {
    /// Sends what `page` says, which is OpenMetrics text, until stopped; counts failures in `metrics`.
    pub fn start(
        config: GraphiteConfig,
        metrics: Metrics,
        page: impl Fn() -> String + Send + 'static,
    ) -> io::Result<Self> {
        let (stop, stopped) = channel();
        let run = move || {
            let mut well = true;
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(config.interval) {
                let lines = lines(&page(), &config, SystemTime::now());
                let sent = send(&config.address, lines.as_bytes());
                match &sent {
                    Err(error) if well => tracing::warn!(address = config.address, %error, "Graphite gets no metrics"),
                    Ok(()) if !well => tracing::info!(address = config.address, "Graphite gets metrics again"),
                    _ => {}
                }
                well = sent.is_ok();
                if !well {
                    metrics.node().graphite_failures.increment();
                }
            }
        };
        let thread = thread::Builder::new().name("graphite".to_owned()).spawn(run)?;
        Ok(Self { stop, thread })
    }

    /// Stops; a delivery under way has its time-outs.
    pub fn stop(self) {
        drop(self.stop);
        // A thread that panicked has nothing left to be stopped.
        let _ = self.thread.join();
    }
}

fn send(address: &str, lines: &[u8]) -> io::Result<()> {
    let mut failure = io::ErrorKind::NotFound.into();
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(mut stream) => {
                stream.set_write_timeout(Some(PATIENCE))?;
                return stream.write_all(lines);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// The lines of a page of our own.
fn lines(page: &str, config: &GraphiteConfig, now: SystemTime) -> String {
    let time = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let (domain, instance) = (part(&config.domain), part(&config.instance));
    let mut lines = String::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let Some((metric, value)) = line.rsplit_once(' ') else { continue };
        let (name, labels) = metric.split_once('{').unwrap_or((metric, ""));
        if name.ends_with("_bucket") {
            continue;
        }
        let what = part(name.strip_prefix("webrouter_").unwrap_or(name));
        lines.push_str(&format!("{domain}.webrouter.{what}.{instance}"));
        for label in labels.trim_end_matches('}').split("\",").filter_map(|label| label.split_once("=\"")) {
            lines.push('.');
            lines.push_str(&part(label.1.trim_end_matches('"')));
        }
        lines.push_str(&format!(" {value} {time}\n"));
    }
    lines
}

/// One part of a path: a dot would begin the next.
fn part(text: &str) -> String {
    let plain = |char: char| if char.is_ascii_alphanumeric() || char == '-' { char } else { '_' };
    text.chars().map(plain).collect()
}

const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpListener;

    use super::*;

    fn config(address: String) -> GraphiteConfig {
        let interval = Duration::from_millis(10);
        GraphiteConfig { address, domain: "lain.local".to_owned(), instance: "1".to_owned(), interval }
    }

    #[test]
    fn a_line_for_each_number() {
        let check = |page: &str, expected: &str| {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
            assert_eq!(lines(page, &config(String::new()), now), expected);
        };
        check("# HELP a b\n# EOF\n", "");
        check("webrouter_routes 3\n", "lain_local.webrouter.routes.1 3 1700000000\n");
        check(
            "webrouter_requests_total{upstream=\"a.b__upstream__web\",code=\"2xx\"} 7\n",
            "lain_local.webrouter.requests_total.1.a_b__upstream__web.2xx 7 1700000000\n",
        );
        check("webrouter_duration_seconds_bucket{le=\"0.1\"} 7\n", "");
        check("x{a=\"evil 1 2\\n.x\"} 1\n", "lain_local.webrouter.x.1.evil_1_2_n_x 1 1700000000\n");
    }

    #[test]
    fn it_is_sent_and_what_is_not_taken_is_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let metrics = Metrics::new();
        let graphite = Graphite::start(config(address), metrics.clone(), || "webrouter_routes 3\n".to_owned());
        let graphite = graphite.expect("a thread");
        let mut text = String::new();
        listener.accept().expect("it comes").0.read_to_string(&mut text).expect("text");
        assert!(text.starts_with("lain_local.webrouter.routes.1 3 "), "{text}");
        drop(listener);
        while metrics.node().graphite_failures.value() == 0 {
            thread::yield_now();
        }
        graphite.stop();
    }
}
