//! The certificates in force, shared by all cores.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use webrouter_routing::host::Host;
use webrouter_routing::snapshot::Snapshot;

use super::TlsConfig;
use super::expiry;
use super::follow::{self, Follower};
use super::inventory::Inventory;
use super::pair::Files;
use super::problem::{Offence, Problem};
use super::report::{CertificateReport, DemandReport, MapRejection, Report};
use super::settings::Settings;

/// The certificates of a folder, followed until this is dropped.
pub struct Certificates {
    /// What is followed; shared with the thread that follows it.
    pub(super) followed: Arc<Followed>,
    _follower: Follower,
}

/// What a folder says, and how it is read.
pub(super) struct Followed {
    pub(super) config: TlsConfig,
    pub(super) settings: Settings,
    pub(super) in_force: ArcSwap<Inventory>,
}

/// Why TLS cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder, the default certificate or a CA file is not as it should be.
    #[error("{0}; {advice}", advice = .0.offence.advice())]
    File(Problem),
    /// The folder of the certificates.
    #[error("{}: the folder of the certificates: {reason}; set [tls] certificates or NGINX_SSL_PATH to a folder that can be read", folder.display())]
    Folder {
        /// Which one.
        folder: PathBuf,
        /// What is wrong.
        reason: Offence,
    },
    /// The library refuses its settings.
    #[error("TLS cannot be set up: {0}")]
    Library(#[from] rustls::Error),
    /// No thread.
    #[error("cannot start the thread that follows the certificates: {0}")]
    Thread(#[from] std::io::Error),
}

impl Certificates {
    /// Reads the folder and follows it from now on; blocks while it reads. A broken pair is only reported, but what the
    /// configuration names must be good: the folder, the default, the CA files.
    pub fn open(config: TlsConfig) -> Result<Arc<Self>, OpenError> {
        let settings = Settings::new(config.profile)?;
        let inventory =
            Inventory::read(&config, &settings).map_err(|problem| match problem.file == config.certificates {
                true => OpenError::Folder { folder: problem.file, reason: problem.offence },
                false => OpenError::File(problem),
            })?;
        if let Some(default) = &config.default
            && let Some(problem) = missing(&config, &inventory, default)
        {
            return Err(OpenError::File(problem));
        }
        let followed = Arc::new(Followed { config, settings, in_force: ArcSwap::from_pointee(inventory) });
        let follower = follow::start(Arc::clone(&followed))?;
        Ok(Arc::new(Self { followed, _follower: follower }))
    }

    /// Whether a certificate is meant for this host: by the map or by its names, not for want of a better one.
    pub fn serves(&self, snapshot: &Snapshot, host: &str) -> bool {
        self.followed.in_force.load().pair(snapshot.certificates(), host, |_| true).is_some()
    }

    /// The stem of the certificate that is meant for this host.
    pub fn stem_for(&self, snapshot: &Snapshot, host: &str) -> Option<String> {
        let inventory = self.followed.in_force.load();
        let meant = inventory.pair(snapshot.certificates(), host, |_| true)?;
        let is_it = |pair: &Arc<_>| Arc::ptr_eq(pair, meant);
        inventory.stems.iter().find(|(_, state)| state.pair.as_ref().is_some_and(is_it)).map(|(stem, _)| stem.clone())
    }

    /// Whether there is any certificate at all.
    pub fn is_empty(&self) -> bool {
        self.followed.in_force.load().stems.values().all(|stem| stem.pair.is_none())
    }

    /// Each stem and each check, as it is.
    pub fn report(&self) -> Report {
        let Followed { config, in_force, .. } = &*self.followed;
        let inventory = in_force.load();
        let now = SystemTime::now();
        let certificates = inventory.stems.iter().map(|(stem, state)| CertificateReport {
            stem: stem.clone(),
            file: Files::of(&config.certificates, stem).certificate,
            in_force: state.pair.is_some(),
            names: state.pair.as_ref().map(|pair| pair.leaf.names.clone()).unwrap_or_default(),
            not_after: state.pair.as_ref().map(|pair| pair.leaf.not_after),
            stapled: state.pair.as_ref().is_some_and(|pair| pair.is_stapled()),
            ends_soon: state.pair.as_ref().is_some_and(|pair| expiry::is_soon(pair.leaf.not_after, now)),
            problems: state.problems.clone(),
        });
        let demands = config.client_certificates.iter().map(|(host, demand)| DemandReport {
            host: host.clone(),
            ca: demand.ca.clone(),
            mode: demand.mode,
            problem: inventory.checks.get(host).and_then(|check| check.problem.clone()),
        });
        Report {
            folder: config.certificates.clone(),
            problem: inventory.folder.clone(),
            certificates: certificates.collect(),
            demands: demands.collect(),
        }
    }

    /// The entries of the `ssl` map that are not taken, because their pair is missing or never was good.
    pub fn rejections(&self, snapshot: &Snapshot) -> Vec<MapRejection> {
        let Followed { config, in_force, .. } = &*self.followed;
        let inventory = in_force.load();
        let reject = |(pattern, stem): (&str, &str)| {
            let problem = missing(config, &inventory, stem)?;
            Some(MapRejection { pattern: pattern.to_owned(), stem: stem.to_owned(), problem })
        };
        snapshot.certificates().iter().filter_map(reject).collect()
    }
}

impl Followed {
    /// The host, or the nearest above it, whose clients are checked.
    pub(super) fn demand(&self, host: &str) -> Option<&Host> {
        let demands = &self.config.client_certificates;
        if demands.is_empty() {
            return None;
        }
        let below = host.match_indices('.').filter_map(|(at, dot)| host.get(at + dot.len()..));
        std::iter::once(host).chain(below).find_map(|name| Some(demands.get_key_value(name)?.0))
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("config", &self.followed.config).finish_non_exhaustive()
    }
}

/// Why there is no pair of this stem.
fn missing(config: &TlsConfig, inventory: &Inventory, stem: &str) -> Option<Problem> {
    let Some(known) = inventory.stems.get(stem) else {
        let file = Files::of(&config.certificates, stem).certificate;
        return Some(Problem { file, offence: Offence::Missing });
    };
    known.pair.is_none().then(|| known.problems.first().cloned()).flatten()
}
