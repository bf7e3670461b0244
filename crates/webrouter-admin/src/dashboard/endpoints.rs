//! Endpoints as a table with their evidence, and as a row of marks.

use maud::{Markup, html};
use webrouter_admin_api::{EndpointState, EndpointView, FailureReport, ProbeReport};

use super::words::{ago, span, state};

/// With the evidence; the table of a phone is one card for each.
pub(super) fn table(caption: &str, endpoints: &[&EndpointView]) -> Markup {
    html! {
        table.cards role="table" {
            caption.unseen { (caption) }
            thead role="rowgroup" {
                tr role="row" {
                    @for column in ["Endpoint", "State", "Since", "Requests", "Connections", "Weight", "Last health check",
                        "Last failure"] { th scope="col" role="columnheader" { (column) } }
                }
            }
            tbody role="rowgroup" { @for endpoint in endpoints { (row(endpoint)) } }
        }
    }
}

fn row(endpoint: &EndpointView) -> Markup {
    html! {
        tr role="row" {
            th scope="row" role="rowheader" { code { (endpoint.endpoint) } }
            td role="cell" data-label="State" {
                (mark(endpoint.state))
                @if let Some(left) = endpoint.ejected_for_s { small { " ejected for " (span(left)) "," } }
                @if endpoint.failures > 0 { small { " " (endpoint.failures) " requests failed in a row" } }
            }
            td role="cell" data-label="Since" {
                @match (&endpoint.since, endpoint.since_s) {
                    (Some(since), Some(age)) => (ago(since, age)),
                    _ => span.dim { "not used yet" }
                }
            }
            td.number role="cell" data-label="Requests" { (endpoint.in_flight) }
            td.number role="cell" data-label="Connections" { (endpoint.connections) }
            td.number role="cell" data-label="Weight" {
                (endpoint.weight)
                @if endpoint.warmth < 1.0 { small { " (warming up: " (format!("{:.0} %", endpoint.warmth * 100.0)) ")" } }
            }
            td role="cell" data-label="Last health check" { (probe(endpoint.last_probe.as_ref())) }
            td role="cell" data-label="Last failure" { (failure(endpoint.last_failure.as_ref())) }
        }
    }
}

/// The word of a state with its sign.
pub(super) fn mark(of: EndpointState) -> Markup {
    let (word, sign, class) = state(of);
    html! { span.state.(class) { span aria-hidden="true" { (sign) } " " (word) } }
}

/// Each endpoint as a mark; the first ones.
pub(super) fn marks<'a>(endpoints: impl ExactSizeIterator<Item = (&'a str, EndpointState)>) -> Markup {
    let count = endpoints.len();
    html! {
        @if count == 0 {
            span.state.bad { span aria-hidden="true" { "✕" } " no endpoint" }
        } @else {
            ul.marks {
                @for (endpoint, of) in endpoints.take(MARKS) {
                    @let (word, sign, class) = state(of);
                    li { span.(class) aria-hidden="true" { (sign) } " " code { (endpoint) } span.unseen { " " (word) } }
                }
                @if count > MARKS { li.dim { "and " (count - MARKS) " more" } }
            }
        }
    }
}

fn probe(probe: Option<&ProbeReport>) -> Markup {
    let Some(probe) = probe else { return html! { span.dim { "none" } } };
    let class = if probe.good { "good" } else { "bad" };
    html! {
        span.(class) {
            @match (probe.status, &probe.error) {
                (Some(status), _) => { "status " (status) }
                (None, Some(error)) => (error),
                (None, None) => "no answer"
            }
        }
        small { " in " (format!("{:.0} ms", probe.took_s * 1000.0)) ", " (ago(&probe.at, probe.age_s)) }
    }
}

fn failure(failure: Option<&FailureReport>) -> Markup {
    let Some(failure) = failure else { return html! { span.dim { "none" } } };
    html! {
        @match failure.status {
            Some(status) => { "status " (status) }
            None => code { (failure.cause) }
        }
        small { " " (ago(&failure.at, failure.age_s)) }
    }
}

const MARKS: usize = 6;
