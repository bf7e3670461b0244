//! lainlet says things that are not what they should be.

use webrouter_testkit::{Garbage, Mode, eventually};

use super::{Cluster, NOTICED, SOON};

fn survives(kind: Garbage) {
    let cluster = Cluster::start();
    let before = cluster.router.rss_kib();
    cluster.lainlet.set_mode(Mode::Garbage(kind));
    if kind == Garbage::HugeLine {
        // It is JSON after all, so the guard may be the one that keeps it back.
        eventually(NOTICED, "it is noticed", || {
            !cluster.router.status()["hold"].is_null() || cluster.source()["state"] == "failing"
        });
    } else {
        cluster.assert_failing();
    }
    assert!(cluster.load.proceeds(500, SOON));
    let after = cluster.router.rss_kib();
    println!("{kind:?}: RSS {before} KiB before, {after} KiB after");
    assert!(after < before + 256 * 1024, "memory grew from {before} to {after} KiB");
    cluster.lainlet.set_mode(Mode::Normal);
    cluster.assert_news_arrive("foxtrot", SOON);
    let lines = cluster.router.output().lines().count();
    assert!(lines < 200, "{lines} log lines");
    cluster.assert_unharmed();
}

#[test]
fn not_json() {
    survives(Garbage::NotJson);
}

#[test]
fn frames_cut_short() {
    survives(Garbage::Truncated);
}

#[test]
fn a_line_of_fifty_megabytes() {
    survives(Garbage::HugeLine);
}

/// One entry of another shape is its owner's problem; it may be a rejection, but nothing else may suffer.
#[test]
fn json_of_another_shape() {
    let cluster = Cluster::start();
    cluster.lainlet.set_mode(Mode::Garbage(Garbage::WrongTypes));
    assert!(cluster.load.proceeds(2000, NOTICED));
    cluster.lainlet.set_mode(Mode::Normal);
    cluster.assert_news_arrive("foxtrot", SOON);
    cluster.assert_unharmed();
}

#[test]
fn an_entry_of_another_shape_among_good_ones() {
    let cluster = Cluster::start();
    cluster.lainlet.edit(|procs| {
        procs.insert("alpha.web.web".to_owned(), serde_json::json!({ "PodInfos": "none" }));
        procs.insert("short.web".to_owned(), serde_json::json!({}));
    });
    cluster.assert_news_arrive("foxtrot", SOON);
    cluster.assert_unharmed();
}
