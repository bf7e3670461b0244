//! How long a moved app takes to be served from its new place: the way from a changed file to a request, with lainlet between.
//!
//! ```text
//! apps.toml ─rename─► webrouter lainlet ─event─► webrouter run ◄─ one keep-alive connection asks and asks
//! ```

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::load::{Answer, answer_length};
use crate::process::{Groups, Placement, Program};
use crate::proxies::{Listen, Source, Webrouter, ask, free_address};
use crate::report::{median, percentile};
use crate::site::Site;

/// What the apps come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Via {
    /// `webrouter lainlet` follows the file, webrouter follows it.
    Lainlet,
    /// webrouter follows the file itself.
    File,
}

/// Measure how long an edit takes to be in force.
#[derive(Args)]
pub(crate) struct Options {
    /// The webrouter to measure; by default the one beside this program.
    #[arg(long)]
    webrouter: Option<PathBuf>,
    /// Apps, each with two endpoints.
    #[arg(long, default_value_t = 10_000)]
    apps: usize,
    /// Edits.
    #[arg(long, default_value_t = 50)]
    edits: usize,
    /// Where webrouter learns of the apps.
    #[arg(long, value_enum, default_value = "lainlet")]
    via: Via,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    via: Via,
    apps: usize,
    edits: usize,
    ready_millis: f64,
    rss_mib: f64,
    rss_after_mib: f64,
    median_millis: f64,
    p99_millis: f64,
    most_millis: f64,
}

/// Runs the measurement and prints it.
pub(crate) fn run(options: &Options, groups: &Groups) -> Result<()> {
    let binary = crate::beside(options.webrouter.as_deref(), "webrouter")?;
    let directory = tempfile::tempdir()?;
    let stage = Stage::set(options.apps, directory.path(), groups)?;
    stage.publish(None)?;
    let (source, _lainlet) = stage.source(options.via, &binary, groups)?;
    let source = match source {
        Some(address) => Source::Lainlet(address),
        None => Source::File(&stage.file),
    };
    let listen = free_address()?;
    let webrouter = Webrouter::configure(directory.path(), &Listen::Http(listen), &source)?;
    let started = Instant::now();
    let mut router = Program::start(
        "webrouter",
        Placement::Anywhere,
        &webrouter.command(&binary),
        &directory.path().join("webrouter.out"),
        groups,
    )?;
    router.wait_until(Duration::from_secs(60), Duration::from_micros(500), || ready(webrouter.admin))?;
    let ready_after = started.elapsed();
    let rss = router.memory()?.rss_kib;
    let mut times = Vec::with_capacity(options.edits);
    for edit in 0..options.edits {
        times.push(stage.edit(edit, listen)?.as_secs_f64() * 1e3);
    }
    let report = Report {
        via: options.via,
        apps: options.apps,
        edits: options.edits,
        ready_millis: ready_after.as_secs_f64() * 1e3,
        rss_mib: rss as f64 / 1024.0,
        rss_after_mib: router.memory()?.rss_kib as f64 / 1024.0,
        median_millis: median(times.clone()),
        p99_millis: percentile(times.clone(), 99),
        most_millis: percentile(times, 100),
    };
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!(
            "{} apps × 2 endpoints via {:?}, {} edits: from rename to the first answer of the new endpoint
  median {:.2} ms · p99 {:.2} ms · max {:.2} ms
  ready {:.0} ms after start · RSS {:.1} MiB when ready, {:.1} MiB after the edits",
            report.apps,
            report.via,
            report.edits,
            report.median_millis,
            report.p99_millis,
            report.most_millis,
            report.ready_millis,
            report.rss_mib,
            report.rss_after_mib
        );
    }
    Ok(())
}

const OLD: u8 = b'a';
const NEW: u8 = b'b';
/// How long an edit may take before the measurement fails.
const LOST: Duration = Duration::from_secs(30);
/// Between two edits, so that each is an update of its own.
const BETWEEN: Duration = Duration::from_millis(200);

/// The file, and the two places an app can be in.
struct Stage {
    apps: usize,
    file: PathBuf,
    old: [SocketAddr; 2],
    new: [SocketAddr; 2],
    _origins: [Program; 2],
}

