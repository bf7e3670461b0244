use std::time::{Duration, Instant};

use webrouter_discovery::status::{HoldDecision, SourceState, TableFrom};
use webrouter_discovery::{Discovery, StartError};
use webrouter_routing::mountpoint::Mountpoint;
use webrouter_testkit::Mode;

use crate::scene::{config, eventually, gone, is, key, lainlet, ready, routes, source, stored_in};

#[tokio::test]
async fn the_last_good_table_serves_while_lainlet_is_down() {
    let directory = tempfile::tempdir().expect("a folder");
    let lainlet = lainlet(&["a", "b"]);
    lainlet.set_config("ssl", Some(r#"{"*.lain":"web"}"#));
    let discovery = ready(stored_in(config(&lainlet), directory.path())).await;
    let generation = discovery.table().generation();
    discovery.stop().await;
    lainlet.down();

    let started = Instant::now();
    let discovery = ready(stored_in(config(&lainlet), directory.path())).await;
    assert!(started.elapsed() < Duration::from_millis(1200), "{:?}", started.elapsed());
    assert_eq!(routes(&discovery), "a.lain b.lain");
    assert_eq!(discovery.table().generation(), generation);
    assert_eq!(discovery.table().certificates().stems("a.lain").next(), Some("web"));
    assert!(matches!(discovery.status().table_from, TableFrom::LastGood { .. }));
    assert_eq!(source(&discovery).state, SourceState::Failing);

    lainlet.set_app(&key("c"), &["c.lain"], &[gone(3)]);
    lainlet.up();
    eventually("c is routed", || routes(&discovery) == "a.lain b.lain c.lain").await;
    eventually("the source is told", || discovery.status().table_from == TableFrom::Source).await;
    eventually("it is followed", || is(&discovery, SourceState::Following)).await;
    discovery.stop().await;
}

#[tokio::test]
async fn a_silent_lainlet_does_not_keep_the_last_good_table_from_serving() {
    let directory = tempfile::tempdir().expect("a folder");
    let lainlet = lainlet(&["a"]);
    ready(stored_in(config(&lainlet), directory.path())).await.stop().await;
    for mode in [Mode::HalfOpen(webrouter_testkit::Gets::Hang), Mode::Error, Mode::Empty] {
        lainlet.set_mode(mode);
        let discovery = ready(stored_in(config(&lainlet), directory.path())).await;
        assert_eq!(routes(&discovery), "a.lain", "{mode:?}");
        discovery.stop().await;
    }
}

#[tokio::test]
async fn who_claimed_first_is_remembered() {
    let directory = tempfile::tempdir().expect("a folder");
    let lainlet = lainlet(&["z"]);
    let owner = |discovery: &Discovery| {
        let table = discovery.table();
        table.owner(&Mountpoint::parse("z.lain").expect("a mountpoint")).map(|owner| owner.name.to_string())
    };
    let discovery = ready(stored_in(config(&lainlet), directory.path())).await;
    lainlet.set_app(&key("m"), &["z.lain"], &[gone(2)]);
    eventually("the rejection of m", || discovery.table().rejections().len() == 1).await;
    discovery.stop().await;
    // One more comes while nobody looks, and stands first in the alphabet.
    lainlet.set_app(&key("a"), &["z.lain"], &[gone(3)]);
    let discovery = ready(stored_in(config(&lainlet), directory.path())).await;
    eventually("both rejections", || discovery.table().rejections().len() == 2).await;
    assert_eq!(owner(&discovery), Some(key("z")));
    // In the order they came: m is next.
    lainlet.remove(&key("z"));
    eventually("m has it", || owner(&discovery) == Some(key("m"))).await;
    discovery.stop().await;
}

#[tokio::test]
async fn an_app_without_pods_keeps_its_route_over_a_restart() {
    let directory = tempfile::tempdir().expect("a folder");
    let lainlet = lainlet(&["a", "b"]);
    ready(stored_in(config(&lainlet), directory.path())).await.stop().await;
    lainlet.set_raw(&key("b"), serde_json::json!({ "PodInfos": null }));
    let discovery = ready(stored_in(config(&lainlet), directory.path())).await;
    eventually("b has no endpoint", || discovery.table().endpoint_count() == 1).await;
    assert_eq!(routes(&discovery), "a.lain b.lain");
    discovery.stop().await;
}

#[tokio::test]
async fn two_instances_do_not_share_a_state_folder() {
    let directory = tempfile::tempdir().expect("a folder");
    let lainlet = lainlet(&["a"]);
    let first = ready(stored_in(config(&lainlet), directory.path())).await;
    let second = Discovery::start(stored_in(config(&lainlet), directory.path())).await;
    assert!(matches!(second.err(), Some(StartError::StateInUse { .. })));
    first.stop().await;
}

#[tokio::test]
async fn a_state_folder_that_cannot_be_used_does_not_touch_traffic() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let lainlet = lainlet(&["a"]);
    let discovery = ready(stored_in(config(&lainlet), file.path())).await;
    assert_eq!(routes(&discovery), "a.lain");
    assert!(discovery.status().store_error.is_some());
    discovery.stop().await;
}

#[tokio::test]
async fn a_first_word_that_is_not_believed_leaves_the_last_good_table() {
    let directory = tempfile::tempdir().expect("a folder");
    let lainlet = lainlet(&["a", "b", "c", "d", "e"]);
    ready(stored_in(config(&lainlet), directory.path())).await.stop().await;
    lainlet.edit(|procs| procs.retain(|name, _| name.starts_with('a')));
    let discovery = ready(stored_in(config(&lainlet), directory.path())).await;
    eventually("a hold", || discovery.status().hold.is_some()).await;
    assert_eq!(routes(&discovery), "a.lain b.lain c.lain d.lain e.lain");
    assert!(matches!(discovery.status().table_from, TableFrom::LastGood { .. }));
    discovery.resolve_hold(HoldDecision::Accept, None).await.expect("there is a hold");
    assert_eq!((routes(&discovery).as_str(), discovery.status().table_from), ("a.lain", TableFrom::Source));
    discovery.stop().await;
}
