//! Wire cases as data: the client's bytes → what the origin must see → the origin's bytes → the client's bytes.
//!
//! Each theme is a list of cases, each case cites the rule it holds the router to. A theme runs on one router
//! process; every case has an origin and host names of its own: `demo.test` (a root mountpoint) and
//! `path.test/demo` (a mountpoint with a path) are renamed per case, length kept, in all bytes.

#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod case;
mod runner;

mod chunks;
mod content_length;
mod expect_continue;
mod forwarded_headers;
mod header_fields;
mod hop_by_hop;
mod host;
mod http10;
mod limits;
mod pipelining;
mod redirects;
mod request_line;
mod responses;
mod targets_and_paths;
mod transfer_encoding;
mod upgrades;

use case::Case;

/// Name, cases, and what the router's configuration needs for them.
type Theme = (&'static str, fn() -> Vec<Case>, &'static str);

/// Every theme with the TOML sections its router needs.
const THEMES: [Theme; 18] = [
    ("request_line", request_line::cases, ""),
    ("header_fields", header_fields::cases, ""),
    ("host", host::cases, ""),
    ("content_length", content_length::cases, ""),
    ("transfer_encoding", transfer_encoding::cases, ""),
    ("chunks", chunks::cases, ""),
    ("targets_and_paths", targets_and_paths::cases, ""),
    ("redirects", redirects::cases, ""),
    ("forwarded_headers", forwarded_headers::cases, ""),
    ("untrusted_peer", forwarded_headers::untrusted_cases, forwarded_headers::UNTRUSTED),
    ("hop_by_hop", hop_by_hop::cases, ""),
    ("responses", responses::cases, ""),
    ("pipelining", pipelining::cases, ""),
    ("expect_continue", expect_continue::cases, ""),
    ("upgrades", upgrades::cases, ""),
    ("http10", http10::cases, ""),
    ("limits", limits::cases, limits::CONFIGURATION),
    ("raised_limits", limits::raised_cases, limits::RAISED),
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
        request_line header_fields host content_length transfer_encoding chunks targets_and_paths redirects
        forwarded_headers untrusted_peer hop_by_hop responses pipelining expect_continue upgrades http10 limits raised_limits
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
    assert!(all.len() >= 120, "only {} cases", all.len());
    println!("{} wire cases", all.len());
}
