//! A router that stops does not wait for clients that have said nothing.

use webrouter_testkit::{Client, End, Signal, eventually};

use crate::{AT_ONCE, SOON, Scene, ready};

#[test]
fn connections_that_have_said_nothing_are_closed_at_once() {
    let scene = Scene::new();
    let mut router = ready(scene.builder().listen("h2c = true"));
    let mut silent = [router.http(), router.https()].map(Client::connect);
    let open = || router.metric("webrouter_connections_open", "");
    eventually(SOON, "they are accepted", || open() >= 2.0);
    router.signal(Signal::TERM);
    for client in &mut silent {
        assert_ne!(client.read_to_end(AT_ONCE), End::Deadline);
    }
    assert!(router.wait_exit(SOON).is_some_and(|exit| exit.success()));
}
