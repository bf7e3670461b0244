//! Updates that would take away too much are held, and an operator decides.

use std::process::Command;

use webrouter_testkit::{Client, Mode, eventually};

use super::{Cluster, NAMES, NOTICED, SOON};

fn hold(cluster: &Cluster, decision: &str) {
    let output = Command::new(env!("CARGO_BIN_EXE_webrouter"))
        .args(["hold", decision, "--admin", &cluster.router.admin().to_string()])
        .output()
        .expect("the binary runs");
    assert!(output.status.success(), "{output:?}");
}

fn held(cluster: &Cluster) -> bool {
    !cluster.router.status()["hold"].is_null()
}

fn serves(cluster: &Cluster, name: &str) -> bool {
    let answer = Client::connect(cluster.router.http()).get(&format!("{name}.test"), "/");
    answer.is_ok_and(|response| response.status == 200)
}

#[test]
fn an_empty_answer_takes_nothing_away() {
    let cluster = Cluster::start();
    cluster.lainlet.set_mode(Mode::Empty);
    assert!(cluster.load.proceeds(2000, NOTICED));
    cluster.lainlet.set_mode(Mode::Normal);
    cluster.assert_news_arrive("foxtrot", SOON);
    cluster.assert_unharmed();
}

#[test]
fn a_halved_answer_takes_nothing_away_that_still_answers() {
    let cluster = Cluster::start();
    cluster.lainlet.set_mode(Mode::Halved);
    eventually(SOON, "the status tells of the hold", || held(&cluster));
    assert!(cluster.load.proceeds(2000, NOTICED));
    cluster.lainlet.set_mode(Mode::Normal);
    eventually(SOON, "the hold is over", || !held(&cluster));
    cluster.assert_news_arrive("foxtrot", SOON);
    cluster.assert_unharmed();
}

#[test]
fn an_operator_lets_a_held_update_through() {
    let cluster = Cluster::start();
    cluster.lainlet.edit(|procs| procs.retain(|key, _| key.starts_with("alpha")));
    eventually(SOON, "the update is held", || held(&cluster));
    for name in NAMES {
        assert!(serves(&cluster, name), "{name}");
    }
    assert!(cluster.load.failures().is_empty());
    hold(&cluster, "accept");
    eventually(SOON, "the others are gone", || !serves(&cluster, "echo"));
    assert!(serves(&cluster, "alpha"));
}

#[test]
fn an_operator_refuses_a_held_update() {
    let cluster = Cluster::start();
    cluster.lainlet.edit(|procs| procs.retain(|key, _| key.starts_with("alpha")));
    eventually(SOON, "the update is held", || held(&cluster));
    hold(&cluster, "refuse");
    assert!(cluster.load.proceeds(1000, NOTICED));
    for name in NAMES {
        assert!(serves(&cluster, name), "{name}");
    }
    cluster.assert_unharmed();
}
