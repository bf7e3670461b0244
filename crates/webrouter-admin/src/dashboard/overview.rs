//! The first page: is all well, how much is served, who is unwell.

use maud::{Markup, html};
use webrouter_admin_api::{Rates, RouteFlag, Source, SourceState, Status, TableFrom};

use super::alarms::{self, upstream};
use super::layout::{self, Place};
use super::words::{ago, count, counted, latency, percent, rate, span};
use super::{chart, endpoints};
use crate::state::AdminState;
use crate::traffic::Recent;
use crate::view;

pub(super) fn page(state: &AdminState, recent: &Recent) -> Markup {
    let status = view::status::status(state);
    let unwell = view::endpoints::unwell(&state.discovery.table(), &state.fleet);
    let total = recent.total();
    let series = recent.total_series();
    layout::page(
        "Overview",
        Place::Overview,
        &html! {
            h1 { "Overview" }
            section #alarms data-live aria-label="What needs attention" { (alarms::list(&alarms::alarms(&status), &status)) }
            section #numbers data-live aria-label="Numbers" { (tiles(&status, &total)) }
            section #charts.charts data-live aria-label="The last five minutes" {
                (chart::requests(&series))
                (chart::latencies(&series))
            }
            section #busiest data-live aria-labelledby="busiest-title" { (busiest(recent)) }
            section #unwell data-live aria-label="Endpoints that are not well" {
                @if !unwell.endpoints.is_empty() {
                    h2 { "Endpoints that are sick or drain" }
                    (by_upstream(&unwell.endpoints))
                    @if unwell.total > unwell.endpoints.len() {
                        p { "And " (count(unwell.total - unwell.endpoints.len())) " more." }
                    }
                }
            }
            section #sources data-live aria-labelledby="sources-title" { (sources(&status)) }
            section #listeners data-live aria-labelledby="listeners-title" { (listeners(&status)) }
            section #happened hidden aria-labelledby="happened-title" {
                h2 #happened-title { "Changes since this page was opened" }
                ol #changes {}
            }
        },
    )
}

fn tiles(status: &Status, total: &Rates) -> Markup {
    let up = status.endpoints_by_state.iter();
    let states = up.filter(|(_, count)| **count > 0).map(|(state, number)| (super::words::state(*state), *number));
    let from = match status.table_from {
        TableFrom::Source => "from its sources",
        TableFrom::LastGood => "in part from disk",
    };
    html! {
        dl.tiles {
            div { dt { "Requests" } dd { (rate(total.requests_per_s)) small { " /s" } } }
            div.bad[total.errors_per_s > 0.0] {
                dt { "Errors" }
                dd { (percent(total.error_share())) }
            }
            div { dt { "Latency p50" } dd { (latency(total.p50_s)) } }
            div { dt { "Latency p99" } dd { (latency(total.p99_s)) } }
            div {
                dt { "Generation" }
                dd { (status.generation) }
                dd.note { "applied " (ago(&status.applied_at, age_of(status))) ", " (from) }
            }
            div {
                dt { "Routes" }
                dd { a href="/map" { (count(status.routes)) } }
                dd.note { "of " (counted(status.procs, "proc", "procs")) }
            }
            div {
                dt { "Endpoints" }
                dd { (count(status.endpoints)) }
                dd.note {
                    @for ((word, sign, class), number) in states {
                        span.(class) aria-hidden="true" { (sign) } " " (count(number)) " " (word) " "
                    }
                }
            }
            div.warn[status.rejections > 0] {
                dt { "Rejections" }
                dd { a href="/rejections" { (count(status.rejections)) } }
                dd.note { "entries, or parts, not taken" }
            }
            div { dt { "Up" } dd { (span(status.uptime_s)) } dd.note { "version " (status.version) } }
        }
    }
}

/// Since the table in force was applied; as far as the clock tells.
fn age_of(status: &Status) -> f64 {
    let at: Option<jiff::Timestamp> = status.applied_at.parse().ok();
    at.map_or(0.0, |at| jiff::Timestamp::now().duration_since(at).as_secs_f64().max(0.0))
}

