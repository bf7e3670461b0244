//! HTTP/2 cases as data: the client's frames → what must come back, and what the origin must have seen.
//!
//! Each theme is a list of cases, each case cites the rule it holds the router to. A theme runs on one router process;
//! every case has an origin and a host name of its own: `demo.test` is renamed per case, length kept, in all bytes.
//! The origin speaks HTTP/1.1, so that whatever is smuggled shows in its bytes. Floods, and what needs counting, follow.

#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod case;
mod runner;

mod answers;
mod authority;
mod bodies;
mod connections;
mod content_length;
mod continuation;
mod cut_answers;
mod field_blocks;
mod fields;
mod frames;
mod limits;
mod preface;
mod pseudo_fields;
mod settings;
mod streams;
mod web_sockets;
mod windows;

mod endpoints;
mod floods;
mod resources;

use case::Case;

/// Name, cases, and what the router's configuration needs for them.
type Theme = (&'static str, fn() -> Vec<Case>, &'static str);

/// Every theme with the TOML sections its router needs.
const THEMES: [Theme; 18] = [
    ("preface", preface::cases, ""),
    ("silence", preface::silent_cases, preface::IMPATIENT),
    ("frames", frames::cases, ""),
    ("settings", settings::cases, ""),
    ("windows", windows::cases, ""),
    ("streams", streams::cases, ""),
    ("continuation", continuation::cases, ""),
    ("field_blocks", field_blocks::cases, ""),
    ("pseudo_fields", pseudo_fields::cases, ""),
    ("fields", fields::cases, ""),
    ("authority", authority::cases, ""),
    ("content_length", content_length::cases, ""),
    ("bodies", bodies::cases, ""),
    ("answers", answers::cases, ""),
    ("cut_answers", cut_answers::cases, ""),
    ("connections", connections::cases, ""),
    ("limits", limits::cases, limits::CONFIGURATION),
    ("web_sockets", web_sockets::cases, ""),
];

macro_rules! run_themes {
    ($($theme:ident)*) => { $(
        #[test]
        fn $theme() {
            let (name, cases, toml) = THEMES.iter().find(|(name, ..)| *name == stringify!($theme)).expect("listed");
            runner::run(name, &cases(), toml);
        }
    )* };
}

mod theme {
    use super::{THEMES, runner};

    run_themes! {
        preface silence frames settings windows streams continuation field_blocks pseudo_fields fields authority
        content_length bodies answers cut_answers connections limits web_sockets
    }
}

#[test]
fn every_case_has_a_name_of_its_own_and_cites_a_rule() {
    let all: Vec<Case> = THEMES.iter().flat_map(|(_, cases, _)| cases()).collect();
    let mut names: Vec<&str> = all.iter().map(|case| case.name).collect();
    names.sort_unstable();
    for pair in names.windows(2) {
        assert_ne!(pair[0], pair[1], "two cases of one name");
    }
    for case in &all {
        let cites = ["RFC ", "CVE-", "SPEC "].iter().any(|kind| case.cites.contains(kind));
        assert!(cites, "{} cites {:?}", case.name, case.cites);
    }
    assert!(all.len() >= 180, "only {} cases", all.len());
    println!("{} HTTP/2 cases", all.len());
}
