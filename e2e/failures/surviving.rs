//! What is known of an endpoint survives: updates that keep the endpoint, and a restart.

use std::net::SocketAddr;

use webrouter_testkit::{Fault, FaultyOrigin, Router, eventually};

use super::{SOON, app, await_state, edit_and_await, endpoint, get, started, webrouter};

/// Two bad probes make it sick, and so many good ones (half a minute of them) bring it back that none of these tests sees it.
const CHECKED: &str = "healthcheck = \"/health\"\nhealth_interval = \"300ms\"\nhealth_timeout = \"300ms\"\nhealth_fall = 2\nhealth_rise = 100";

/// A router of which one endpoint is out for a reason that does not pass during the test.
struct Pool {
    well: FaultyOrigin,
    out: FaultyOrigin,
    router: Router,
    policies: &'static str,
    state: &'static str,
}

impl Pool {
    /// The second one is sick by its health check.
    fn with_one_down() -> Pool {
        let pool = Pool::start(CHECKED, "down");
        pool.out.set_health(500);
        await_state(&pool.router, pool.out.addr(), "down");
        // From here on nothing but memory says that it is sick.
        pool.out.set_health(200);
        pool
    }

    /// The second one broke too many exchanges off.
    fn with_one_ejected() -> Pool {
        let pool = Pool::start("", "ejected");
        pool.out.set_fault(Fault::ResetAfterHead);
        eventually(SOON, "it is ejected", || {
            get(&pool.router, "/");
            endpoint(&pool.router, pool.out.addr())["state"] == "ejected"
        });
        pool.out.set_fault(Fault::None);
        pool
    }

    /// An operator drained the second one.
    fn with_one_drained() -> Pool {
        let pool = Pool::start("", "draining");
        let (status, body) = pool.router.admin_act("POST", &format!("/v1/endpoints/{}/drain", pool.out.addr()));
        assert_eq!(status, 200, "{body}");
        await_state(&pool.router, pool.out.addr(), "draining");
        pool
    }

    fn start(policies: &'static str, state: &'static str) -> Pool {
        let (well, out) = (FaultyOrigin::start("well"), FaultyOrigin::start("out"));
        let builder = webrouter().section("[health]\nfailures = 3\neject = \"120s\"");
        let router = started(builder.apps(&app(policies, &[well.addr(), out.addr()])));
        await_state(&router, out.addr(), "up");
        Pool { well, out, router, policies, state }
    }

    /// It is as it was, and is asked nothing.
    #[track_caller]
    fn assert_still_out(&self) {
        let told = endpoint(&self.router, self.out.addr());
        assert_eq!(told["state"], self.state, "{told}");
        let seen = self.out.seen().len();
        for _ in 0..40 {
            assert_eq!(get(&self.router, "/").text(), "well");
        }
        assert_eq!(self.out.seen().len(), seen, "nothing was sent to it");
    }

    /// Updates add an endpoint, take it away, and change the policy; each keeps the one that is out.
    #[track_caller]
    fn assert_survives_updates(&self) {
        let added = FaultyOrigin::start("well");
        let both = [self.well.addr(), self.out.addr()];
        let three = [self.out.addr(), added.addr(), self.well.addr()];
        let other = format!("{}\nqueue = 7", self.policies);
        let edits: [(&str, &str, &[SocketAddr]); 4] = [
            ("more", self.policies, &three),
            ("fewer", self.policies, &both),
            ("policy", &other, &both),
            ("turned", &other, &[both[1], both[0]]),
        ];
        for (marker, policies, endpoints) in edits {
            edit_and_await(&self.router, marker, &app(policies, endpoints), self.well.addr());
            self.assert_still_out();
        }
    }

    /// The first thing that a new process does with the endpoint is what the old one would have done.
    #[track_caller]
    fn assert_survives_a_restart(mut self) {
        self.router.restart();
        self.router.wait_ready();
        self.assert_still_out();
    }
}

#[test]
fn a_sick_endpoint_is_sick_after_updates_that_keep_it() {
    Pool::with_one_down().assert_survives_updates();
}

#[test]
fn an_ejected_endpoint_is_ejected_after_updates_that_keep_it() {
    Pool::with_one_ejected().assert_survives_updates();
}

#[test]
fn a_drained_endpoint_is_drained_after_updates_that_keep_it() {
    Pool::with_one_drained().assert_survives_updates();
}

#[test]
fn a_sick_endpoint_is_sick_after_a_restart() {
    Pool::with_one_down().assert_survives_a_restart();
}

#[test]
fn an_ejected_endpoint_is_ejected_after_a_restart() {
    Pool::with_one_ejected().assert_survives_a_restart();
}

#[test]
fn a_drained_endpoint_is_drained_after_a_restart() {
    Pool::with_one_drained().assert_survives_a_restart();
}

/// Else every restart would be a moment in which nobody is proven.
#[test]
fn a_proven_endpoint_is_proven_after_a_restart() {
    let (proven, new) = (FaultyOrigin::start("proven"), FaultyOrigin::start("new"));
    let mut router = started(webrouter().apps(&app(CHECKED, &[proven.addr()])));
    await_state(&router, proven.addr(), "up");
    // Neither can prove anything any more.
    [&proven, &new].iter().for_each(|origin| origin.set_health(500));
    let unhurried = CHECKED.replace("health_fall = 2", "health_fall = 100");
    edit_and_await(&router, "marker", &app(&unhurried, &[proven.addr(), new.addr()]), proven.addr());
    await_state(&router, new.addr(), "unproven");
    router.restart();
    router.wait_ready();
    for _ in 0..20 {
        assert_eq!(get(&router, "/").text(), "proven");
    }
    assert_eq!(endpoint(&router, proven.addr())["state"], "up");
    assert!(new.seen().is_empty());
}
