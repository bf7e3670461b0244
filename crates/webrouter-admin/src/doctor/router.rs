//! The router itself: what an operator looks at when every app is down.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{Access, access, statvfs};
use rustix::process::{Resource, getrlimit};
use tokio::net::TcpStream;
use tokio::time::timeout;
use webrouter_admin_api::{Doctor, Hop, HopKind, Listener};
use webrouter_discovery::LainletConfig;
use webrouter_discovery::fresh;
use webrouter_discovery::status::DiscoveryStatus;
use webrouter_proxy::tls::Certificates;
use webrouter_telemetry::access_log::{AccessLog, LossReason};

use super::hop::{broken, listed, ok, skipped, unknown};
use super::{Inputs, PROBE_WITHIN, watch};
use crate::view::time;

/// What an examination of the router looks at besides the table.
#[derive(Clone, Default)]
pub struct RouterInputs {
    /// What it listens on.
    pub listeners: Vec<Listener>,
    /// The access log.
    pub access_log: Option<AccessLog>,
    /// When the process started, by the clock on the wall and by the one that nobody sets; `None` of an instance that is
    /// down.
    pub started: Option<(SystemTime, Instant)>,
}

/// Looks at the router itself; `before` are hops that were walked already.
pub async fn examine_router(inputs: &Inputs, router: &RouterInputs, before: Vec<Hop>) -> Doctor {
    let (status, snapshot) = (inputs.table.status(), inputs.table.snapshot());
    let mut hops = before;
    let ((state, open_files), listeners, clock) = tokio::join!(
        disk(inputs.surroundings.state_directory.clone(), status.clone(), router.started.is_some()),
        listeners(&router.listeners),
        clock(inputs.surroundings.lainlet.as_ref(), router.started),
    );
    hops.push(listeners);
    hops.extend(watch::of_all(status.as_ref(), watch::patience(&inputs.surroundings)));
    hops.push(holds(status.as_ref()));
    hops.push(certificates(inputs));
    hops.push(state);
    hops.push(lines(router.access_log.as_ref()));
    hops.push(open_files);
    hops.push(clock);
    let generation = snapshot.map(|snapshot| snapshot.generation().0);
    let at = time(SystemTime::now());
    Doctor { app: None, at, generation, hops, first: None, did_you_mean: Vec::new() }.concluded()
}

/// Somebody takes a connection at each address.
async fn listeners(listeners: &[Listener]) -> Hop {
    if listeners.is_empty() {
        return skipped(HopKind::Listeners, "nothing is listened on");
    }
    let mut evidence = Vec::new();
    let mut deaf = false;
    for listener in listeners.iter().take(MAX_LISTENERS) {
        let Ok(address) = listener.address.parse::<SocketAddr>() else { continue };
        let address = SocketAddr::new(reachable(address.ip()), address.port());
        let outcome = match timeout(PROBE_WITHIN / 2, TcpStream::connect(address)).await {
            Ok(Ok(_)) => "takes connections".to_owned(),
            Ok(Err(error)) => {
                deaf = true;
                error.to_string()
            }
            Err(_) => {
                deaf = true;
                "no answer".to_owned()
            }
        };
        evidence.push(format!("{} {outcome}", listener.address));
    }
    match deaf {
        true => broken(HopKind::Listeners, evidence, "see in the log why; restart the instance if it hangs"),
        false => ok(HopKind::Listeners, evidence),
    }
}

fn reachable(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address => address,
    }
}

fn holds(status: Option<&DiscoveryStatus>) -> Hop {
    let Some(status) = status else { return skipped(HopKind::Holds, "no instance runs") };
    match &status.hold {
        None => ok(HopKind::Holds, vec!["no update is kept back".to_owned()]),
        Some(hold) => {
            let reason = format!("an update of {} is kept back (hold {}): {}", hold.source, hold.id, hold.reason);
            let routes = format!(
                "routes {} to {}, endpoints {} to {}",
                hold.routes_before, hold.routes_after, hold.endpoints_before, hold.endpoints_after
            );
            let advice =
                format!("decide: `webrouter hold accept --id {0}` or `webrouter hold refuse --id {0}`", hold.id);
            broken(HopKind::Holds, vec![reason, routes], advice)
        }
    }
}