impl Stage {
    fn set(apps: usize, directory: &Path, groups: &Groups) -> Result<Self> {
        let place = |name: &str, fill: u8, net: u8| -> Result<(Program, [SocketAddr; 2])> {
            let port = free_address()?.port();
            let addresses = [SocketAddr::from(([127, 2, net, 1], port)), SocketAddr::from(([127, 2, net, 2], port))];
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["origin", "--fill", &char::from(fill).to_string()]);
            for address in addresses {
                command.args(["--listen", &address.to_string()]);
            }
            let output = directory.join(name);
            let mut origin = Program::start(name, Placement::Anywhere, &command, &output, groups)?;
            origin.wait_until(Duration::from_secs(10), Duration::from_millis(5), || {
                addresses.iter().all(|address| ask(*address, "origin", "/").is_ok())
            })?;
            Ok((origin, addresses))
        };
        let (first, old) = place("origin-old", OLD, 1)?;
        let (second, new) = place("origin-new", NEW, 2)?;
        Ok(Self { apps, file: directory.join("apps.toml"), old, new, _origins: [first, second] })
    }

    /// Puts the file in place by rename, with one app moved; returns the time of the rename.
    fn publish(&self, moved: Option<usize>) -> Result<Instant> {
        let mut text = String::new();
        for number in 0..self.apps {
            let [one, two] = if moved == Some(number) { self.new } else { self.old };
            writeln!(
                text,
                "[apps.\"app{number:05}.web.web\"]\nmountpoint = [\"{}\"]\nendpoints = [\"{one}\", \"{two}\"]",
                Site::host(number)
            )?;
        }
        let beside = self.file.with_extension("next");
        let mut file = fs::File::create(&beside)?;
        file.write_all(text.as_bytes())?;
        // Else the rename would wait until the disk has it.
        file.sync_all()?;
        let renamed = Instant::now();
        fs::rename(&beside, &self.file)?;
        Ok(renamed)
    }

    /// Starts a lainlet when one is asked for.
    fn source(&self, via: Via, binary: &Path, groups: &Groups) -> Result<(Option<SocketAddr>, Option<Program>)> {
        if via == Via::File {
            return Ok((None, None));
        }
        let address = free_address()?;
        let mut command = Command::new(binary);
        command.arg("lainlet").arg("--apps").arg(&self.file).args(["--listen", &address.to_string()]);
        let mut lainlet =
            Program::start("lainlet", Placement::Anywhere, &command, &self.file.with_file_name("lainlet.out"), groups)?;
        lainlet
            .wait_until(Duration::from_secs(10), Duration::from_millis(5), || TcpStream::connect(address).is_ok())?;
        Ok((Some(address), Some(lainlet)))
    }

    /// Moves one app, waits until its new place answers; the next edit moves it back and another app away.
    fn edit(&self, edit: usize, router: SocketAddr) -> Result<Duration> {
        let app = edit * 7919 % self.apps;
        let host = Site::host(app);
        let mut asking = Asking::on(router, &host)?;
        if asking.body()? != OLD {
            bail!("{host} is not at its old place before the edit");
        }
        std::thread::sleep(BETWEEN);
        let renamed = self.publish(Some(app))?;
        while asking.body()? != NEW {
            if renamed.elapsed() > LOST {
                bail!("{host} is not served from its new place after {LOST:?}");
            }
        }
        Ok(renamed.elapsed())
    }
}

/// One keep-alive connection that asks for one host.
struct Asking {
    stream: TcpStream,
    request: Vec<u8>,
    received: Vec<u8>,
}

impl Asking {
    fn on(router: SocketAddr, host: &str) -> Result<Self> {
        let stream = TcpStream::connect(router)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        Ok(Self {
            stream,
            request: format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes(),
            received: Vec::new(),
        })
    }

    /// Asks once; returns what the body is made of.
    fn body(&mut self) -> Result<u8> {
        self.stream.write_all(&self.request)?;
        self.received.clear();
        let mut buffer = [0; 4096];
        loop {
            match answer_length(&self.received) {
                Answer::Good { head, body } if self.received.len() == head + body => {
                    return self.received.last().copied().context("an empty body");
                }
                Answer::Good { .. } | Answer::Partial => {}
                Answer::Bad => bail!("a wrong answer: {}", String::from_utf8_lossy(&self.received)),
            }
            let count = self.stream.read(&mut buffer)?;
            if count == 0 {
                bail!("the router closed the connection");
            }
            self.received.extend_from_slice(buffer.get(..count).unwrap_or_default());
        }
    }
}

fn ready(admin: SocketAddr) -> bool {
    let status = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(admin)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut start = [0; 12];
        stream.read_exact(&mut start)?;
        Ok(&start == b"HTTP/1.1 200")
    };
    status().unwrap_or(false)
}
