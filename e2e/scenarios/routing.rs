//! Which app gets a request.

use webrouter_testkit::HttpOrigin;

use super::{body, entry, get, started};

#[test]
fn an_exact_host_beats_the_suffix_it_ends_with() {
    let (wide, exact) = (HttpOrigin::start("wide"), HttpOrigin::start("exact"));
    let apps = entry("wide.web.web", &["lain.test"], &[wide.addr()])
        + &entry("exact.web.web", &["a.lain.test"], &[exact.addr()]);
    let router = started(&apps);
    assert_eq!(body(&router, "a.lain.test", "/"), "exact");
    assert_eq!(body(&router, "lain.test", "/"), "wide");
    assert_eq!(body(&router, "b.lain.test", "/"), "wide");
}

#[test]
fn the_longest_suffix_gets_a_subdomain() {
    let (short, long) = (HttpOrigin::start("short"), HttpOrigin::start("long"));
    let apps = entry("short.web.web", &["test"], &[short.addr()]) + &entry("long.web.web", &["a.test"], &[long.addr()]);
    let router = started(&apps);
    assert_eq!(body(&router, "x.y.a.test", "/"), "long");
    assert_eq!(body(&router, "x.y.b.test", "/"), "short");
}

#[test]
fn the_longest_prefix_on_a_segment_boundary_gets_a_path() {
    let origins = ["root", "api", "v2"].map(HttpOrigin::start);
    let apps = entry("root.web.web", &["a.test"], &[origins[0].addr()])
        + &entry("api.web.web", &["a.test/api"], &[origins[1].addr()])
        + &entry("v2.web.web", &["a.test/api/v2"], &[origins[2].addr()]);
    let router = started(&apps);
    assert_eq!(body(&router, "a.test", "/api/v2/x"), "v2");
    assert_eq!(body(&router, "a.test", "/api/v20/x"), "api");
    assert_eq!(body(&router, "a.test", "/api/x"), "api");
    assert_eq!(body(&router, "a.test", "/apis"), "root");
    assert_eq!(body(&router, "a.test", "/API/x"), "root");
    assert_eq!(body(&router, "a.test", "/x/../api/x"), "api");
    assert_eq!(body(&router, "a.test", "/%61pi//x"), "api");
}

#[test]
fn case_port_and_trailing_dot_of_the_host_do_not_matter() {
    let origin = HttpOrigin::start("one");
    let router = started(&entry("one.web.web", &["A.Test/"], &[origin.addr()]));
    for host in ["a.test", "A.TEST", "a.test:80", "a.test:12345", "a.test."] {
        assert_eq!(body(&router, host, "/"), "one", "{host}");
    }
}

#[test]
fn an_unknown_host_is_404_and_names_no_app() {
    let origin = HttpOrigin::start("secret");
    let router = started(&entry("secret.web.web", &["a.test"], &[origin.addr()]));
    let response = get(&router, "b.test", "/");
    assert_eq!(response.status, 404);
    assert!(!response.text().contains("secret"), "{}", response.text());
}

#[test]
fn an_unknown_host_can_be_closed_without_an_answer() {
    let origin = HttpOrigin::start("one");
    let router = super::webrouter()
        .apps(&entry("one.web.web", &["a.test"], &[origin.addr()]))
        .section("[routing]\nunknown_host = \"close\"")
        .start();
    router.wait_ready();
    let mut client = webrouter_testkit::Client::connect(router.http());
    client.send(b"GET / HTTP/1.1\r\nHost: b.test\r\n\r\n");
    assert_ne!(client.read_to_end(super::SOON), webrouter_testkit::End::Deadline);
    assert_eq!(client.received(), b"");
}

#[test]
fn internal_hosts_do_not_exist_on_the_external_listener() {
    let (inside, outside) = (HttpOrigin::start("inside"), HttpOrigin::start("outside"));
    let apps = entry("inside.web.web", &["inside.lain.local"], &[inside.addr()])
        + &entry("outside.web.web", &["outside.test"], &[outside.addr()]);
    let router =
        super::webrouter().apps(&apps).external_listener().section("[cluster]\ndomain = \"lain.local\"").start();
    router.wait_ready();
    let external = |host: &str| {
        let mut client = webrouter_testkit::Client::connect(router.external_http());
        client.get(host, "/").expect("an answer")
    };
    assert_eq!(external("outside.test").text(), "outside");
    assert_eq!(external("inside.lain.local").status, 404);
    assert_eq!(body(&router, "inside.lain.local", "/"), "inside");
    assert_eq!(body(&router, "outside.test", "/"), "outside");
}

#[test]
fn extra_domains_of_lainlet_make_hosts_internal_as_soon_as_they_are_set() {
    let origin = HttpOrigin::start("corp");
    let lainlet = webrouter_testkit::Lainlet::start();
    lainlet.set_app("corp.web.web", &["app.corp.test"], &[origin.addr()]);
    let router = super::webrouter()
        .lainlet(lainlet.addr())
        .external_listener()
        .section("[cluster]\ndomain = \"lain.local\"")
        .start();
    router.wait_ready();
    let external = || {
        let mut client = webrouter_testkit::Client::connect(router.external_http());
        client.get("app.corp.test", "/").expect("an answer").status
    };
    assert_eq!(external(), 200);
    lainlet.set_config("extra_domains", Some("[\"corp.test\"]"));
    webrouter_testkit::eventually(super::SOON, "the host is internal", || external() == 404);
    assert_eq!(body(&router, "app.corp.test", "/"), "corp");
    assert_eq!(lainlet.crashes(), Vec::<String>::new());
}
