//! Changes are in force at once and touch nothing else.

use std::time::Duration;

use webrouter_testkit::{Asked, Client, HttpOrigin, Lainlet, Load, Router, Target, eventually};

use super::{SOON, body, entry, get, refusing, started, webrouter};

/// Opens a tunnel to `host` and leaves it open.
pub(crate) fn tunnel(router: &Router, host: &str) -> Client {
    let mut client = Client::connect(router.http());
    let request = format!("GET /ws HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    client.send(request.as_bytes());
    let response = client.response(Asked::Content, SOON).expect("an answer to the upgrade");
    assert_eq!(response.status, 101);
    client
}

/// Sends a word through a tunnel and expects it back.
pub(crate) fn assert_echoes(tunnel: &mut Client) {
    assert!(tunnel.send(b"ping"));
    assert_eq!(tunnel.read_exactly(4, SOON), Ok(b"ping".to_vec()));
}

#[test]
fn an_edit_of_the_file_is_in_force_at_once() {
    let (one, two) = (HttpOrigin::start("one"), HttpOrigin::start("two"));
    let router = started(&entry("app.web.web", &["a.test"], &[one.addr()]));
    assert_eq!(body(&router, "a.test", "/"), "one");
    router.edit_apps(&entry("app.web.web", &["a.test"], &[two.addr()]));
    eventually(SOON, "the new endpoint", || body(&router, "a.test", "/") == "two");
}

#[test]
fn a_broken_edit_of_the_file_changes_nothing_and_is_reported() {
    let origin = HttpOrigin::start("one");
    let good = entry("app.web.web", &["a.test"], &[origin.addr()]);
    let router = started(&good);
    router.edit_apps("[apps.\"app.web.web\"\nmountpoint = ");
    eventually(SOON, "the status tells of the file", || {
        router.status().to_string().contains("apps.toml") || router.output().contains("apps.toml")
    });
    assert_eq!(body(&router, "a.test", "/"), "one");
    router.edit_apps(&(good + &entry("more.web.web", &["b.test"], &[origin.addr()])));
    eventually(SOON, "the repaired file is in force", || get(&router, "b.test", "/").status == 200);
}

#[test]
fn a_websocket_survives_updates_of_other_apps_and_of_its_own() {
    let (kept, added) = (HttpOrigin::start("kept"), HttpOrigin::start("added"));
    let lainlet = Lainlet::start();
    lainlet.set_app("kept.web.web", &["kept.test"], &[kept.addr()]);
    let router = webrouter().lainlet(lainlet.addr()).start();
    router.wait_ready();
    let mut tunnel = tunnel(&router, "kept.test");
    assert_echoes(&mut tunnel);
    for n in 0..20 {
        lainlet.set_app("other.web.web", &[&format!("o{n}.test")], &[added.addr()]);
        lainlet.set_app("kept.web.web", &["kept.test"], &[kept.addr(), added.addr()]);
        eventually(SOON, "the update is in force", || get(&router, &format!("o{n}.test"), "/").status == 200);
        assert_echoes(&mut tunnel);
    }
    assert_eq!(lainlet.crashes(), Vec::<String>::new());
}

#[test]
fn two_hundred_updates_under_load_lose_no_request_and_no_websocket() {
    let steady = HttpOrigin::start("steady");
    let moving = [HttpOrigin::start("moving"), HttpOrigin::start("moving"), HttpOrigin::start("moving")];
    let lainlet = Lainlet::start();
    lainlet.set_app("steady.web.web", &["steady.test"], &[steady.addr()]);
    lainlet.set_app("moving.web.web", &["moving.test"], &[moving[0].addr()]);
    // Apps that come and go have no container that answers, and are few among many: nothing for the guard to hold.
    let gone = refusing();
    for n in 0..30 {
        lainlet.set_app(&format!("still{n}.web.web"), &[&format!("still{n}.test")], &[gone]);
    }
    let router = webrouter().lainlet(lainlet.addr()).start();
    router.wait_ready();
    let target = |name: &str| Target { host: format!("{name}.test"), path: "/".to_owned(), body: name.to_owned() };
    let load = Load::start(router.http(), 4, &[target("steady"), target("moving")]);
    let mut tunnels = [tunnel(&router, "steady.test"), tunnel(&router, "steady.test")];
    for n in 0..200 {
        let new = [moving[n % 3].addr(), moving[(n + 1) % 3].addr()];
        lainlet.edit(|procs| {
            procs.insert("moving.web.web".to_owned(), Lainlet::entry(&["moving.test"], &new[..1 + n % 2]));
            procs.remove(&format!("short{}.web.web", n.saturating_sub(1)));
            procs.insert(format!("short{n}.web.web"), Lainlet::entry(&[&format!("s{n}.test")], &[gone]));
        });
        assert!(load.proceeds(4, SOON), "the load stands still: {:?}", load.failures());
    }
    eventually(SOON, "the last update is in force", || get(&router, "s199.test", "/").status != 404);
    for tunnel in &mut tunnels {
        assert_echoes(tunnel);
    }
    assert_eq!(load.finish(), Vec::<String>::new());
    assert_eq!(lainlet.crashes(), Vec::<String>::new());
}

#[test]
fn a_request_in_flight_is_finished_by_an_endpoint_that_leaves() {
    let (old, new) = (HttpOrigin::start("old"), HttpOrigin::start("new"));
    let router = started(&entry("app.web.web", &["a.test"], &[old.addr()]));
    let mut client = Client::connect(router.http());
    client.send(b"GET /hold HTTP/1.1\r\nHost: a.test\r\n\r\n");
    eventually(SOON, "the request is in flight", || old.holding() == 1);
    router.edit_apps(&entry("app.web.web", &["a.test"], &[new.addr()]));
    eventually(SOON, "the new endpoint serves", || body(&router, "a.test", "/") == "new");
    old.release();
    assert_eq!(client.response(Asked::Content, SOON).map(|r| r.text()), Ok("old".to_owned()));
    eventually(Duration::from_secs(10), "no connection to the old endpoint is kept", || old.open_connections() == 0);
}
