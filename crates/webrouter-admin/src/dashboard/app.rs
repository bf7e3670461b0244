//! One app: what it claims, how its endpoints are, what is served, and what is not taken of it.
//!
//! Each part is one function that draws nothing where there is nothing to show; [`page`] is their order.

use std::collections::BTreeSet;

use maud::{Markup, html};
use webrouter_admin_api::{EndpointView, PolicyKey, Rates, Route, SetBy};
use webrouter_routing::name::ProcKey;
use webrouter_routing::snapshot::Snapshot;

use super::layout::{self, Place};
use super::overview::flag;
use super::words::{breaker, counted, escaped, latency, percent, rate, span};
use super::{chart, endpoints, past, rejections};
use crate::explain::policy_key;
use crate::state::AdminState;
use crate::traffic::Recent;
use crate::view;

/// One proc of the app.
struct Proc<'a> {
    key: &'a ProcKey,
    upstream: &'a str,
    routes: Vec<Route>,
    policy: Vec<PolicyKey>,
    health: webrouter_admin_api::RouteHealth,
}

/// `None` where no source knows the app, and nothing of it is left.
pub(super) fn page(state: &AdminState, recent: &Recent, app: &str) -> Option<Markup> {
    let snapshot = state.discovery.table();
    let procs = procs(state, &snapshot, app);
    let all = view::rejections::rejections(&snapshot, state.certificates.as_deref()).rejections;
    let rejected: Vec<_> =
        all.iter().filter(|rejection| rejections::app_of(&rejection.entry).as_deref() == Some(app)).collect();
    if procs.is_empty() && rejected.is_empty() {
        return None;
    }
    let leaving = view::endpoints::leaving(&state.fleet, app);
    Some(layout::page(
        app,
        Place::Map,
        &html! {
            nav.crumbs aria-label="Where this page is" { a href="/map" { "Map" } " › " span aria-current="page" { (app) } }
            h1 { (app) }
            p { a href=(format!("/doctor/{}", escaped(app))) { "Have the doctor look at it" } }
            section #traffic data-live aria-label="Traffic" { (traffic(recent, &procs)) }
            section #rejected data-live aria-label="Rejections" {
                @if !rejected.is_empty() {
                    h2 { (counted(rejected.len(), "rejection", "rejections")) }
                    (rejections::table(&rejected))
                }
            }
            section #procs data-live aria-label="Procs" {
                @for proc in &procs { (proc_part(recent, proc)) }
                @if !leaving.is_empty() {
                    h2 { "Endpoints that left and serve still" }
                    (endpoints::table("Leaving endpoints", &leaving.iter().collect::<Vec<_>>()))
                }
            }
            section #failures data-live aria-label="Failures" { (past::failures(state, app)) }
            section #past data-live aria-label="Changes" { (past::changes_of(state, app)) }
            section #certificates data-live aria-label="Certificates of its hosts" { (certificates(state, &snapshot, &procs)) }
        },
    ))
}

/// The page of an app that is not there.
pub(super) fn unknown(app: &str) -> Markup {
    layout::page(
        "No such app",
        Place::Map,
        &html! {
            h1 { "No such app" }
            p { "No source tells of an app named " code { (app) } ", and nothing of it is rejected." }
            p { "Search the " a href="/map" { "map" } ", or look at the sources on the " a href="/" { "overview" } "." }
        },
    )
}

fn procs<'a>(state: &AdminState, snapshot: &'a Snapshot, app: &str) -> Vec<Proc<'a>> {
    let of_app = snapshot.procs().filter(|(key, _)| key.name.app() == app);
    let tls = state.certificates.as_deref();
    of_app
        .map(|(key, proc)| {
            let claims = proc.upstream.annotation.mountpoints.iter();
            let owned = claims.filter(|mountpoint| snapshot.owner(mountpoint) == Some(key));
            let routes = owned.filter_map(|mountpoint| snapshot.table().route(mountpoint));
            Proc {
                key,
                upstream: &proc.upstream.name,
                routes: routes.map(|route| view::routes::view(snapshot, tls, route)).collect(),
                policy: snapshot.policy_of(&proc.upstream).into_iter().map(policy_key).collect(),
                health: view::endpoints::route_health(&state.fleet.report_one(&proc.upstream)),
            }
        })
        .collect()
}