fn busiest(recent: &Recent) -> Markup {
    let mut upstreams = recent.upstreams(|_| true);
    upstreams.sort_by(|(_, a), (_, b)| b.requests_per_s.total_cmp(&a.requests_per_s));
    html! {
        h2 #busiest-title { "Busiest upstreams" }
        @if upstreams.is_empty() {
            p.dim { "No request in the last seconds." }
        } @else {
            div.scroll role="region" aria-labelledby="busiest-title" tabindex="0" {
                table {
                    thead { tr {
                        th scope="col" { "Upstream" }
                        @for column in ["Requests /s", "Errors", "p50", "p90", "p99"] { th.number scope="col" { (column) } }
                    } }
                    tbody { @for (name, rates) in upstreams.iter().take(BUSIEST) {
                        tr {
                            th scope="row" { (upstream(name)) }
                            td.number { (rate(rates.requests_per_s)) }
                            td.number.bad[rates.errors_per_s > 0.0] { (percent(rates.error_share())) }
                            td.number { (latency(rates.p50_s)) }
                            td.number { (latency(rates.p90_s)) }
                            td.number { (latency(rates.p99_s)) }
                        }
                    } }
                }
            }
        }
    }
}

fn by_upstream(unwell: &[webrouter_admin_api::EndpointView]) -> Markup {
    html! {
        @for group in unwell.chunk_by(|a, b| a.upstream == b.upstream && a.source == b.source) {
            @if let Some(first) = group.first() { h3 { (upstream(&first.upstream)) } }
            (endpoints::table("Endpoints that are not well", &group.iter().collect::<Vec<_>>()))
        }
    }
}

fn sources(status: &Status) -> Markup {
    html! {
        h2 #sources-title { "Sources" }
        div.scroll role="region" aria-labelledby="sources-title" tabindex="0" {
            table {
                thead { tr { @for column in ["Source", "State", "Last news", "Last error"] { th scope="col" { (column) } } } }
                tbody { @for one in &status.sources { (source(one)) } }
            }
        }
    }
}

fn source(source: &Source) -> Markup {
    let (word, sign, class) = match source.state {
        SourceState::Connecting => ("connecting", "○", "dim"),
        SourceState::Following => ("following", "●", "good"),
        SourceState::Failing => ("failing", "✕", "bad"),
    };
    html! {
        tr {
            th scope="row" { (source.name) " " code { (source.target) } }
            td {
                span.state.(class) { span aria-hidden="true" { (sign) } " " (word) } small { " for " (span(source.since_s)) }
            }
            td { @match (&source.last_news_at, source.last_news_age_s) {
                (Some(at), Some(age)) => (ago(at, age)),
                _ => span.dim { "never" }
            } }
            td { @match &source.last_error {
                Some(error) => { code { (error.kind) } " " (error.message) small { " at " (error.at) } }
                None => span.dim { "none" }
            } }
        }
    }
}

fn listeners(status: &Status) -> Markup {
    html! {
        h2 #listeners-title { "Listeners" }
        ul.plain { @for listener in &status.listeners {
            li {
                code { (listener.address) }
                @if listener.tls { " TLS" }
                @if listener.scope == webrouter_admin_api::ListenerScope::External { " external hosts only" }
            }
        } }
        @if let Some(folder) = &status.certificate_folder {
            @let in_force = status.certificates.iter().filter(|certificate| certificate.in_force).count();
            p { (counted(in_force, "certificate", "certificates")) " in force, from " code { (folder.folder) } "." }
        }
    }
}

/// What an operator should know of a route, in words.
pub(super) fn flag(flag: RouteFlag) -> &'static str {
    match flag {
        RouteFlag::NoEndpoint => "no endpoint: answered 503",
        RouteFlag::Quarantined => "quarantined: its last good version is in force",
        RouteFlag::HttpsNotServed => "https is wished, but no certificate serves the host",
    }
}

const BUSIEST: usize = 10;
