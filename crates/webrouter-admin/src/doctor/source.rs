//! Whether the source says now what the table has.

use std::collections::BTreeSet;

use webrouter_admin_api::{Hop, HopKind};
use webrouter_routing::annotation::Annotation;
use webrouter_routing::contribution::Claims;
use webrouter_routing::endpoint::Endpoint;

use super::gather::{Gathered, Patient};
use super::hop::{broken, listed, ok, skipped, unknown};

pub(super) fn hop(patient: &Patient, gathered: &Gathered) -> Hop {
    let source = &patient.key.source;
    let Some(heard) = gathered.heard(source) else {
        return skipped(HopKind::Source, format!("{source} is not configured here"));
    };
    if let Err(error) = &heard.said {
        let evidence = vec![format!("{source} could not be asked ({}): {error}", error.kind)];
        return unknown(HopKind::Source, evidence, format!("see that {source} is up and can be reached from here"));
    }
    if gathered.snapshot.is_none() {
        let said = if patient.fresh.is_some() { "knows it now" } else { "does not know it now" };
        return skipped(HopKind::Source, format!("{source} {said}; there is no table to compare with"));
    }
    match differences(patient) {
        differences if differences.is_empty() => {
            ok(HopKind::Source, vec![format!("asked now, {source} says what the table has")])
        }
        differences => {
            let advice = format!(
                "find out which is right: the hop `reach` tells who answers. If the table is, {source} lies or lags: look \
                 at it and what feeds it. If {source} is, see the hops `table` (a hold?) and `watch`"
            );
            broken(HopKind::Source, differences, advice)
        }
    }
}

/// How the source's word of now differs from the table.
pub(super) fn differences(patient: &Patient) -> Vec<String> {
    let source = &patient.key.source;
    let (Some(proc), Some(fresh)) = (&patient.in_force, &patient.fresh) else {
        return match (&patient.in_force, &patient.fresh) {
            (Some(_), None) => vec![format!("the table has it, {source} does not")],
            (None, Some(_)) => vec![format!("{source} has it, the table does not")],
            _ => Vec::new(),
        };
    };
    let set = |endpoints: &[Endpoint]| endpoints.iter().copied().collect::<BTreeSet<Endpoint>>();
    let (in_table, said) = (set(&proc.upstream.endpoints), set(&fresh.endpoints));
    let only = |one: &BTreeSet<Endpoint>, other: &BTreeSet<Endpoint>| -> Vec<String> {
        one.difference(other).map(ToString::to_string).collect()
    };
    let mut differences = Vec::new();
    let (only_table, only_said) = (only(&in_table, &said), only(&said, &in_table));
    if !only_table.is_empty() {
        differences.push(format!("only in the table: {}", listed(only_table)));
    }
    if !only_said.is_empty() {
        differences.push(format!("only in what {source} says: {}", listed(only_said)));
    }
    // What cannot be read is not compared: its last good version is in force, and the hop `table` says so.
    if let Claims::Readable(annotation) = &fresh.claims {
        differences.extend(of_annotations(&proc.upstream.annotation, annotation, source.as_str()));
    } else if proc.quarantine.is_none() {
        differences.push(format!("{source} has an annotation that cannot be read, the table has a good one"));
    }
    differences
}

fn of_annotations(in_force: &Annotation, said: &Annotation, source: &str) -> Option<String> {
    if in_force == said {
        return None;
    }
    let mountpoints = |annotation: &Annotation| listed(annotation.mountpoints.iter().map(ToString::to_string));
    if in_force.mountpoints != said.mountpoints {
        let (table, said) = (mountpoints(in_force), mountpoints(said));
        return Some(format!("mountpoints: the table has {table}, {source} says {said}"));
    }
    Some(format!("the annotation: https_only, healthcheck or a policy is not what {source} says"))
}
