//! Side by side with the peers: CPU per request, bytes per CPU second and memory, in one interleaved run.
//!
//! This program makes every configuration, starts origin, proxies and load, measures, and leaves nothing behind.
//! The method is in this folder's README.

mod certificate;
mod load;
mod namespace;
mod origin;
mod process;
mod proxies;
mod readiness;
mod relay;
mod report;
mod scenario;
mod site;
mod update;
mod websocket;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command as Invocation;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};

use certificate::Certificate;
use process::{Groups, LOAD_CORE, Placement, Program};
use proxies::{Binaries, Entry, Kind, Proxy, Setting};
use report::{Report, Rounds};
use scenario::{Meter, Scenario};
use site::Site;

#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// 128-byte answers, keep-alive.
    Small(Options),
    /// 128-byte answers, a new connection for each.
    Connect(Options),
    /// 64 KiB answers, keep-alive.
    Medium(Options),
    /// 10 MiB answers, keep-alive.
    Large(Options),
    /// 128-byte WebSocket messages there and back.
    Websocket(Options),
    /// 128-byte answers, keep-alive, over TLS.
    Tls(Options),
    /// 128-byte answers, a new TLS connection with a full handshake for each.
    Handshake(Options),
    /// 128-byte answers, HTTP/2 over TLS.
    Http2(Options),
    /// The three over TLS.
    Encrypted(Options),
    /// All of these.
    All(Options),
    /// From an edit of the apps to the first request that sees it.
    Update(update::Options),
    #[command(hide = true)]
    Origin {
        #[arg(long, required = true)]
        listen: Vec<SocketAddr>,
        #[arg(long, default_value_t = 'x')]
        fill: char,
    },
    #[command(hide = true)]
    Relay {
        #[arg(long)]
        listen: SocketAddr,
        #[arg(long)]
        upstream: SocketAddr,
    },
    #[command(hide = true)]
    Pinned {
        #[arg(long)]
        core: Option<usize>,
        #[arg(last = true, required = true)]
        program: Vec<String>,
    },
}

#[derive(Args)]
struct Options {
    /// Length of one window, seconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Rounds; in each, every proxy has its turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// The proxies, in the order of their turns.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "nginx,haproxy,webrouter,relay")]
    proxies: Vec<Kind>,
    /// The webrouter to measure; by default the one beside this program.
    #[arg(long)]
    webrouter: Option<PathBuf>,
    /// nginx, or a Tengine.
    #[arg(long, default_value = "/usr/sbin/nginx")]
    nginx: PathBuf,
    /// HAProxy.
    #[arg(long, default_value = "/usr/sbin/haproxy")]
    haproxy: PathBuf,
    /// Host names in every configuration.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    mountpoints: u32,
    /// How many of them are asked for.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=8_000))]
    active: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Origin and relay end by themselves after this time, whatever happens to the harness.
const LIFETIME: Duration = Duration::from_secs(4 * 3600);

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Small(options) => compare(&[Scenario::Small], &options),
        Command::Connect(options) => compare(&[Scenario::Connect], &options),
        Command::Medium(options) => compare(&[Scenario::Medium], &options),
        Command::Large(options) => compare(&[Scenario::Large], &options),
        Command::Websocket(options) => compare(&[Scenario::WebSocket], &options),
        Command::Tls(options) => compare(&[Scenario::Tls], &options),
        Command::Handshake(options) => compare(&[Scenario::Handshake], &options),
        Command::Http2(options) => compare(&[Scenario::Http2], &options),
        Command::Encrypted(options) => compare(&Scenario::ENCRYPTED, &options),
        Command::All(options) => compare(&Scenario::ALL, &options),
        Command::Update(options) => {
            namespace::enter()?;
            update::run(&options, &interruptible()?)
        }
        Command::Origin { listen, fill } => {
            let (_, listeners) = origin::listen(&listen)?;
            let fill = u8::try_from(fill).context("--fill takes an ASCII character")?;
            Ok(origin::serve(listeners, fill, Instant::now() + LIFETIME)?)
        }
        Command::Relay { listen, upstream } => {
            Ok(relay::serve(TcpListener::bind(listen)?, upstream, Instant::now() + LIFETIME)?)
        }
        Command::Pinned { core, program } => process::become_program(core, &program),
    }
}

