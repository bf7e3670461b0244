//! The map: host → path → upstream → endpoints.

use std::fmt::Write;
use std::sync::Arc;

use maud::{Markup, html};
use webrouter_routing::route::Route;
use webrouter_routing::snapshot::Snapshot;

use super::endpoints::marks;
use super::layout::{self, Place};
use super::list::{Asked, Found};
use super::overview::flag;
use super::words::{app_path, breaker, counted};
use crate::state::AdminState;
use crate::view;

pub(super) fn page(state: &AdminState, asked: &Asked) -> Markup {
    let snapshot = state.discovery.table();
    let words = asked.words();
    let found = asked.page_of(search(&snapshot, &words));
    layout::page(
        "Map",
        Place::Map,
        &html! {
            h1 { "Map" }
            p.lead { "Which host and path goes to which upstream, and its endpoints." }
            (asked.search("/map", "Search the routes", "host, path, app or endpoint"))
            section #results data-live aria-label="Routes" {
                p role="status" {
                    (counted(found.total, "route", "routes"))
                    @if !asked.is_all() { " found, of " (snapshot.route_count()) }
                    ", generation " (snapshot.generation())
                }
                @if found.rows.is_empty() {
                    p.dim { @if asked.is_all() { "No route is in force." } @else { "Nothing matches." } }
                } @else {
                    (table(state, &snapshot, &found))
                }
                (asked.pages("/map", &found))
            }
        },
    )
}

/// The routes in which every word is found.
fn search<'a>(snapshot: &'a Snapshot, words: &'a [String]) -> impl Iterator<Item = &'a Arc<Route>> {
    let mut text = String::new();
    snapshot.routes().filter(move |route| {
        if words.is_empty() {
            return true;
        }
        text.clear();
        // Writing to a String does not fail. What a route has is in small letters but for the path and the names.
        let _ = write!(text, "{} {} {}", route.mountpoint, route.upstream.proc.name, route.upstream.name);
        for endpoint in route.upstream.endpoints.iter() {
            let _ = write!(text, " {endpoint}");
        }
        text.make_ascii_lowercase();
        words.iter().all(|word| text.contains(word.as_str()))
    })
}

fn table(state: &AdminState, snapshot: &Snapshot, found: &Found<&Arc<Route>>) -> Markup {
    html! {
        table.cards.map role="table" {
            caption.unseen { "The routes by host" }
            thead role="rowgroup" {
                tr role="row" {
                    @for column in ["Host", "Path", "Upstream", "Endpoints"] { th scope="col" role="columnheader" { (column) } }
                }
            }
            @for of_host in found.rows.chunk_by(|a, b| a.mountpoint.host() == b.mountpoint.host()) {
                tbody role="rowgroup" {
                    @for (nth, route) in of_host.iter().enumerate() { (row(state, snapshot, route, nth, of_host.len())) }
                }
            }
        }
    }
}

fn row(state: &AdminState, snapshot: &Snapshot, route: &Route, nth: usize, of: usize) -> Markup {
    let told = view::routes::view(snapshot, state.certificates.as_deref(), route);
    let health = view::endpoints::route_health(&state.fleet.report_one(&route.upstream));
    html! {
        tr role="row" {
            @if nth == 0 {
                th.host scope="rowgroup" role="rowheader" rowspan=(of) { (route.mountpoint.host()) }
            }
            td role="cell" data-label="Path" { code { "/" (route.mountpoint.path().trim_start_matches('/')) } }
            td role="cell" data-label="Upstream" {
                a href=(app_path(&told.app)) { (told.app) } span.dim { " · " (told.proc) }
                @if told.https_only { " " span.tag { "https only" } }
                @for of_route in &told.flags { " " span.tag.bad { (flag(*of_route)) } }
                @if health.upstream.fail_open { " " span.tag.bad { "fail-open" } }
                @if let Some(what) = breaker(health.upstream.breaker) { " " span.tag.bad { (what) } }
            }
            td role="cell" data-label="Endpoints" {
                (marks(health.endpoints.iter().map(|endpoint| (endpoint.endpoint.as_str(), endpoint.state))))
            }
        }
    }
}
