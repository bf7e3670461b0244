//! The doctor's chain, drawn: each hop with its verdict, the first broken one with the next step.

use maud::{Markup, html};
use webrouter_admin_api::{Doctor, Hop, HopVerdict};

use super::layout::{self, Place};
use super::words::app_path;

pub(super) fn page(doctor: &Doctor) -> Markup {
    let title = doctor.app.as_deref().unwrap_or("The router");
    layout::page(
        &format!("Doctor: {title}"),
        Place::Doctor,
        &html! {
            h1 { "Doctor: " (title) }
            @match &doctor.first {
                Some(hop) => ul.alarms {
                    li class=(class(hop.verdict)) {
                        span.sign aria-hidden="true" { (sign(hop.verdict)) }
                        div {
                            strong { (hop.kind.as_str()) ": " }
                            (hop.evidence.join("; "))
                            @if let Some(advice) = &hop.advice { p { "Next: " (advice) } }
                        }
                    }
                },
                None => p.well { "✓ All is well." }
            }
            @if !doctor.did_you_mean.is_empty() {
                p { "Known are: " @for name in &doctor.did_you_mean { a href=(format!("/doctor/{name}")) { (name) } " " } }
            }
            ol.chain aria-label="Hops" { @for hop in &doctor.hops { (step(hop)) } }
            @if let Some(app) = &doctor.app {
                p { a href=(app_path(app.split('.').next().unwrap_or(app))) { "The app's page" } }
            }
            p.dim { "Looked at " time datetime=(doctor.at) { (doctor.at) } ". Load the page again to look again." }
        },
    )
}

fn step(hop: &Hop) -> Markup {
    html! {
        li class=(class(hop.verdict)) {
            span.state { span aria-hidden="true" { (sign(hop.verdict)) } " " (hop.verdict.as_str()) }
            div {
                strong { (hop.kind.as_str()) }
                @if let Some(entry) = &hop.entry { small { " " (entry) } }
                @for line in &hop.evidence { p { (line) } }
                @if let Some(advice) = &hop.advice { p { "Next: " (advice) } }
            }
        }
    }
}

fn class(verdict: HopVerdict) -> &'static str {
    match verdict {
        HopVerdict::Ok => "good",
        HopVerdict::Broken => "bad",
        HopVerdict::Unknown => "warn",
        HopVerdict::Skipped => "dim",
    }
}

fn sign(verdict: HopVerdict) -> &'static str {
    match verdict {
        HopVerdict::Ok => "✓",
        HopVerdict::Broken => "✕",
        HopVerdict::Unknown => "?",
        HopVerdict::Skipped => "–",
    }
}
