//! The command line: what can be asked for, and the exit code of the answer (0 well, 1 found a problem, 2 wrong use).

mod check;
mod client;
mod doctor;
mod drain;
mod endpoints;
mod explain;
mod history;
mod hold;
mod routes;
mod status;
mod text;
mod why;

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, CommandFactory, Parser, Subcommand};
use webrouter_admin::doctor::Subject;
use webrouter_routing::duration;
use webrouter_routing::endpoint::Endpoint;
use webrouter_telemetry::logging::LoggingError;

use crate::config::{Colour, Config, ConfigError, Environment};
use crate::lainlet::{Lainlet, LainletError};
use crate::{app, demo};

/// The HTTP entry of a container cluster.
#[derive(Debug, Parser)]
#[command(name = "webrouter", version, propagate_version = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve.
    Run(ConfigFile),
    /// Show it all running, without any configuration: three apps, a lainlet, the router, on loopback.
    Demo {
        /// Port of the router.
        #[arg(long, value_name = "N")]
        port: Option<u16>,
    },
    /// Check the configuration and what the sources say, without serving.
    Check {
        #[command(flatten)]
        file: ConfigFile,
        /// Ask the lainlet too, once.
        #[arg(long)]
        live: bool,
        /// Write JSON.
        #[arg(long)]
        json: bool,
    },
    /// List the routes of a running instance.
    Routes {
        #[command(flatten)]
        instance: Instance,
        /// Only this host.
        #[arg(long)]
        host: Option<String>,
        /// Only this app.
        #[arg(long)]
        app: Option<String>,
    },
    /// List the endpoints of a running instance: how each is, since when, and the evidence.
    Endpoints {
        #[command(flatten)]
        instance: Instance,
        #[command(flatten)]
        which: endpoints::Which,
    },
    /// Keep new requests from an endpoint, so that it can be stopped without a lost one.
    Drain {
        /// The endpoint, as `endpoints` lists it.
        #[arg(value_name = "IP:PORT", value_parser = Endpoint::parse)]
        endpoint: Endpoint,
        /// Wait until its last request has ended, for so long at most: exit code 1 if some are left then.
        #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "undo")]
        wait: Option<Duration>,
        /// Give it requests again.
        #[arg(long)]
        undo: bool,
        #[command(flatten)]
        instance: Instance,
    },
    /// Tell where a request goes: which rule wins, which lost and why, what is sent to whom.
    Explain {
        /// For example `http://demo.lain.local/x`
        url: String,
        /// The request's method.
        #[arg(long, default_value = "GET")]
        method: String,
        /// Against the table of that time: RFC 3339, or `10m` for ten minutes ago.
        #[arg(long, value_name = "TIME", conflicts_with = "generation")]
        at: Option<String>,
        /// Against the table of this generation.
        #[arg(long, value_name = "G")]
        generation: Option<u64>,
        #[command(flatten)]
        instance: Instance,
    },
    /// Tell what was in force, the newest first: when, why, and what changed.
    History {
        /// Only what concerns this app.
        app: Option<String>,
        /// At most so many.
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
        #[command(flatten)]
        instance: Instance,
    },
    /// Tell what differs between two generations.
    Diff {
        /// The one.
        from: u64,
        /// The other.
        to: u64,
        #[command(flatten)]
        instance: Instance,
    },
    /// Go back to the table of a generation: every app that differs is pinned to it, endpoints included.
    Rollback {
        /// Which one.
        #[arg(value_name = "G", required_unless_present = "end")]
        generation: Option<u64>,
        /// Let the apps of a rollback follow their sources again.
        #[arg(long, conflicts_with = "generation")]
        end: bool,
        #[command(flatten)]
        instance: Instance,
    },
    /// Keep an app at a version, endpoints included, whatever its sources say.
    Pin {
        /// Which one.
        app: String,
        /// As it was in this generation [default: as it is]
        #[arg(value_name = "G")]
        generation: Option<u64>,
        #[command(flatten)]
        instance: Instance,
    },
    /// Let an app follow its sources again.
    Unpin {
        /// Which one.
        app: String,
        #[command(flatten)]
        instance: Instance,
    },
    /// Tell why a request failed, by the id in its error page; without an id, list the last that failed.
    Why {
        /// The `X-Request-Id`.
        id: Option<String>,
        /// Only requests to this app.
        #[arg(long)]
        app: Option<String>,
        #[command(flatten)]
        instance: Instance,
    },
    /// Tell why an app cannot be reached: each hop from its containers to its source's news, looked at now. Works on the
    /// disk of an instance that is down, too.
    Doctor {
        /// An app, `app.proc`, or entry; left out, the router itself is looked at.
        #[arg(value_name = "APP[.PROC]", value_parser = Subject::parse)]
        app: Option<Subject>,
        #[command(flatten)]
        instance: Instance,
    },
    /// Tell how a running instance is doing.
    Status(Instance),
    /// Decide about an update that the guard keeps back.
    Hold {
        /// Apply it now, or keep what is in force.
        decision: hold::Decision,
        /// Only the hold of this number, as status tells it.
        #[arg(long, value_name = "N")]
        id: Option<u64>,
        #[command(flatten)]
        instance: Instance,
    },
    /// A lainlet for development: the wire of the real one, the content of a file, followed.
    Lainlet {
        /// The file of apps; its table `config` holds cluster settings such as ssl and extra_domains. Weights of
        /// endpoints are not told: lainlet has no place for them.
        #[arg(long, value_name = "F")]
        apps: PathBuf,
        /// Where to listen.
        #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:9001")]
        listen: SocketAddr,
    },
    /// Write the completions of a shell to standard output.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual page to standard output.
    Man,
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration [default: /etc/webrouter/webrouter.toml, if it is there]
    #[arg(long, value_name = "F")]
    config: Option<PathBuf>,
}

