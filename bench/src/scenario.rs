//! What is asked of the proxies, and one measurement of one proxy.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::load::{self, Echo, Handshakes, Plan, Reuse, clients, h2load};
use crate::origin;
use crate::process::{LOAD_CORE, Placement, Program};
use crate::proxies::{Entry, Proxy, Setting};
use crate::site::Site;

/// A kind of traffic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scenario {
    /// 128-byte answers on 64 keep-alive connections.
    Small,
    /// 128-byte answers, a new connection for each, 64 at a time.
    Connect,
    /// 64 KiB answers on 64 keep-alive connections.
    Medium,
    /// 10 MiB answers on 8 keep-alive connections.
    Large,
    /// 128-byte messages there and back on 64 WebSocket connections.
    WebSocket,
    /// 128-byte answers on 64 keep-alive connections over TLS.
    Tls,
    /// 128-byte answers, a new TLS connection with a full handshake for each, 64 at a time.
    Handshake,
    /// 128-byte answers over TLS and HTTP/2, 64 connections with 8 streams each.
    Http2,
}

impl Scenario {
    /// All of them, in the order of the report.
    pub(crate) const ALL: [Self; 8] = [
        Self::Small,
        Self::Connect,
        Self::Medium,
        Self::Large,
        Self::WebSocket,
        Self::Tls,
        Self::Handshake,
        Self::Http2,
    ];
    /// Those over TLS.
    pub(crate) const ENCRYPTED: [Self; 3] = [Self::Tls, Self::Handshake, Self::Http2];

    /// The name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Connect => "connect",
            Self::Medium => "medium",
            Self::Large => "large",
            Self::WebSocket => "websocket",
            Self::Tls => "tls",
            Self::Handshake => "handshake",
            Self::Http2 => "http2",
        }
    }

    /// What it is, in words.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Small => "128-byte answers, 64 keep-alive connections",
            Self::Connect => "128-byte answers, a new connection for each, 64 at a time",
            Self::Medium => "64 KiB answers, 64 keep-alive connections",
            Self::Large => "10 MiB answers, 8 keep-alive connections",
            Self::WebSocket => "128-byte messages there and back, 64 WebSocket connections",
            Self::Tls => "128-byte answers over TLS, 64 keep-alive connections",
            Self::Handshake => "128-byte answers, a new TLS connection with a full handshake for each, 64 at a time",
            Self::Http2 => "128-byte answers over HTTP/2 and TLS, 64 connections with 8 streams each",
        }
    }

    /// The path that is asked for.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Medium => "/64k",
            Self::Large => "/10m",
            _ => "/",
        }
    }

    /// Bytes of the answer's body.
    pub(crate) fn body(self) -> usize {
        match self {
            Self::Medium => origin::MEDIUM,
            Self::Large => origin::LARGE,
            _ => origin::SMALL,
        }
    }

    /// What the proxies listen for.
    pub(crate) fn entry(self) -> Entry {
        match self {
            Self::Small | Self::Connect | Self::Medium | Self::Large => Entry::Plain,
            Self::WebSocket => Entry::Upgrades,
            Self::Tls | Self::Handshake | Self::Http2 => Entry::Encrypted,
        }
    }

    /// Whether it opens connections by the thousands.
    pub(crate) fn connects_anew(self) -> bool {
        matches!(self, Self::Connect | Self::Handshake)
    }

    fn clients(self) -> usize {
        match self {
            Self::Large => 8,
            _ => 64,
        }
    }
}

/// One window of one proxy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Requests answered.
    pub(crate) requests: u64,
    /// How long it took.
    pub(crate) elapsed: Duration,
    /// CPU time of the proxy.
    pub(crate) cpu: Duration,
    /// Resident memory afterwards, KiB.
    pub(crate) rss_kib: u64,
    /// Proportional memory afterwards, KiB.
    pub(crate) pss_kib: u64,
}

impl Sample {
    /// CPU microseconds per request.
    pub(crate) fn micros_per_request(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.requests as f64
    }

    /// Requests per second of wall-clock time.
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }
}

/// Runs traffic through one proxy and measures the proxy.
pub(crate) struct Meter<'a>(pub(crate) &'a Setting<'a>);

