//! What is not taken, why, and what its owner can do.

use maud::{Markup, html};
use webrouter_admin_api::Rejection;
use webrouter_routing::name::ProcName;

use super::layout::{self, Place};
use super::list::Asked;
use super::words::{app_path, counted};
use crate::state::AdminState;
use crate::view;

pub(super) fn page(state: &AdminState, asked: &Asked) -> Markup {
    let snapshot = state.discovery.table();
    let all = view::rejections::rejections(&snapshot, state.certificates.as_deref()).rejections;
    let words = asked.words();
    let found = asked.page_of(all.iter().filter(|rejection| matches(rejection, &words)));
    layout::page(
        "Rejections",
        Place::Rejections,
        &html! {
            h1 { "Rejections" }
            p.lead { "Entries, or parts of them, that are not taken. Each hurts its owner alone." }
            (asked.search("/rejections", "Search the rejections", "entry, kind or reason"))
            section #results data-live aria-label="Rejections" {
                p role="status" {
                    (counted(found.total, "rejection", "rejections"))
                    @if !asked.is_all() { " found, of " (all.len()) }
                    ", generation " (snapshot.generation())
                }
                @if found.rows.is_empty() {
                    p.well { @if all.is_empty() { "Everything that the sources say is taken." } @else { "Nothing matches." } }
                } @else {
                    (table(&found.rows))
                }
                (asked.pages("/rejections", &found))
            }
        },
    )
}

/// Each with its advice; on a phone, one card for each.
pub(super) fn table(rejections: &[&Rejection]) -> Markup {
    html! {
        table.cards role="table" {
            caption.unseen { "Rejections" }
            thead role="rowgroup" {
                tr role="row" {
                    @for column in ["Entry", "Kind", "What is wrong", "What to do"] {
                        th scope="col" role="columnheader" { (column) }
                    }
                }
            }
            tbody role="rowgroup" { @for rejection in rejections { (row(rejection)) } }
        }
    }
}

fn row(rejection: &Rejection) -> Markup {
    html! {
        tr role="row" {
            th scope="row" role="rowheader" {
                @match app_of(&rejection.entry) {
                    Some(app) => a href=(app_path(&app)) { (rejection.entry) },
                    None => (rejection.entry)
                }
                small { " of " (rejection.source) }
            }
            td role="cell" data-label="Kind" { code { (rejection.kind) } }
            td role="cell" data-label="What is wrong" {
                (rejection.reason)
                @if let Some(app) = rejection.owner.as_ref().and_then(|owner| app_of(&owner.entry)) {
                    " (" a href=(app_path(&app)) { "the owner's page" } ")"
                }
            }
            td role="cell" data-label="What to do" { (rejection.advice) }
        }
    }
}

/// The app that an entry is of, where it has a proper name.
pub(super) fn app_of(entry: &str) -> Option<String> {
    ProcName::parse(entry).ok().map(|name| name.app().to_owned())
}

fn matches(rejection: &Rejection, words: &[String]) -> bool {
    let Rejection { entry, kind, reason, source, .. } = rejection;
    let text = format!("{entry} {kind} {reason} {source}").to_lowercase();
    words.iter().all(|word| text.contains(word.as_str()))
}