fn certificates(inputs: &Inputs) -> Hop {
    let Some(tls) = inputs.certificates.as_deref() else {
        return skipped(HopKind::Certificates, "nothing listens with TLS");
    };
    let report = tls.report();
    let mut evidence = Vec::new();
    let mut advice: Option<String> = None;
    if let Some(problem) = &report.problem {
        evidence.push(problem.to_string());
        advice.get_or_insert_with(|| problem.offence.advice().to_owned());
    }
    for certificate in &report.certificates {
        for problem in &certificate.problems {
            evidence.push(problem.to_string());
            advice.get_or_insert_with(|| problem.offence.advice().to_owned());
        }
        if certificate.ends_soon {
            let end = certificate.not_after.map(time).unwrap_or_default();
            evidence.push(format!("{} ends at {end}", certificate.stem));
            advice.get_or_insert_with(|| format!("renew {}: put the new pair into the folder", certificate.stem));
        }
    }
    for rejection in unserved(inputs, tls) {
        evidence.push(rejection);
        advice.get_or_insert_with(|| "put the missing pair into the folder, or correct lainlet's `ssl`".to_owned());
    }
    let more = evidence.len().saturating_sub(MAX_PROBLEMS);
    if more > 0 {
        evidence.truncate(MAX_PROBLEMS);
        evidence.push(format!("and {more} more: webrouter status"));
    }
    match advice {
        Some(advice) => broken(HopKind::Certificates, evidence, advice),
        None if report.certificates.is_empty() => {
            let why = format!("{} has no certificate: every handshake is refused", report.folder.display());
            broken(HopKind::Certificates, vec![why], "put a pair, <stem>.crt and <stem>.key, into the folder")
        }
        None => ok(HopKind::Certificates, vec![format!("{} are good", report.certificates.len())]),
    }
}

fn unserved(inputs: &Inputs, tls: &Certificates) -> Vec<String> {
    let snapshot = inputs.table.snapshot();
    let rejections = snapshot.map(|snapshot| tls.rejections(&snapshot)).unwrap_or_default();
    rejections.into_iter().map(|entry| format!("ssl `{}`: {}", entry.pattern, entry.problem)).collect()
}

/// What is asked of the disk and of /proc: either may hang.
async fn disk(directory: Option<PathBuf>, status: Option<DiscoveryStatus>, is_instance: bool) -> (Hop, Hop) {
    let look = move || (state(directory.as_deref(), status.as_ref()), open_files(is_instance));
    match timeout(PROBE_WITHIN, tokio::task::spawn_blocking(look)).await {
        Ok(Ok(hops)) => hops,
        _ => {
            let hung = |kind, what: &str| {
                unknown(
                    kind,
                    vec![format!("{what} did not answer within {PROBE_WITHIN:?}")],
                    "see that the disk is well",
                )
            };
            (hung(HopKind::State, "the state directory"), hung(HopKind::OpenFiles, "/proc, or the disk,"))
        }
    }
}

fn state(directory: Option<&Path>, status: Option<&DiscoveryStatus>) -> Hop {
    let Some(directory) = directory else { return skipped(HopKind::State, "no state directory") };
    let shown = directory.display();
    let fix = || format!("let the user of webrouter write to {shown}, or set [state] directory to another folder");
    if let Err(error) = access(directory, Access::WRITE_OK | Access::EXEC_OK) {
        return broken(HopKind::State, vec![format!("{shown} cannot be written: {error}")], fix());
    }
    if let Some(error) = status.and_then(|status| status.store_error.as_ref()) {
        let evidence = vec![format!("the last good table is not stored ({}): {}", error.kind, error.message)];
        return broken(HopKind::State, evidence, format!("{}; see that its disk is well", fix()));
    }
    let Ok(disk) = statvfs(directory) else {
        return unknown(
            HopKind::State,
            vec![format!("{shown}: its free space is not told")],
            "see that its disk is well",
        );
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize) >> 20;
    let evidence = vec![format!("{shown} can be written; {free} MiB are free")];
    match free < LEAST_FREE_MIB || (disk.f_files > 0 && disk.f_favail == 0) {
        true => broken(HopKind::State, evidence, "make space on its disk: the last good table could not be stored"),
        false => ok(HopKind::State, evidence),
    }
}

