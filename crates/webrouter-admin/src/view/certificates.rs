//! The certificates and how they are doing.

use std::time::SystemTime;

use webrouter_admin_api::{CaFile, Certificate, CertificateFolder, FileProblem, Rejection};
use webrouter_proxy::tls::{CertificateReport, Certificates, Demand, DemandReport, Problem, Report};
use webrouter_routing::snapshot::Snapshot;

use super::time;

pub(crate) fn view(certificates: &Certificates) -> (Vec<Certificate>, CertificateFolder) {
    let Report { folder, problem: folder_problem, certificates, demands } = certificates.report();
    let folder = CertificateFolder {
        folder: folder.display().to_string(),
        problem: folder_problem.as_ref().map(problem),
        client_certificates: demands.into_iter().map(ca_file).collect(),
    };
    (certificates.into_iter().map(certificate).collect(), folder)
}

/// The entries of the `ssl` map that are not taken.
pub(crate) fn rejections(snapshot: &Snapshot, certificates: &Certificates) -> Vec<Rejection> {
    let mut sources = snapshot.contributions().filter(|contribution| contribution.settings.certificates.is_some());
    let source = sources.next().map(|contribution| contribution.source.to_string()).unwrap_or_default();
    let rejections = certificates.rejections(snapshot).into_iter();
    rejections
        .map(|rejection| Rejection {
            source: source.clone(),
            entry: rejection.pattern,
            kind: BAD_CERTIFICATE.to_owned(),
            reason: format!("the certificate `{}` that `ssl` gives it: {}", rejection.stem, rejection.problem),
            owner: None,
            advice: rejection.problem.offence.advice().to_owned(),
        })
        .collect()
}

fn certificate(report: CertificateReport) -> Certificate {
    Certificate {
        stem: report.stem,
        in_force: report.in_force,
        names: report.names,
        not_after: report.not_after.map(time),
        left_s: report.not_after.map(left),
        ends_soon: report.ends_soon,
        stapled: report.stapled,
        problems: report.problems.iter().map(problem).collect(),
    }
}

fn ca_file(report: DemandReport) -> CaFile {
    CaFile {
        host: report.host.to_string(),
        file: report.ca.display().to_string(),
        required: report.mode == Demand::Required,
        problem: report.problem.as_ref().map(problem),
    }
}

fn problem(problem: &Problem) -> FileProblem {
    FileProblem {
        file: problem.file.display().to_string(),
        reason: problem.offence.to_string(),
        advice: problem.offence.advice().to_owned(),
    }
}

/// Whole seconds until then.
fn left(at: SystemTime) -> f64 {
    match at.duration_since(SystemTime::now()) {
        Ok(left) => left.as_secs_f64().floor(),
        Err(over) => -over.duration().as_secs_f64().ceil(),
    }
}

/// The kind of these rejections.
pub(crate) const BAD_CERTIFICATE: &str = "bad_certificate";
