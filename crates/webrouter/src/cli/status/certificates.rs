//! What `webrouter status` says of the certificates: how many, and each that somebody must look at.

use std::fmt::Write as _;

use webrouter_admin_api::{Certificate, FileProblem, Status};

use super::SHOWN;
use crate::cli::text;

/// Whether nobody has to act.
pub(super) fn are_well(status: &Status) -> bool {
    let Some(folder) = &status.certificate_folder else { return true };
    let clients = folder.client_certificates.iter().all(|ca| ca.problem.is_none());
    let pairs = status.certificates.iter().all(|certificate| !certificate.ends_soon && certificate.problems.is_empty());
    folder.problem.is_none() && clients && pairs && !none_is_served(status)
}

pub(super) fn describe(out: &mut String, status: &Status) -> std::fmt::Result {
    let Some(folder) = &status.certificate_folder else { return Ok(()) };
    let count = status.certificates.iter().filter(|certificate| certificate.in_force).count();
    writeln!(out, "certs     {count} in force, from {}", folder.folder)?;
    if none_is_served(status) {
        writeln!(out, "CERT      no certificate: every TLS handshake is refused; put <stem>.crt and <stem>.key there")?;
    }
    let of_clients = folder.client_certificates.iter().filter_map(|ca| ca.problem.as_ref());
    for problem in folder.problem.iter().chain(of_clients) {
        describe_problem(out, problem, "; the last good one stays in force")?;
    }
    let unwell = |certificate: &&Certificate| certificate.ends_soon || !certificate.problems.is_empty();
    for certificate in status.certificates.iter().filter(unwell).take(SHOWN) {
        describe_certificate(out, certificate)?;
    }
    match status.certificates.iter().filter(unwell).count().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => writeln!(out, "CERT      and {more} more: webrouter status --json"),
    }
}

fn describe_certificate(out: &mut String, certificate: &Certificate) -> std::fmt::Result {
    if let (true, Some(at), Some(left)) = (certificate.ends_soon, &certificate.not_after, certificate.left_s) {
        let when = match left > 0.0 {
            true => format!("ends in {}", text::span(left)),
            false => format!("ended {} ago", text::span(-left)),
        };
        writeln!(out, "CERT      {} {when}, {at}", certificate.stem)?;
    }
    let rest = if certificate.in_force { "; the pair in force is kept" } else { "; it is not served" };
    certificate.problems.iter().try_for_each(|problem| describe_problem(out, problem, rest))
}

fn describe_problem(out: &mut String, problem: &FileProblem, rest: &str) -> std::fmt::Result {
    writeln!(out, "CERT      {}: {}{rest}", problem.file, problem.reason)?;
    writeln!(out, "          {}", problem.advice)
}

fn none_is_served(status: &Status) -> bool {
    status.certificates.iter().all(|certificate| !certificate.in_force)
}