/// Which instance a client command asks, and how it answers.
#[derive(Debug, Args)]
struct Instance {
    /// The instance's admin listener [default: as configured, else 127.0.0.1:9080]
    #[arg(long, value_name = "IP:PORT")]
    admin: Option<SocketAddr>,
    #[command(flatten)]
    file: ConfigFile,
    /// The file with its token [default: as configured]
    #[arg(long, value_name = "F")]
    token_file: Option<PathBuf>,
    /// Write JSON.
    #[arg(long)]
    json: bool,
}

/// How a command ended, when it could be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Well,
    Problem,
}

/// Carries out the command line of the process.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    match carry_out(cli.command) {
        Ok(Verdict::Well) => ExitCode::SUCCESS,
        Ok(Verdict::Problem) => ExitCode::from(1),
        Err(error) => explain_failure(&error),
    }
}

fn carry_out(command: Command) -> anyhow::Result<Verdict> {
    match command {
        Command::Run(file) => {
            let config = file.load()?.with_source()?;
            block_on(app::run(config, &Environment::of_process()))
        }
        Command::Demo { port } => block_on(demo::run(port)),
        Command::Check { file, live, json } => {
            let config = file.load()?.with_source()?;
            block_on(check::check(&config, live, json))
        }
        Command::Routes { instance, host, app } => block_on(routes::routes(&instance, host, app)),
        Command::Endpoints { instance, which } => block_on(endpoints::endpoints(&instance, &which)),
        Command::Drain { endpoint, undo: true, instance, .. } => block_on(drain::undo(&instance, endpoint)),
        Command::Drain { endpoint, wait, instance, .. } => block_on(drain::drain(&instance, endpoint, wait)),
        Command::Why { id, app, instance } => block_on(why::why(&instance, id.as_deref(), app.as_deref())),
        Command::Doctor { app, instance } => block_on(doctor::doctor(&instance, app)),
        Command::Explain { url, method, at, generation, instance } => {
            block_on(explain::explain(&instance, &url, &method, at.as_deref(), generation))
        }
        Command::History { app, limit, instance } => block_on(history::history(&instance, app.as_deref(), limit)),
        Command::Diff { from, to, instance } => block_on(history::diff(&instance, from, to)),
        Command::Rollback { generation: Some(generation), instance, .. } => {
            block_on(history::rollback(&instance, generation))
        }
        Command::Rollback { instance, .. } => block_on(history::end_rollback(&instance)),
        Command::Pin { app, generation, instance } => block_on(history::pin(&instance, &app, generation)),
        Command::Unpin { app, instance } => block_on(history::unpin(&instance, &app)),
        Command::Status(instance) => block_on(status::status(&instance)),
        Command::Hold { decision, id, instance } => block_on(hold::hold(&instance, decision, id)),
        Command::Lainlet { apps, listen } => block_on(lainlet(&apps, listen)),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "webrouter", &mut script);
            print(&script)
        }
        Command::Man => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            print(&page)
        }
    }
}

