//! The router restarted while lainlet is away: the last good table serves.

use webrouter_testkit::{Load, Mode};

use super::{Cluster, SOON};

/// What a restart may forget.
#[derive(PartialEq, Eq)]
enum Remembers {
    Everything,
    /// The table is stored off the path of an update: a kill right after one may find the table before it.
    AllButTheLastMoment,
}

fn restarted_without_lainlet(remembers: Remembers, restart: impl FnOnce(&mut Cluster)) {
    let mut cluster = Cluster::start();
    // What is served must be what was in force last, not what was first.
    cluster.assert_news_arrive("foxtrot", SOON);
    let idle = Load::start(cluster.router.http(), 0, &[]);
    assert_eq!(std::mem::replace(&mut cluster.load, idle).finish(), Vec::<String>::new());
    restart(&mut cluster);
    cluster.router.wait_ready();
    cluster.load = Cluster::load(&cluster.router);
    assert!(cluster.load.proceeds(500, SOON), "{:?}", cluster.load.failures());
    if remembers == Remembers::Everything {
        let mut client = webrouter_testkit::Client::connect(cluster.router.http());
        assert_eq!(client.get("foxtrot.test", "/").map(|response| response.status), Ok(200));
    }
    cluster.lainlet.set_mode(Mode::Normal);
    cluster.lainlet.up();
    cluster.assert_news_arrive("golf", SOON);
    cluster.assert_unharmed();
}

#[test]
fn stopped_and_started_while_lainlet_is_down() {
    restarted_without_lainlet(Remembers::Everything, |cluster| {
        cluster.lainlet.down();
        cluster.router.restart();
    });
}

#[test]
fn killed_and_started_while_lainlet_is_down() {
    restarted_without_lainlet(Remembers::AllButTheLastMoment, |cluster| {
        cluster.lainlet.down();
        cluster.router.crash_and_restart();
    });
}

#[test]
fn started_while_lainlet_sends_errors() {
    restarted_without_lainlet(Remembers::Everything, |cluster| {
        cluster.lainlet.set_mode(Mode::Error);
        cluster.router.restart();
    });
}

#[test]
fn started_while_lainlet_has_nothing_yet() {
    restarted_without_lainlet(Remembers::Everything, |cluster| {
        cluster.lainlet.set_mode(Mode::Empty);
        cluster.router.restart();
    });
}