fn lines(log: Option<&AccessLog>) -> Hop {
    let Some(log) = log else { return skipped(HopKind::AccessLog, "no access log is written here") };
    let losses = log.losses();
    if losses.total() == 0 {
        return ok(HopKind::AccessLog, vec!["no line was lost".to_owned()]);
    }
    let by_reason = LossReason::ALL.into_iter().map(|reason| (reason, losses.of(reason)));
    let told = by_reason.filter(|(_, lines)| *lines > 0).map(|(reason, lines)| format!("{}: {lines}", reason.as_str()));
    let evidence = vec![format!("lines lost since the start: {}", listed(told))];
    broken(HopKind::AccessLog, evidence, "see that the folder of [access_log] can be written and its disk has space")
}

fn open_files(is_instance: bool) -> Hop {
    if !is_instance {
        return skipped(HopKind::OpenFiles, "no instance runs");
    }
    let limit = getrlimit(Resource::Nofile).current;
    let Ok(open) = std::fs::read_dir("/proc/self/fd").map(Iterator::count) else {
        return unknown(HopKind::OpenFiles, vec!["/proc/self/fd cannot be read".to_owned()], "mount /proc");
    };
    let Some(limit) = limit else { return ok(HopKind::OpenFiles, vec![format!("{open} open, no limit")]) };
    let evidence = vec![format!("{open} open of {limit}")];
    let open = u64::try_from(open).unwrap_or(u64::MAX);
    match open.saturating_mul(10) > limit.saturating_mul(9) {
        true => {
            broken(HopKind::OpenFiles, evidence, "raise the limit of open files (LimitNOFILE=, ulimit -n), and restart")
        }
        false => ok(HopKind::OpenFiles, evidence),
    }
}

async fn clock(lainlet: Option<&LainletConfig>, started: Option<(SystemTime, Instant)>) -> Hop {
    let mut evidence = vec![format!("it is {}", time(SystemTime::now()))];
    if let Some((wall, steady)) = started {
        let by_wall = signed_since(wall, SystemTime::now());
        let set_by = by_wall - steady.elapsed().as_secs_f64();
        if set_by.abs() > SET_BY {
            evidence.push(format!("since the start of the process it was set by {set_by:.0} s"));
        }
    }
    let said = match lainlet {
        Some(config) => {
            let half = PROBE_WITHIN / 2;
            let config = LainletConfig { connect_timeout: half, read_timeout: half, ..config.clone() };
            fresh::lainlet_date(&config).await.ok().flatten()
        }
        None => None,
    };
    let Some(said) = said else {
        evidence.push("nobody to compare it with".to_owned());
        return match SystemTime::now() < SystemTime::UNIX_EPOCH + SOURCE_WRITTEN {
            true => broken(HopKind::Clock, evidence, SET_CLOCK),
            false => ok(HopKind::Clock, evidence),
        };
    };
    let off = signed_since(said, SystemTime::now());
    evidence.push(format!("lainlet's host says {}", time(said)));
    match off.abs() > FAR_OFF {
        true => {
            evidence.push(format!("they are {:.0} s apart", off.abs()));
            broken(HopKind::Clock, evidence, SET_CLOCK)
        }
        false => ok(HopKind::Clock, evidence),
    }
}

/// Seconds from `then` to `now`; negative when `then` is later.
fn signed_since(then: SystemTime, now: SystemTime) -> f64 {
    now.duration_since(then).map_or_else(|error| -error.duration().as_secs_f64(), |since| since.as_secs_f64())
}

const SET_CLOCK: &str =
    "set the clock (chrony, ntpd) on the host that is wrong: certificates and cookies are judged by it";
/// Seconds between two hosts that matter; a Date has whole seconds, and answers take a while.
const FAR_OFF: f64 = 30.0;
/// Seconds by which a clock may be corrected unnoticed.
const SET_BY: f64 = 5.0;
/// No clock that is right says less: 2026-01-01.
const SOURCE_WRITTEN: Duration = Duration::from_secs(1_767_225_600);
const LEAST_FREE_MIB: u64 = 64;
const MAX_LISTENERS: usize = 16;
const MAX_PROBLEMS: usize = 50;