fn traffic(recent: &Recent, procs: &[Proc<'_>]) -> Markup {
    let names: BTreeSet<&str> = procs.iter().map(|proc| proc.upstream).collect();
    let series = recent.series(&names.into_iter().collect::<Vec<_>>());
    html! {
        div.charts { (chart::requests(&series)) (chart::latencies(&series)) }
    }
}

fn proc_part(recent: &Recent, proc: &Proc<'_>) -> Markup {
    let endpoints: Vec<&EndpointView> = proc.health.endpoints.iter().collect();
    let health = &proc.health.upstream;
    let quarantined = proc.routes.iter().find_map(|route| route.quarantined.as_ref());
    html! {
        article.proc {
            h2 { (proc.key.name) small { " of " (proc.key.source) } }
            p { "Upstream " code { (proc.upstream) } }
            @if let Some(reason) = quarantined { p.bad { "Quarantined: " (reason) } }
            @if health.fail_open { p.bad { "Fail-open: every endpoint is sick, so all are tried." } }
            @if let Some(what) = breaker(health.breaker) { p.bad { (what) } }
            @if health.queue_length > 0 { p.warn { (health.queue_length) " requests wait for an endpoint." } }
            (rates(&recent.upstream(proc.upstream)))
            h3 { "Mountpoints" }
            (mountpoints(&proc.routes))
            h3 { "Endpoints" }
            @if endpoints.is_empty() {
                p.bad { "None at the moment: requests are answered 503." }
            } @else {
                (endpoints::table("Endpoints", &endpoints))
            }
            (policies(&proc.policy))
        }
    }
}

fn rates(rates: &Rates) -> Markup {
    html! {
        dl.tiles.small {
            div { dt { "Requests" } dd { (rate(rates.requests_per_s)) small { " /s" } } }
            div.bad[rates.errors_per_s > 0.0] { dt { "Errors" } dd { (percent(rates.error_share())) } }
            div { dt { "p50" } dd { (latency(rates.p50_s)) } }
            div { dt { "p90" } dd { (latency(rates.p90_s)) } }
            div { dt { "p99" } dd { (latency(rates.p99_s)) } }
        }
    }
}

fn mountpoints(routes: &[Route]) -> Markup {
    html! {
        @if routes.is_empty() { p.bad { "It owns none: nothing reaches it." } }
        ul.plain { @for route in routes {
            li {
                code { (route.mountpoint) }
                @if route.https_only { " " span.tag { "https only" } }
                @for of_route in &route.flags { " " span.tag.bad { (flag(*of_route)) } }
            }
        } }
    }
}

fn policies(policy: &[PolicyKey]) -> Markup {
    let wished = policy.iter().filter(|key| key.set_by != SetBy::Default).count();
    html! {
        details {
            summary { "Policies (" (wished) " set, " (policy.len() - wished) " default)" }
            table {
                caption.unseen { "Policies in force" }
                thead { tr { @for column in ["Policy", "Value", "Set by"] { th scope="col" { (column) } } } }
                tbody { @for key in policy {
                    tr {
                        th scope="row" { code { (key.key) } }
                        td { (key.value) }
                        td { @match key.set_by {
                            SetBy::Default => span.dim { "default" },
                            SetBy::Annotation => "its annotation",
                            SetBy::Operator => strong { "the operator" }
                        } }
                    }
                } }
            }
        }
    }
}

fn certificates(state: &AdminState, snapshot: &Snapshot, procs: &[Proc<'_>]) -> Markup {
    let Some(tls) = state.certificates.as_deref() else { return html! {} };
    let mountpoints = procs.iter().flat_map(|proc| &proc.routes).map(|route| route.mountpoint.as_str());
    let hosts: BTreeSet<&str> =
        mountpoints.map(|mountpoint| mountpoint.split('/').next().unwrap_or(mountpoint)).collect();
    let (known, _) = view::certificates::view(tls);
    html! {
        h2 #certificates-title { "Certificates" }
        div.scroll role="region" aria-labelledby="certificates-title" tabindex="0" {
            table {
                thead { tr { @for column in ["Host", "Certificate", "Ends", "Problems"] { th scope="col" { (column) } } } }
                tbody { @for host in hosts {
                    @let stem = tls.stem_for(snapshot, host);
                    @let certificate = known.iter().find(|known| Some(&known.stem) == stem.as_ref());
                    tr {
                        th scope="row" { (host) }
                        @match certificate {
                            Some(certificate) => {
                                td { code { (certificate.stem) } }
                                td.warn[certificate.ends_soon] { (ends(certificate.left_s)) }
                                td { @for problem in &certificate.problems {
                                    span.bad { (problem.reason) } "; " (problem.advice) " "
                                } }
                            }
                            None => td.dim colspan="3" { "none serves this host" }
                        }
                    }
                } }
            }
        }
    }
}

fn ends(left_s: Option<f64>) -> String {
    match left_s {
        None => "–".to_owned(),
        Some(left) if left < 0.0 => format!("over for {}", span(-left)),
        Some(left) => format!("in {}", span(left)),
    }
}
