//! `webrouter check`: the configuration and what the sources say, read by the same code that `run` uses.

use std::time::Duration;

use serde::Serialize;
use webrouter_discovery::Discovery;
use webrouter_discovery::status::{SourceState, SourceStatus};
use webrouter_proxy::tls::{Certificates, Problem};

use super::{Verdict, print, print_json};
use crate::app::{discovery_config, open_certificates};
use crate::config::Config;

#[derive(Debug, Serialize)]
struct Report {
    sources: Vec<SourceReport>,
    routes: usize,
    procs: usize,
    endpoints: usize,
    rejections: Vec<RejectionReport>,
    certificates: Vec<CertificateProblem>,
}

#[derive(Debug, Serialize)]
struct CertificateProblem {
    problem: String,
    advice: &'static str,
}

#[derive(Debug, Serialize)]
struct SourceReport {
    kind: &'static str,
    target: String,
    /// `read`, `failed`, or `not asked`.
    outcome: &'static str,
    problem: Option<String>,
}

#[derive(Debug, Serialize)]
struct RejectionReport {
    source: String,
    entry: String,
    kind: &'static str,
    reason: String,
    advice: &'static str,
}

pub(super) async fn check(config: &Config, live: bool, json: bool) -> anyhow::Result<Verdict> {
    let mut discovery_config = discovery_config(config);
    // An instance may be running beside us: its state is not ours to open.
    discovery_config.state_directory = None;
    let not_asked = discovery_config.lainlet.take_if(|_| !live);
    let discovery = Discovery::start(discovery_config).await?;
    if !discovery.status().sources.is_empty() {
        wait_for_sources(&discovery).await;
    }
    let mut report = report(&discovery);
    if let Some(certificates) = open_certificates(config).await? {
        report.certificates = certificate_problems(&discovery, &certificates);
    }
    discovery.stop().await;
    report.sources.extend(not_asked.map(|lainlet| SourceReport {
        kind: "lainlet",
        target: lainlet.address,
        outcome: "not asked",
        problem: None,
    }));
    match json {
        true => print_json(&report)?,
        false => print(describe(&report).as_bytes())?,
    };
    let failed = report.sources.iter().any(|source| source.outcome == "failed");
    Ok(if failed || !report.rejections.is_empty() || !report.certificates.is_empty() {
        Verdict::Problem
    } else {
        Verdict::Well
    })
}

/// Until each source has said its view or failed to.
async fn wait_for_sources(discovery: &Discovery) {
    let heard = async {
        while !discovery.is_ready() && !failed(&discovery.status().sources) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    // A source that says nothing in this time is reported as failed.
    let _ = tokio::time::timeout(PATIENCE, heard).await;
}

/// Each has answered, and one of them with a failure: the table will not be full.
fn failed(sources: &[SourceStatus]) -> bool {
    let any = |state| sources.iter().any(|source| source.state == state);
    any(SourceState::Failing) && !any(SourceState::Connecting)
}

fn report(discovery: &Discovery) -> Report {
    let sources = discovery.status().sources.into_iter().map(|source| {
        let read = source.state == SourceState::Following;
        let problem = source.last_error.map(|error| error.message).filter(|_| !read);
        SourceReport {
            kind: source.kind.as_str(),
            target: source.target,
            outcome: if read { "read" } else { "failed" },
            problem: problem.or_else(|| (!read).then(|| format!("no answer within {PATIENCE:?}"))),
        }
    });
    let sources = sources.collect();
    let table = discovery.table();
    let rejections = table.rejections().into_iter().map(|rejection| RejectionReport {
        source: rejection.source.to_string(),
        entry: rejection.entry,
        kind: rejection.reason.kind(),
        reason: rejection.reason.to_string(),
        advice: rejection.reason.advice(),
    });
    Report {
        sources,
        routes: table.route_count(),
        procs: table.proc_count(),
        endpoints: table.endpoint_count(),
        rejections: rejections.collect(),
        certificates: Vec::new(),
    }
}

fn certificate_problems(discovery: &Discovery, certificates: &Certificates) -> Vec<CertificateProblem> {
    let of_file =
        |problem: &Problem| CertificateProblem { problem: problem.to_string(), advice: problem.offence.advice() };
    let files = certificates.report().certificates.into_iter().flat_map(|certificate| certificate.problems);
    let entries = certificates.rejections(&discovery.table()).into_iter().map(|rejection| CertificateProblem {
        problem: format!("ssl `{}`: {}", rejection.pattern, rejection.problem),
        advice: rejection.problem.offence.advice(),
    });
    files.map(|problem| of_file(&problem)).chain(entries).collect()
}

fn describe(report: &Report) -> String {
    let mut text = "the configuration is good\n".to_owned();
    for source in &report.sources {
        let hint = if source.outcome == "not asked" { " (--live asks it)" } else { "" };
        text.push_str(&format!("{} {}: {}{hint}\n", source.kind, source.target, source.outcome));
        if let Some(problem) = &source.problem {
            text.push_str(&format!("  {problem}\n"));
        }
    }
    if report.sources.iter().any(|source| source.outcome != "not asked") {
        let Report { routes, procs, endpoints, .. } = report;
        text.push_str(&format!("{routes} routes, {procs} procs, {endpoints} endpoints\n"));
    }
    for CertificateProblem { problem, advice } in &report.certificates {
        text.push_str(&format!("certificate {problem}\n    {advice}\n"));
    }
    if !report.rejections.is_empty() {
        text.push_str(&format!("\n{} rejections:\n", report.rejections.len()));
    }
    for rejection in &report.rejections {
        text.push_str(&format!("  {} ({}): {}\n", rejection.entry, rejection.source, rejection.reason));
        text.push_str(&format!("    {}\n", rejection.advice));
    }
    text
}

const PATIENCE: Duration = Duration::from_secs(10);
