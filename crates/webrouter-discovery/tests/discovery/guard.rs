use std::time::{Duration, SystemTime};

use webrouter_discovery::status::{HoldDecision, HoldError};
use webrouter_testkit::Lainlet;

use crate::scene::{config, eventually, gone, key, lainlet, ready, routes, source};

const ALL: &str = "a.lain b.lain c.lain d.lain e.lain";

#[tokio::test]
async fn a_halved_table_is_held_until_it_is_accepted() {
    let lainlet = lainlet(&["a", "b", "c", "d", "e"]);
    let discovery = ready(config(&lainlet)).await;
    lainlet.edit(|procs| procs.retain(|name, _| name.starts_with('a')));
    eventually("a hold", || discovery.status().hold.is_some()).await;
    let hold = discovery.status().hold.expect("held");
    assert_eq!((hold.routes_before, hold.routes_after), (5, 1));
    assert!(hold.applies_at.is_some());
    assert_eq!(hold.procs, [key("b"), key("c"), key("d"), key("e")]);
    assert_eq!(routes(&discovery), ALL);
    let wrong = discovery.resolve_hold(HoldDecision::Accept, Some(hold.id + 1)).await;
    assert_eq!(wrong, Err(HoldError::NoSuchHold(hold.id + 1)));
    discovery.resolve_hold(HoldDecision::Accept, Some(hold.id)).await.expect("there is a hold");
    assert_eq!(routes(&discovery), "a.lain");
    assert_eq!(discovery.status().hold, None);
    assert_eq!(discovery.resolve_hold(HoldDecision::Accept, None).await, Err(HoldError::NothingHeld));
}

#[tokio::test]
async fn an_update_that_takes_most_away_is_held_for_the_grace() {
    let lainlet = lainlet(&["a", "b", "c", "d", "e"]);
    let mut config = config(&lainlet);
    config.guard.grace = Duration::from_millis(600);
    let discovery = ready(config).await;
    lainlet.edit(|procs| procs.retain(|name, _| name.starts_with('a')));
    eventually("a hold", || discovery.status().hold.is_some()).await;
    assert_eq!(routes(&discovery), ALL);
    eventually("the grace is over", || routes(&discovery) == "a.lain").await;
    assert_eq!(discovery.status().hold, None);
}

#[tokio::test]
async fn a_refused_update_stays_out_until_the_source_says_something_else() {
    let lainlet = lainlet(&["a", "b", "c", "d", "e"]);
    let mut config = config(&lainlet);
    config.guard.grace = Duration::from_millis(300);
    let discovery = ready(config).await;
    let mut all = serde_json::Map::new();
    lainlet.edit(|procs| {
        all = procs.clone();
        procs.retain(|name, _| name.starts_with('a'));
    });
    eventually("a hold", || discovery.status().hold.is_some()).await;
    discovery.resolve_hold(HoldDecision::Refuse, None).await.expect("there is a hold");
    let after_the_grace = SystemTime::now() + Duration::from_millis(600);
    let says_the_same = || source(&discovery).last_news_at.is_some_and(|at| at > after_the_grace);
    eventually("the source says the same after the grace", says_the_same).await;
    assert_eq!(routes(&discovery), ALL);
    assert_eq!(discovery.status().hold.expect("still held").applies_at, None);
    lainlet.edit(|procs| *procs = all);
    eventually("the hold is over", || discovery.status().hold.is_none()).await;
    assert_eq!(routes(&discovery), ALL);
}

#[tokio::test]
async fn an_app_that_still_answers_is_kept_until_it_does_not() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let alive = listener.local_addr().expect("bound");
    let lainlet = lainlet(&["a", "b", "c"]);
    lainlet.set_app(&key("d"), &["d.lain"], &[alive]);
    let mut config = config(&lainlet);
    config.guard.recheck = Duration::from_millis(100);
    let discovery = ready(config).await;
    lainlet.edit(|procs| {
        procs.remove(&key("d"));
        procs.remove(&key("c"));
        procs.insert(key("e"), Lainlet::entry(&["e.lain"], &[gone(5)]));
    });
    eventually("a hold of d alone", || discovery.status().hold.is_some_and(|hold| hold.procs == [key("d")])).await;
    eventually("c is gone", || routes(&discovery) == "a.lain b.lain d.lain e.lain").await;
    drop(listener);
    eventually("d is gone", || routes(&discovery) == "a.lain b.lain e.lain").await;
    assert_eq!(discovery.status().hold, None);
}

#[tokio::test]
async fn of_two_holds_the_one_that_is_meant_must_be_named() {
    let lainlet = lainlet(&["a", "b", "c", "d", "e"]);
    let discovery = ready(config(&lainlet)).await;
    lainlet.edit(|procs| procs.retain(|name, _| name.starts_with(['a', 'b'])));
    eventually("a hold", || discovery.status().hold.is_some()).await;
    let first = discovery.status().hold.expect("held").id;
    discovery.resolve_hold(HoldDecision::Refuse, None).await.expect("there is one hold");
    lainlet.edit(|procs| procs.retain(|name, _| name.starts_with('a')));
    eventually("a hold of b", || discovery.status().hold.is_some_and(|hold| hold.procs == [key("b")])).await;
    let second = discovery.status().hold.expect("held").id;
    let unnamed = discovery.resolve_hold(HoldDecision::Accept, None).await;
    assert_eq!(unnamed, Err(HoldError::SeveralHolds(vec![second, first])));
    discovery.resolve_hold(HoldDecision::Accept, Some(second)).await.expect("it waits");
    assert_eq!(routes(&discovery), "a.lain c.lain d.lain e.lain");
    discovery.resolve_hold(HoldDecision::Accept, None).await.expect("the refused one is left");
    assert_eq!(routes(&discovery), "a.lain");
}
