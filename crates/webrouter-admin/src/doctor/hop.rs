//! Verdicts in the making.

use webrouter_admin_api::{Hop, HopKind, HopVerdict};

pub(super) fn ok(kind: HopKind, evidence: Vec<String>) -> Hop {
    hop(kind, HopVerdict::Ok, evidence, None)
}

pub(super) fn broken(kind: HopKind, evidence: Vec<String>, advice: impl Into<String>) -> Hop {
    hop(kind, HopVerdict::Broken, evidence, Some(advice.into()))
}

pub(super) fn unknown(kind: HopKind, evidence: Vec<String>, advice: impl Into<String>) -> Hop {
    hop(kind, HopVerdict::Unknown, evidence, Some(advice.into()))
}

pub(super) fn skipped(kind: HopKind, why: impl Into<String>) -> Hop {
    hop(kind, HopVerdict::Skipped, vec![why.into()], None)
}

fn hop(kind: HopKind, verdict: HopVerdict, evidence: Vec<String>, advice: Option<String>) -> Hop {
    Hop { kind, entry: None, source: None, verdict, evidence, advice }
}

/// The first items, and how many more there are.
pub(super) fn listed(items: impl IntoIterator<Item = String>) -> String {
    let items: Vec<String> = items.into_iter().collect();
    let mut text = items.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join(", ");
    if items.len() > LISTED {
        text.push_str(&format!(" and {} more", items.len() - LISTED));
    }
    text
}

/// A text of somebody else, escaped and shortened.
pub(super) fn foreign(text: &str) -> String {
    text.chars().take(FOREIGN).flat_map(char::escape_debug).collect()
}

const LISTED: usize = 100;
const FOREIGN: usize = 200;
