//! What an operator must look at, first.

use maud::{Markup, html};
use webrouter_admin_api::{SourceState, Status};

use super::words::{app_path, counted, span};

/// One thing that is not as it should be.
pub(super) struct Alarm {
    class: &'static str,
    what: Markup,
}

/// All of them, the worst first.
pub(super) fn alarms(status: &Status) -> Vec<Alarm> {
    let mut alarms = Vec::new();
    let mut bad = |what: Markup| alarms.push(Alarm { class: "bad", what });
    if let Some(reason) = &status.not_ready_because {
        bad(html! { strong { "Not ready: " } (reason) "." });
    }
    if !status.fail_open.is_empty() {
        bad(html! {
            strong { "Fail-open: " } "every endpoint is sick, so all are tried, of " (upstreams(&status.fail_open)) "."
        });
    }
    if !status.breakers_open.is_empty() {
        bad(html! { strong { "Circuit breaker open: " } (upstreams(&status.breakers_open)) "." });
    }
    if let Some(hold) = &status.hold {
        bad(html! {
            strong { "Update " (hold.id) " of " (hold.source) " is held: " } (hold.reason) ". Routes "
            (hold.routes_before) " → " (hold.routes_after) ", endpoints " (hold.endpoints_before) " → "
            (hold.endpoints_after) ". Decide with " code { "webrouter hold accept" } " or " code { "webrouter hold refuse" }
            "."
        });
    }
    for source in status.sources.iter().filter(|source| source.state == SourceState::Failing) {
        let error = source.last_error.as_ref().map_or("", |error| error.message.as_str());
        bad(html! {
            strong { "Source " (source.name) " is failing" } " for " (span(source.since_s)) ": " (error)
            ". What it said before stays in force."
        });
    }
    certificates(status, &mut alarms);
    let mut warn = |what: Markup| alarms.push(Alarm { class: "warn", what });
    if status.access_log.lost_total > 0 {
        let by_reason: Vec<String> =
            status.access_log.lost.iter().map(|(why, lines)| format!("{why} {lines}")).collect();
        warn(html! {
            strong { "Access log: " } (status.access_log.lost_total) " lines lost since the start (" (by_reason.join(", ")) ")."
        });
    }
    if let Some(error) = &status.store_error {
        warn(html! { strong { "The last good table is not stored: " } (error.message) "." });
    }
    if let Some(age) = status.last_good_age_s {
        warn(
            html! { "A part of the table is what an earlier run stored, " (span(age)) " ago: a source has not delivered yet." },
        );
    }
    if !status.draining.is_empty() {
        warn(html! {
            strong { "Draining: " } (listed(status.draining.iter().map(|endpoint| html! { code { (endpoint) } }).collect())) "."
        });
    }
    alarms
}

fn certificates(status: &Status, alarms: &mut Vec<Alarm>) {
    let folder = status.certificate_folder.iter();
    let of_folder = folder.flat_map(|folder| {
        folder.problem.iter().chain(folder.client_certificates.iter().filter_map(|file| file.problem.as_ref()))
    });
    let of_pairs = status.certificates.iter().flat_map(|certificate| &certificate.problems);
    let problems = of_folder.chain(of_pairs).take(SHOWN).map(|problem| Alarm {
        class: "bad",
        what: html! { strong { "Certificate file " code { (problem.file) } ": " } (problem.reason) "; " (problem.advice) "." },
    });
    alarms.extend(problems);
    let ending = status.certificates.iter().filter(|certificate| certificate.ends_soon).take(SHOWN);
    alarms.extend(ending.map(|certificate| {
        let left = certificate.left_s.unwrap_or_default();
        let (class, when) = match left < 0.0 {
            true => ("bad", format!("is over for {}", span(-left))),
            false => ("warn", format!("ends in {}", span(left))),
        };
        Alarm { class, what: html! { strong { "Certificate " code { (certificate.stem) } } " " (when) "." } }
    }));
}

impl Alarm {
    fn item(&self) -> Markup {
        let sign = if self.class == "bad" { "✕" } else { "!" };
        html! { li.(self.class) { span.sign aria-hidden="true" { (sign) } div { (self.what) } } }
    }
}

/// The list, or the word that all is well.
pub(super) fn list(alarms: &[Alarm], status: &Status) -> Markup {
    html! {
        @if alarms.is_empty() {
            p.well { span aria-hidden="true" { "✓" } " Ready: a full table is in force, and nothing needs attention." }
        } @else {
            h2 #alarms-title { (counted(alarms.len(), "thing needs", "things need")) " attention" }
            ul.alarms { @for alarm in alarms { (alarm.item()) } }
            @if status.ready { p { "Ready: a full table is in force." } }
        }
    }
}

fn upstreams(names: &[String]) -> Markup {
    listed(names.iter().map(|name| upstream(name)).collect())
}

/// The name of an upstream, as a link to its app's page.
pub(super) fn upstream(name: &str) -> Markup {
    match name.split_once("__upstream__") {
        Some((app, _)) => html! { a href=(app_path(app)) { (name) } },
        None => html! { (name) },
    }
}

fn listed(things: Vec<Markup>) -> Markup {
    let more = things.len().saturating_sub(SHOWN);
    html! {
        @for (nth, thing) in things.iter().take(SHOWN).enumerate() { @if nth > 0 { ", " } (thing) }
        @if more > 0 { " and " (more) " more" }
    }
}

const SHOWN: usize = 20;
