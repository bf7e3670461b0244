//! Whether a proc's containers run, at the addresses that are told.

use webrouter_admin_api::{Hop, HopKind};
use webrouter_routing::endpoint::Endpoint;

use super::docker::{Container, Engine};
use super::gather::Patient;
use super::hop::{broken, listed, ok, skipped, unknown};

pub(super) fn hop(patient: &Patient, engine: Option<&Result<Engine, String>>) -> Hop {
    let engine = match engine {
        None => return skipped(HopKind::Containers, "no [docker] host is configured"),
        Some(Err(error)) => {
            let advice = "see that Docker runs, that [docker] host is right, and that this process may ask it";
            return unknown(HopKind::Containers, vec![error.clone()], advice);
        }
        Some(Ok(engine)) => engine,
    };
    let endpoints: &[Endpoint] = match (&patient.in_force, &patient.fresh) {
        (Some(proc), _) => &proc.upstream.endpoints,
        (None, Some(fresh)) => &fresh.endpoints,
        (None, None) => &[],
    };
    let mine = || engine.containers.iter().filter(|container| container.is_of(&patient.key.name));
    let stopped: Vec<&Container> = mine().filter(|container| !container.is_running).collect();
    let mut missing = Vec::new();
    let mut evidence = Vec::new();
    let mut found = 0;
    for endpoint in endpoints {
        let address = endpoint.address().ip();
        match engine.at(address) {
            Some(container) => {
                found += 1;
                evidence.push(format!("{endpoint}: {} runs ({})", container.name, container.state));
            }
            None if engine.gives(address) => missing.push(endpoint),
            None => {}
        }
    }
    if missing.is_empty() && (found > 0 || stopped.is_empty()) {
        return match found {
            0 => {
                skipped(HopKind::Containers, "this Docker has none of its containers, and gives none of its addresses")
            }
            _ => ok(HopKind::Containers, evidence),
        };
    }
    let mut lost: Vec<String> =
        missing.iter().map(|endpoint| format!("{endpoint}: no running container has this address")).collect();
    lost.extend(stopped.iter().map(|container| format!("{} does not run: {}", container.name, container.state)));
    let elsewhere = |container: &&Container| {
        let at_endpoint = |endpoint: &Endpoint| container.addresses.contains(&endpoint.address().ip());
        container.is_running && !endpoints.iter().any(at_endpoint)
    };
    let moved: Vec<&Container> = mine().filter(elsewhere).collect();
    for container in &moved {
        let addresses = listed(container.addresses.iter().map(ToString::to_string));
        lost.push(format!("{} runs at {addresses}, which is no endpoint", container.name));
    }
    lost.extend(evidence);
    let advice = match (stopped.first(), moved.first()) {
        (_, Some(container)) => {
            format!(
                "{} has another address than is told: see what feeds the source, and the hop `source`",
                container.name
            )
        }
        (Some(container), None) => {
            format!("see why it ended (`docker logs {0}`), and start it (`docker start {0}`)", container.name)
        }
        (None, None) => "start the container again, or have its source forget it".to_owned(),
    };
    broken(HopKind::Containers, lost, advice)
}
