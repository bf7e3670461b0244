//! Whether the table has a proc, and each mountpoint that the proc claims.

use webrouter_admin_api::{Hop, HopKind};
use webrouter_discovery::status::{DiscoveryStatus, HoldStatus};
use webrouter_proxy::tls::Certificates;
use webrouter_routing::rejection::Reason;
use webrouter_routing::snapshot::Snapshot;

use super::Table;
use super::gather::Patient;
use super::hop::{broken, listed, ok, unknown};

pub(super) fn hop(
    patient: &Patient,
    table: &Table,
    snapshot: Option<&Snapshot>,
    tls: Option<&Certificates>,
    status: Option<&DiscoveryStatus>,
) -> Hop {
    let Some(snapshot) = snapshot else {
        let why = if let Table::None(why) = table { why.clone() } else { String::new() };
        return unknown(HopKind::Table, vec![format!("no table to look at: {why}")], "start the instance");
    };
    let hold = status.and_then(|status| status.hold.as_ref()).filter(|hold| touches(hold, patient));
    let Some(proc) = &patient.in_force else {
        let mut evidence = vec![format!("generation {} does not have it", snapshot.generation())];
        evidence.extend(hold.map(told));
        let advice =
            hold.map_or_else(|| "see the hop `watch`: what the source says has not come here".to_owned(), decide);
        return broken(HopKind::Table, evidence, advice);
    };
    let mountpoints = &proc.upstream.annotation.mountpoints;
    let owned = mountpoints.iter().filter(|mountpoint| snapshot.owner(mountpoint) == Some(&patient.key));
    let owned: Vec<String> = owned.map(ToString::to_string).collect();
    let mut evidence = Vec::new();
    let mut advice: Option<String> = None;
    if owned.is_empty() {
        evidence.push("no mountpoint leads to it".to_owned());
    } else {
        evidence.push(format!("generation {} has it at {}", snapshot.generation(), listed(owned.iter().cloned())));
    }
    for reason in patient.rejections.iter().map(|rejection| &rejection.reason) {
        if matches!(reason, Reason::BadEndpoint(_) | Reason::More(_)) {
            continue;
        }
        evidence.push(reason.to_string());
        advice.get_or_insert_with(|| match reason {
            Reason::Owned { mountpoint, owner } => {
                format!("choose another mountpoint than {mountpoint}, or have {owner} give it up")
            }
            reason => reason.advice().to_owned(),
        });
    }
    if let Some(hold) = hold {
        evidence.push(told(hold));
        advice.get_or_insert_with(|| decide(hold));
    }
    if owned.is_empty() {
        advice.get_or_insert_with(|| "write a mountpoint into the annotation: host or host/path".to_owned());
    }
    let unserved = |host: &str| !tls.is_some_and(|tls| tls.serves(snapshot, host));
    let hosts = mountpoints.iter().map(|mountpoint| mountpoint.host().as_str());
    if proc.upstream.annotation.https_only
        && let Some(host) = { hosts }.find(|host| unserved(host))
    {
        evidence.push(format!("it is https_only, but no certificate serves {host}: requests are not sent to https"));
        advice.get_or_insert_with(|| {
            format!("put a certificate for {host} into the folder of [tls] certificates, and listen on [listen] https")
        });
    }
    match advice {
        Some(advice) => broken(HopKind::Table, evidence, advice),
        None => ok(HopKind::Table, evidence),
    }
}

/// Whether what is kept back is about a proc; of a hold of many, only the first are listed.
fn touches(hold: &HoldStatus, patient: &Patient) -> bool {
    hold.source == patient.key.source.as_str() && hold.procs.iter().any(|name| name == patient.key.name.as_str())
}

fn told(hold: &HoldStatus) -> String {
    format!("the guard keeps its last version (hold {}): {}", hold.id, hold.reason)
}

fn decide(hold: &HoldStatus) -> String {
    format!("decide: `webrouter hold accept --id {0}` or `webrouter hold refuse --id {0}`", hold.id)
}