/// A length of time on the command line.
fn time(text: &str) -> Result<Duration, String> {
    duration::parse(text).ok_or_else(|| "write a number with its unit, such as 30s or 5m".to_owned())
}

impl ConfigFile {
    fn load(&self) -> Result<Config, ConfigError> {
        Config::load(self.config.as_deref(), &Environment::of_process())
    }
}

async fn lainlet(apps: &std::path::Path, listen: SocketAddr) -> anyhow::Result<Verdict> {
    app::start_logging("info")?;
    let lainlet = Lainlet::start(apps, listen).await?;
    print(format!("lainlet at {}, following {}\n", lainlet.address()?, apps.display()).as_bytes())?;
    let mut signals = app::Signals::new()?;
    tokio::select! {
        () = lainlet.run() => Ok(Verdict::Problem),
        () = signals.stop() => Ok(Verdict::Well),
    }
}

/// Writes to standard output; a reader that went away is not a failure.
fn print(bytes: &[u8]) -> anyhow::Result<Verdict> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context("cannot write the answer"),
        _ => Ok(Verdict::Well),
    }
}

/// Writes a value as JSON to standard output.
fn print_json(value: &impl serde::Serialize) -> anyhow::Result<Verdict> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    print(text.as_bytes())
}

/// Runs a command to its end; blocking work that hangs, on a disk or a name, does not keep the process.
fn block_on(work: impl Future<Output = anyhow::Result<Verdict>>) -> anyhow::Result<Verdict> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.context("cannot start: the system gives no event queue; check the limit of open files (ulimit -n)")?;
    let verdict = runtime.block_on(work);
    runtime.shutdown_timeout(BLOCKING_WORK_DEADLINE);
    verdict
}

fn explain_failure(error: &anyhow::Error) -> ExitCode {
    let config = match error.downcast_ref::<LainletError>() {
        Some(LainletError::Apps(config)) => Some(config),
        _ => error.downcast_ref::<ConfigError>(),
    };
    if let Some(config) = config {
        let colour = if io::stderr().is_terminal() { Colour::Ansi } else { Colour::Plain };
        eprint!("{}", config.report(colour));
        return ExitCode::from(2);
    }
    if let Some(error) = error.downcast_ref::<LoggingError>() {
        eprintln!("webrouter: environment variable RUST_LOG: {error}\n  write a level such as `info`, or unset it");
        return ExitCode::from(2);
    }
    eprintln!("webrouter: {error:#}");
    ExitCode::from(1)
}

const BLOCKING_WORK_DEADLINE: Duration = Duration::from_secs(1);
const EXIT_CODES: &str = "Exit codes: 0 well, 1 found a problem, 2 wrong use or configuration.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_hangs_does_not_keep_the_process() {
        let (release, hanging) = std::sync::mpsc::channel::<()>();
        let verdict = block_on(async {
            tokio::task::spawn_blocking(move || hanging.recv());
            Ok(Verdict::Well)
        });
        assert_eq!(verdict.ok(), Some(Verdict::Well));
        // Sent after the end: the work was still waiting for it.
        release.send(()).expect("it hangs still");
    }
}
