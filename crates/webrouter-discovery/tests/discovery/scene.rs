//! A lainlet, a state folder, and a discovery that follows the one and writes the other.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use webrouter_discovery::status::{SourceState, SourceStatus};
use webrouter_discovery::{Discovery, DiscoveryConfig, LainletConfig};
use webrouter_testkit::Lainlet;

pub(crate) const SOON: Duration = Duration::from_secs(5);

/// Waits, without blocking the runtime, until a condition holds.
#[track_caller]
pub(crate) fn eventually<'a>(what: &'a str, mut condition: impl FnMut() -> bool + 'a) -> impl Future<Output = ()> + 'a {
    let caller = std::panic::Location::caller();
    async move {
        let end = tokio::time::Instant::now() + SOON;
        while !condition() {
            assert!(tokio::time::Instant::now() < end, "{caller}: not within {SOON:?}: {what}");
            tokio::time::sleep(Duration::from_millis(4)).await;
        }
    }
}

/// An endpoint that nobody listens at.
pub(crate) fn gone(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Follows this lainlet, quickly.
pub(crate) fn config(lainlet: &Lainlet) -> DiscoveryConfig {
    let mut config = LainletConfig::new(lainlet.addr().to_string());
    config.heartbeat = Duration::from_secs(1);
    config.read_timeout = Duration::from_millis(1500);
    config.refresh = Duration::from_millis(300);
    config.deaf_after = Duration::from_millis(100);
    DiscoveryConfig { lainlet: Some(config), ..DiscoveryConfig::default() }
}

/// A lainlet with these apps; each claims `<app>.lain`.
pub(crate) fn lainlet(apps: &[&str]) -> Lainlet {
    let lainlet = Lainlet::start();
    lainlet.edit(|procs| {
        for (at, app) in (1..).zip(apps) {
            procs.insert(key(app), Lainlet::entry(&[&format!("{app}.lain")], &[gone(at)]));
        }
    });
    lainlet
}

pub(crate) fn key(app: &str) -> String {
    format!("{app}.web.web")
}

/// Starts a discovery that is ready.
pub(crate) async fn ready(config: DiscoveryConfig) -> Discovery {
    let discovery = Discovery::start(config).await.expect("nobody else has the folder");
    tokio::time::timeout(SOON, discovery.ready()).await.expect("ready soon");
    discovery
}

pub(crate) fn stored_in(mut config: DiscoveryConfig, directory: &Path) -> DiscoveryConfig {
    config.state_directory = Some(directory.to_owned());
    config
}

/// The mountpoints in force.
pub(crate) fn routes(discovery: &Discovery) -> String {
    let table = discovery.table();
    let routes: Vec<String> = table.routes().map(|route| route.mountpoint.to_string()).collect();
    routes.join(" ")
}

/// The only source.
pub(crate) fn source(discovery: &Discovery) -> SourceStatus {
    discovery.status().sources.into_iter().next().expect("a source")
}

pub(crate) fn is(discovery: &Discovery, state: SourceState) -> bool {
    source(discovery).state == state
}

pub(crate) fn has_error(discovery: &Discovery, kind: &str) -> bool {
    errors(discovery, kind) > 0
}

/// How often the source had this problem.
pub(crate) fn errors(discovery: &Discovery, kind: &str) -> u64 {
    source(discovery).errors.get(kind).copied().unwrap_or_default()
}