/// Starts the proxies once for each kind of entry, then measures scenario by scenario, round by round, proxy by proxy.
fn compare(scenarios: &[Scenario], options: &Options) -> Result<()> {
    namespace::enter()?;
    if scenarios.iter().any(|scenario| scenario.connects_anew()) {
        namespace::must_not_track_connections()?;
    }
    let groups = interruptible()?;
    let binaries = Binaries {
        nginx: options.nginx.clone(),
        haproxy: options.haproxy.clone(),
        webrouter: match options.proxies.contains(&Kind::Webrouter) {
            true => beside(options.webrouter.as_deref(), "webrouter")?,
            false => PathBuf::new(),
        },
    };
    warn_when_busy();
    process::pin(LOAD_CORE)?;
    let directory = tempfile::tempdir()?;
    let mut site = Site {
        mountpoints: options.mountpoints as usize,
        active: options.active.min(options.mountpoints) as usize,
        origin_port: 0,
    };
    let _origin = start_origin(&mut site, directory.path(), &groups)?;
    let certificate = Certificate::make(directory.path().join("certificates"))?;
    let setting = Setting { binaries, site, certificate, directory: directory.path(), groups: &groups };
    let mut reports = Vec::new();
    for alike in scenarios.chunk_by(|one, next| one.entry() == next.entry()) {
        let Some(entry) = alike.first().map(|scenario| scenario.entry()) else {
            continue;
        };
        let proxies = start_proxies(entry, &setting, options)?;
        for scenario in alike {
            let rounds = measure(&Meter(&setting), &proxies, *scenario, options)?;
            let report = Report::of(*scenario, &rounds);
            if !options.json {
                println!("{}", report.table());
            }
            reports.push(report);
        }
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&reports)?);
    }
    Ok(())
}

/// Starts those proxies that can listen for this.
fn start_proxies(entry: Entry, setting: &Setting<'_>, options: &Options) -> Result<Vec<Proxy>> {
    let mut proxies = Vec::new();
    for kind in options.proxies.iter().filter(|kind| kind.can(entry)) {
        eprintln!("starting {}", kind.name());
        proxies.push(Proxy::start(*kind, entry, setting)?);
    }
    if proxies.is_empty() {
        bail!("none of these proxies can listen for this");
    }
    Ok(proxies)
}

fn measure(meter: &Meter<'_>, proxies: &[Proxy], scenario: Scenario, options: &Options) -> Result<Rounds> {
    let mut lengths = Vec::new();
    for proxy in proxies {
        let length = proxy.check(meter.0, scenario.path(), scenario.body())?;
        // Fills connection pools and caches; not counted.
        meter.measure(proxy, scenario, Duration::from_secs(2), length)?;
        lengths.push(length);
    }
    let mut rounds = Vec::new();
    for round in 1..=options.rounds {
        let mut samples = Vec::new();
        for (proxy, length) in proxies.iter().zip(&lengths) {
            let window = Duration::from_secs(options.seconds);
            let sample = meter.measure(proxy, scenario, window, *length)?;
            eprintln!(
                "{} round {round}/{}: {:<9} {:>9.2} µs/request {:>8.0} requests/s",
                scenario.name(),
                options.rounds,
                proxy.kind.name(),
                sample.micros_per_request(),
                sample.rate()
            );
            samples.push(sample);
        }
        rounds.push(samples);
    }
    Ok(Rounds { kinds: proxies.iter().map(|proxy| proxy.kind).collect(), rounds })
}

fn start_origin(site: &mut Site, directory: &Path, groups: &Groups) -> Result<Program> {
    site.origin_port = proxies::free_address()?.port();
    let mut command = Invocation::new(std::env::current_exe()?);
    command.arg("origin");
    for number in 0..site.active {
        command.args(["--listen", &site.endpoint(number).to_string()]);
    }
    let mut origin =
        Program::start("origin", Placement::Core(LOAD_CORE), &command, &directory.join("origin.out"), groups)?;
    let last = site.endpoint(site.active - 1);
    origin
        .wait_until(Duration::from_secs(10), Duration::from_millis(20), || proxies::ask(last, "origin", "/").is_ok())?;
    Ok(origin)
}

/// Other work on the two cores costs caches and wake-ups, which then count as the proxy's.
fn warn_when_busy() {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let busy = load.split(' ').next().and_then(|load| load.parse().ok());
    if let Some(load) = busy.filter(|load: &f64| *load > 0.5) {
        eprintln!("this machine is busy (load {load}): expect noise, use more rounds");
    }
}

/// The program that was named, or the one beside this binary.
pub(crate) fn beside(named: Option<&Path>, name: &str) -> Result<PathBuf> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => std::env::current_exe()?.with_file_name(name),
    };
    if !path.exists() {
        bail!(
            "{} does not exist: build it (cargo build --release -p {name}), name it (--{name}), or leave it out (--proxies)",
            path.display()
        );
    }
    Ok(path)
}

/// On Ctrl-C or SIGTERM all children are killed: what waits for them fails, cleans up and ends the program.
fn interruptible() -> Result<Groups> {
    use tokio::signal::unix::{SignalKind, signal};
    let groups = Groups::default();
    let watched = groups.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            eprintln!("interrupted");
            watched.kill_all();
            // The main thread has noticed by then, unless it hangs.
            tokio::time::sleep(Duration::from_secs(5)).await;
            watched.kill_all();
            std::process::exit(130);
        });
    });
    Ok(groups)
}
