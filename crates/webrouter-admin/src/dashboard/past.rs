//! What was: the requests that failed lately, and the changes of the table.

use maud::{Markup, html};
use serde::Deserialize;
use webrouter_admin_api::{ChangeKind, HistoryEntry, ProcDifference};

use super::layout::{self, Place};
use super::words::{ago, app_path, counted, latency};
use crate::state::AdminState;
use crate::view;

/// Which changes are asked for.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    /// Only those before this one.
    before: Option<u64>,
}

/// The changes of the whole table.
pub(super) fn page(state: &AdminState, asked: &Asked) -> Markup {
    let changes = changes(state, None, asked.before, PER_PAGE);
    layout::page(
        "History",
        Place::History,
        &html! {
            h1 { "History" }
            p { "Every table that was in force, the newest first. Back to one with " code { "webrouter rollback GENERATION" } "." }
            section #changes-list data-live aria-label="Changes" { (changes) }
        },
    )
}

/// The requests of an app that failed lately.
pub(super) fn failures(state: &AdminState, app: &str) -> Markup {
    let failures = view::failures::failures(&state.failures, &view::failures::Filter::of_app(app)).failures;
    html! {
        @if !failures.is_empty() {
            h2 { "Requests that failed" }
            table.cards role="table" {
                caption.unseen { "Requests that failed lately" }
                thead role="rowgroup" {
                    tr role="row" {
                        @for name in ["When", "Status", "Why", "Request", "Took", "Attempts", "Id"] {
                            th scope="col" role="columnheader" { (name) }
                        }
                    }
                }
                tbody role="rowgroup" {
                    @for failure in &failures {
                        tr role="row" {
                            th scope="row" role="rowheader" { (ago(&failure.at, failure.age_s)) }
                            td role="cell" data-label="Status" { (failure.status) }
                            td role="cell" data-label="Why" {
                                code { (failure.cause.as_deref().unwrap_or("app")) } small { " " (failure.meaning) }
                            }
                            td role="cell" data-label="Request" { (failure.method) " " (failure.host) (failure.path) }
                            td.number role="cell" data-label="Took" { (latency(Some(failure.took_s))) }
                            td role="cell" data-label="Attempts" {
                                @for attempt in &failure.attempts { div { code { (attempt.endpoint) } " " (attempt.cause) } }
                            }
                            td role="cell" data-label="Id" { code { (failure.id) } }
                        }
                    }
                }
            }
        }
    }
}

/// The last changes of an app.
pub(super) fn changes_of(state: &AdminState, app: &str) -> Markup {
    html! {
        h2 { "What changed" }
        (changes(state, Some(app), None, OF_AN_APP))
    }
}

fn changes(state: &AdminState, app: Option<&str>, before: Option<u64>, limit: usize) -> Markup {
    let Ok(entries) = state.discovery.history(app, before, limit) else {
        return html! { p.dim { "The history cannot be read: see " code { "webrouter history" } "." } };
    };
    let last = entries.last().filter(|_| app.is_none() && entries.len() == limit).map(|last| last.id);
    let entries: Vec<HistoryEntry> = entries.iter().map(|entry| view::history::entry(entry, app)).collect();
    html! {
        @if entries.is_empty() { p.dim { "Nothing is kept of it." } }
        ol.plain.history {
            @for entry in &entries {
                li {
                    strong { "Generation " (entry.generation) } " " time datetime=(entry.at) { (entry.at) } " – " (entry.why)
                    ul { @for change in &entry.changes { li { (changed(change)) } } }
                    @if entry.more > 0 { p.dim { "and " (counted(entry.more, "proc", "procs")) " more" } }
                }
            }
        }
        @if let Some(last) = last { p { a href=(format!("/history?before={last}")) { "Older" } } }
    }
}

fn changed(change: &ProcDifference) -> Markup {
    let word = match change.change {
        ChangeKind::Added => "came",
        ChangeKind::Removed => "went",
        ChangeKind::Changed => "changed",
    };
    let signed = [
        ("+", &change.routes_added),
        ("−", &change.routes_removed),
        ("+", &change.endpoints_added),
        ("−", &change.endpoints_removed),
    ];
    html! {
        a href=(app_path(&change.app)) { (change.entry) } " " (word) small { " by " (change.source) }
        @for (sign, things) in signed { @for thing in things { " " span.change { (sign) code { (thing) } } } }
        @for policy in &change.policies { " " code { (policy) } }
    }
}

const PER_PAGE: usize = 50;
const OF_AN_APP: usize = 10;
