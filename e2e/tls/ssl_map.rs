//! lainlet's `ssl` map: patterns, the stems they stand for, and what happens when it changes.

use webrouter_testkit::{Authority, HttpOrigin, Lainlet, Pair, Router, TlsClient, eventually};

use crate::names::shows;
use crate::{AT_ONCE, SOON, body, ready, webrouter};

struct Cluster {
    authority: Authority,
    web: Pair,
    shop: Pair,
    lainlet: Lainlet,
    router: Router,
    _origin: HttpOrigin,
}

fn cluster(ssl: &str) -> Cluster {
    let authority = Authority::new("Test Authority");
    let all = ["a.shop.lain", "b.shop.lain", "x.lain"];
    let (web, shop) = (authority.pair(&all), authority.pair(&all));
    let (lainlet, origin) = (Lainlet::start(), HttpOrigin::start("one"));
    lainlet.set_app("one.web.web", &["lain"], &[origin.addr()]);
    lainlet.set_config("ssl", Some(ssl));
    let builder = webrouter().https_listener().pair("web", &web).pair("shop", &shop).lainlet(lainlet.addr());
    let router = ready(builder);
    Cluster { authority, web, shop, lainlet, router, _origin: origin }
}

impl Cluster {
    fn shows(&self, host: &str, pair: &Pair) -> bool {
        shows(&self.router, &self.authority, host, pair)
    }
}

#[test]
fn the_exact_name_beats_the_longest_pattern() {
    let cluster = cluster(r#"{"*.lain":"web","*.shop.lain":"shop","a.shop.lain":"web"}"#);
    eventually(SOON, "the map is known", || cluster.shows("b.shop.lain", &cluster.shop));
    assert!(cluster.shows("x.lain", &cluster.web));
    assert!(cluster.shows("a.shop.lain", &cluster.web));
}

#[test]
fn a_changed_map_counts_for_new_handshakes_at_once_and_open_connections_live_on() {
    let cluster = cluster(r#"{"*.lain":"web"}"#);
    eventually(SOON, "the map is known", || cluster.shows("x.lain", &cluster.web));
    let mut client = TlsClient::trusting(&cluster.authority).connect(cluster.router.https(), "x.lain");
    assert_eq!(body(&mut client, "x.lain", "/"), "one");
    cluster.lainlet.set_config("ssl", Some(r#"{"*.lain":"shop"}"#));
    eventually(AT_ONCE, "the other is shown", || cluster.shows("x.lain", &cluster.shop));
    assert_eq!(body(&mut client, "x.lain", "/"), "one");
}

#[test]
fn a_stem_without_files_is_reported_and_hurts_nobody_else() {
    let cluster = cluster(r#"{"*.lain":"web","a.shop.lain":"missing"}"#);
    eventually(SOON, "the map is known", || cluster.shows("x.lain", &cluster.web));
    // As what it is: a rejection, or a trouble of the certificates.
    let said = || cluster.router.status().to_string() + &cluster.router.admin_get("/v1/rejections").1;
    eventually(SOON, "it is reported", || said().contains("missing"));
    assert!(cluster.shows("b.shop.lain", &cluster.web));
}

#[test]
fn a_map_that_is_none_changes_nothing() {
    let cluster = cluster(r#"{"*.lain":"web"}"#);
    eventually(SOON, "the map is known", || cluster.shows("x.lain", &cluster.web));
    for broken in ["not json", r#"["*.lain"]"#, r#"{"*.lain":7}"#] {
        cluster.lainlet.set_config("ssl", Some(broken));
        assert!(cluster.shows("x.lain", &cluster.web), "{broken}");
    }
    // A stem that leaves the folder is no stem: the names in the certificates count.
    cluster.lainlet.set_config("ssl", Some(r#"{"*.lain":"../../etc/passwd"}"#));
    assert!(cluster.shows("x.lain", &cluster.web) || cluster.shows("x.lain", &cluster.shop));
    cluster.lainlet.set_config("ssl", Some(r#"{"*.lain":"shop"}"#));
    eventually(SOON, "a good one is taken", || cluster.shows("x.lain", &cluster.shop));
}