impl Meter<'_> {
    /// One window of `scenario`; fails when a single answer was wrong.
    pub(crate) fn measure(
        &self,
        proxy: &Proxy,
        scenario: Scenario,
        window: Duration,
        answer_bytes: usize,
    ) -> Result<Sample> {
        let before = proxy.program.cpu()?;
        let (requests, elapsed) = match scenario {
            Scenario::Small | Scenario::Medium | Scenario::Tls => {
                self.wrk(proxy.address, scenario, window, answer_bytes)
            }
            Scenario::Connect | Scenario::Large => self.own(proxy.address, scenario, window),
            Scenario::WebSocket => self.echo(proxy.address, scenario, window),
            Scenario::Handshake => self.handshakes(proxy.address, scenario, window),
            Scenario::Http2 => self.h2load(proxy.address, scenario, window),
        }
        .with_context(|| format!("{}, {}", proxy.kind.name(), scenario.name()))?;
        // What a proxy puts off (log buffers, closing) belongs to the window that caused it.
        std::thread::sleep(Duration::from_millis(300));
        let cpu = proxy.program.cpu()?.saturating_sub(before);
        if requests == 0 || cpu.is_zero() {
            bail!("{}: nothing was measured", proxy.kind.name());
        }
        let memory = proxy.program.memory()?;
        Ok(Sample { requests, elapsed, cpu, rss_kib: memory.rss_kib, pss_kib: memory.pss_kib })
    }

    fn echo(&self, target: SocketAddr, scenario: Scenario, window: Duration) -> Result<(u64, Duration)> {
        let echo = Echo { target, hosts: self.0.site.active_hosts() };
        clients::run(echo, scenario.clients(), window)
    }

    fn handshakes(&self, target: SocketAddr, scenario: Scenario, window: Duration) -> Result<(u64, Duration)> {
        let handshakes = Handshakes {
            target,
            hosts: self.0.site.active_hosts(),
            tls: self.0.certificate.client(),
            body: scenario.body(),
        };
        clients::run(handshakes, scenario.clients(), window)
    }

    /// A number of requests instead of a time. The same names in every window, from all over those that are active:
    /// the connections behind stay in use.
    fn h2load(&self, target: SocketAddr, scenario: Scenario, window: Duration) -> Result<(u64, Duration)> {
        let apart = (self.0.site.active / scenario.clients()).max(1);
        let hosts: Vec<String> =
            (0..scenario.clients()).map(|client| Site::host(client * apart % self.0.site.active)).collect();
        let requests = window.as_secs().max(1) * H2LOAD_REQUESTS_PER_SECOND;
        let elapsed = h2load::run(self.0, target, &hosts, requests, scenario.body())?;
        Ok((requests * hosts.len() as u64, elapsed))
    }

    fn own(&self, target: SocketAddr, scenario: Scenario, window: Duration) -> Result<(u64, Duration)> {
        let outcome = load::run(&Plan {
            target,
            hosts: self.0.site.active_hosts(),
            path: scenario.path(),
            body: scenario.body(),
            reuse: match scenario {
                Scenario::Connect => Reuse::NewConnection,
                _ => Reuse::KeepAlive,
            },
            clients: scenario.clients(),
            window,
        })?;
        if outcome.bad > 0 {
            bail!("{} answers were wrong or missing", outcome.bad);
        }
        Ok((outcome.good, outcome.elapsed))
    }

    fn wrk(
        &self,
        target: SocketAddr,
        scenario: Scenario,
        window: Duration,
        answer_bytes: usize,
    ) -> Result<(u64, Duration)> {
        let Setting { site, directory, groups, .. } = self.0;
        let script = directory.join(format!("{}.lua", scenario.name()));
        fs::write(&script, lua(target, scenario.path(), site.active))?;
        // The first app's name is the one that is sent in handshakes; the script connects to the proxy.
        let url = match scenario.entry() {
            Entry::Plain | Entry::Upgrades => format!("http://{}/", Site::host(0)),
            Entry::Encrypted => format!("https://{}/", Site::host(0)),
        };
        let mut command = Command::new("wrk");
        command
            .args(["-t1", "--timeout", "10s"])
            .arg(format!("-c{}", scenario.clients()))
            .arg(format!("-d{}s", window.as_secs().max(1)))
            .arg("-s")
            .arg(&script)
            .arg(url);
        let output = Program::start("wrk", Placement::Core(LOAD_CORE), &command, &directory.join("wrk.out"), groups)?
            .finish(window + Duration::from_secs(30))?;
        let line = output
            .lines()
            .find(|line| line.starts_with('{'))
            .with_context(|| format!("wrk did not report: {output}"))?;
        let summary: Summary = serde_json::from_str(line)?;
        if summary.bad > 0 {
            bail!("{} answers were wrong or missing", summary.bad);
        }
        // wrk counts statuses above 399 only; a short or another answer shows in the bytes.
        let mean = summary.bytes as f64 / summary.requests.max(1) as f64;
        if (mean - answer_bytes as f64).abs() > 0.02 * answer_bytes as f64 {
            bail!("answers of {mean:.0} bytes on average instead of {answer_bytes}");
        }
        Ok((summary.requests, Duration::from_micros(summary.micros)))
    }
}

/// So many on each connection for each second of a window, about what two cores can do.
const H2LOAD_REQUESTS_PER_SECOND: u64 = 128;

#[derive(Deserialize)]
struct Summary {
    requests: u64,
    bytes: u64,
    micros: u64,
    bad: u64,
}

/// A script for wrk: where to connect, requests made once, one picked at random each time, a summary as JSON.
fn lua(target: SocketAddr, path: &str, hosts: usize) -> String {
    format!(
        r#"function wrk.resolve()
  wrk.addrs = wrk.lookup("{address}", "{port}")
end
local requests = {{}}
function init(args)
  for i = 0, {last} do
    requests[i + 1] = wrk.format("GET", "{path}", {{ ["Host"] = string.format("app%05d.bench.test", i) }})
  end
end
function request()
  return requests[math.random({hosts})]
end
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('{{"requests":%d,"bytes":%d,"micros":%d,"bad":%d}}\n',
    summary.requests, summary.bytes, summary.duration, e.connect + e.read + e.write + e.status + e.timeout))
end
"#,
        address = target.ip(),
        port = target.port(),
        last = hosts.saturating_sub(1),
    )
}
