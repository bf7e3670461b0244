//! Why an app cannot be reached: the checklist that operators walk, hop by hop, each looked at now.
//!
//! ```text
//! containers ─► endpoints ─► reach ─► table ─► source ─► watch        one chain a proc
//! ```
//! It reads and asks, and changes nothing. Whoever runs it says what there is to look at: an instance itself, or a
//! command on its disk when it is down. Each probe has at most [`PROBE_WITHIN`], so many run at a time, and so much is
//! listed.

mod containers;
mod docker;
mod endpoints;
mod gather;
mod hop;
mod name;
mod reach;
mod router;
mod source;
mod table;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use webrouter_admin_api::{Doctor, Hop, HopKind};
use webrouter_discovery::last_good::Stored;
use webrouter_discovery::status::DiscoveryStatus;
use webrouter_discovery::{Discovery, LainletConfig};
use webrouter_proxy::fleet::Fleet;
use webrouter_proxy::tls::Certificates;
use webrouter_routing::snapshot::Snapshot;

pub use docker::DockerHost;
use gather::{Gathered, gather};
pub use name::{BadSubject, Subject};
pub use router::{RouterInputs, examine_router};

use crate::view::time;

/// What stands around an instance, as configured.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The lainlet that is followed.
    pub lainlet: Option<LainletConfig>,
    /// The file of apps that is followed.
    pub file: Option<PathBuf>,
    /// The Docker Engine, or Swarm manager, that knows the containers.
    pub docker: Option<DockerHost>,
    /// Where the instance keeps its state.
    pub state_directory: Option<PathBuf>,
}

/// What an examination looks at.
#[derive(Clone)]
pub struct Inputs {
    /// The table.
    pub table: Table,
    /// What is known of the endpoints.
    pub fleet: Option<Arc<Fleet>>,
    /// The certificates, where there is a TLS listener.
    pub certificates: Option<Arc<Certificates>>,
    /// Who else can be asked.
    pub surroundings: Surroundings,
}

/// Which table is looked at.
#[derive(Clone)]
pub enum Table {
    /// That of this instance.
    InForce(Discovery),
    /// That which an instance left on its disk.
    Stored(Stored),
    /// None, and why.
    None(String),
}

impl Table {
    fn snapshot(&self) -> Option<Arc<Snapshot>> {
        match self {
            Self::InForce(discovery) => Some(discovery.table()),
            Self::Stored(stored) => Some(Arc::clone(&stored.snapshot)),
            Self::None(_) => None,
        }
    }

    fn status(&self) -> Option<DiscoveryStatus> {
        match self {
            Self::InForce(discovery) => Some(discovery.status()),
            Self::Stored(_) | Self::None(_) => None,
        }
    }
}

/// Walks the chain of each proc that the name stands for; `before` are hops that were walked already.
pub async fn examine(inputs: &Inputs, subject: &Subject, before: Vec<Hop>) -> Doctor {
    let mut gathered = gather(inputs, subject).await;
    if matches!(inputs.table, Table::InForce(_)) && gathered.disagrees() {
        // An update may be on its way: what still differs a moment later is a difference.
        tokio::time::sleep(SETTLES_WITHIN).await;
        gathered = gather(inputs, subject).await;
    }
    let mut hops = before;
    let status = inputs.table.status();
    let mut did_you_mean = Vec::new();
    if gathered.patients.is_empty() {
        let (hop, near) = name::unknown(inputs, subject, &gathered).await;
        hops.push(hop);
        did_you_mean = near;
        hops.extend(watch::of_all(status.as_ref(), watch::patience(&inputs.surroundings)));
    } else {
        hops.push(name::known(inputs, subject, &gathered));
        hops.extend(chains(inputs, &gathered, status.as_ref()).await);
    }
    Doctor {
        app: Some(subject.to_string()),
        at: time(SystemTime::now()),
        generation: gathered.snapshot.as_ref().map(|snapshot| snapshot.generation().0),
        hops,
        first: None,
        did_you_mean,
    }
    .concluded()
}

/// What is left where nothing can be looked at: the hops that were walked already.
pub fn unexamined(subject: Option<&Subject>, hops: Vec<Hop>) -> Doctor {
    Doctor {
        app: subject.map(ToString::to_string),
        at: time(SystemTime::now()),
        generation: None,
        hops,
        first: None,
        did_you_mean: Vec::new(),
    }
    .concluded()
}

async fn chains(inputs: &Inputs, gathered: &Gathered, status: Option<&DiscoveryStatus>) -> Vec<Hop> {
    let asked = async {
        match &inputs.surroundings.docker {
            Some(host) => Some(docker::look(host).await),
            None => None,
        }
    };
    let (engine, reached) = tokio::join!(asked, reach::reach(&gathered.patients));
    let mut hops = Vec::new();
    for patient in &gathered.patients {
        let chain = [
            containers::hop(patient, engine.as_ref()),
            endpoints::hop(patient),
            reach::hop(patient, &reached, inputs.fleet.as_deref()),
            table::hop(patient, &inputs.table, gathered.snapshot.as_deref(), inputs.certificates.as_deref(), status),
            source::hop(patient, gathered),
            watch::hop(patient, status, watch::patience(&inputs.surroundings)),
        ];
        hops.extend(chain.into_iter().map(|hop| Hop {
            entry: Some(patient.key.name.to_string()),
            source: Some(patient.key.source.to_string()),
            ..hop
        }));
    }
    if gathered.left_out > 0 {
        let why = format!("{} more procs have this name: ask for one by its entry", gathered.left_out);
        hops.push(hop::skipped(HopKind::Name, why));
    }
    hops
}

/// For each connection, request or question.
pub const PROBE_WITHIN: Duration = Duration::from_secs(2);
/// An update that has been told is in force by then.
const SETTLES_WITHIN: Duration = Duration::from_millis(500);
/// Procs whose chains are walked.
const MAX_PROCS: usize = 20;
/// Endpoints that are asked, over all procs.
const MAX_ENDPOINTS: usize = 100;
/// Endpoints that are asked at a time.
const AT_A_TIME: usize = 25;
