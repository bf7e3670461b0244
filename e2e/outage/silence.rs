//! lainlet away, hanging, sick or deaf.

use webrouter_testkit::{Gets, Mode, eventually};

use super::{Cluster, NOTICED, SOON};

#[test]
fn lainlet_killed_and_back() {
    let cluster = Cluster::start();
    cluster.lainlet.down();
    cluster.assert_failing();
    assert!(cluster.load.proceeds(500, SOON));
    assert_eq!(cluster.router.admin_get("/readyz").0, 200, "a router with a table stays ready");
    cluster.lainlet.up();
    cluster.assert_news_arrive("foxtrot", SOON);
    eventually(SOON, "the source is followed again", || cluster.source()["state"] == "following");
    cluster.assert_unharmed();
}

#[test]
fn lainlet_restarted_daily() {
    let cluster = Cluster::start();
    for round in 0..5 {
        cluster.lainlet.down();
        cluster.lainlet.up();
        cluster.assert_news_arrive(&format!("round{round}"), SOON);
    }
    cluster.assert_unharmed();
}

#[test]
fn lainlet_half_open() {
    let cluster = Cluster::start();
    cluster.lainlet.set_mode(Mode::HalfOpen(Gets::Hang));
    cluster.assert_failing();
    assert!(cluster.load.proceeds(500, SOON));
    cluster.lainlet.set_mode(Mode::Normal);
    cluster.assert_news_arrive("foxtrot", NOTICED);
    cluster.assert_unharmed();
}

#[test]
fn watches_half_open_while_get_answers() {
    let cluster = Cluster::start();
    cluster.lainlet.set_mode(Mode::HalfOpen(Gets::Answer));
    // The periodic GET is the truth.
    cluster.assert_news_arrive("foxtrot", NOTICED);
    cluster.lainlet.set_mode(Mode::Normal);
    cluster.assert_news_arrive("golf", NOTICED);
    cluster.assert_unharmed();
}

#[test]
fn lainlet_sends_errors_and_is_not_hammered() {
    let cluster = Cluster::start();
    cluster.lainlet.set_mode(Mode::Error);
    cluster.assert_failing();
    let before = cluster.lainlet.requests().len();
    assert!(cluster.load.proceeds(3000, NOTICED));
    let asked = cluster.lainlet.requests().len() - before;
    assert!(asked < 200, "{asked} requests while lainlet was sick");
    let said = cluster.source().to_string();
    assert!(said.contains("over half of the containers lost their IPs"), "{said}");
    cluster.lainlet.set_mode(Mode::Normal);
    cluster.assert_news_arrive("foxtrot", SOON);
    cluster.assert_unharmed();
}

#[test]
fn a_deaf_watch_is_found_by_the_periodic_get() {
    let cluster = Cluster::start();
    eventually(SOON, "a watch is open", || cluster.lainlet.watches() > 0);
    cluster.lainlet.set_mode(Mode::Deaf);
    cluster.assert_news_arrive("foxtrot", NOTICED);
    cluster.lainlet.set_mode(Mode::Normal);
    cluster.assert_news_arrive("golf", NOTICED);
    cluster.assert_unharmed();
}

#[test]
fn a_dropped_event_is_found_by_the_periodic_get() {
    let cluster = Cluster::start();
    cluster.lainlet.set_mode(Mode::DropEvents);
    cluster.assert_news_arrive("foxtrot", NOTICED);
    cluster.assert_unharmed();
}
