//! A bad entry hurts only its owner, who is told why.

use webrouter_testkit::{HttpOrigin, Lainlet, Router, eventually};

use super::{SOON, body, entry, get, started, webrouter};

fn rejections(router: &Router) -> String {
    router.admin_get("/v1/rejections").1
}

#[test]
fn the_first_owner_keeps_a_mountpoint_and_the_second_is_told_who_it_is() {
    let (first, second) = (HttpOrigin::start("first"), HttpOrigin::start("second"));
    let alone = entry("owner.web.web", &["a.test"], &[first.addr()]);
    let mut router = started(&alone);
    // In the alphabet the rival comes first; it must not matter.
    let both = alone + &entry("a-rival.web.web", &["a.test", "b.test"], &[second.addr()]);
    router.edit_apps(&both);
    eventually(SOON, "the rival's other mountpoint is served", || {
        get(&router, "b.test", "/").status == 200 && body(&router, "b.test", "/") == "second"
    });
    assert_eq!(body(&router, "a.test", "/"), "first");
    eventually(SOON, "the rejection names both", || {
        let said = rejections(&router);
        said.contains("a-rival.web.web") && said.contains("owner.web.web") && said.contains("a.test")
    });

    router.restart();
    router.wait_ready();
    assert_eq!(body(&router, "a.test", "/"), "first", "ownership is remembered");
}

#[test]
fn an_unreadable_annotation_keeps_the_last_good_version_of_that_proc_alone() {
    let (one, two) = (HttpOrigin::start("one"), HttpOrigin::start("two"));
    let lainlet = Lainlet::start();
    lainlet.set_app("one.web.web", &["one.test"], &[one.addr()]);
    let router = webrouter().lainlet(lainlet.addr()).start();
    router.wait_ready();
    assert_eq!(body(&router, "one.test", "/"), "one");

    lainlet.edit(|procs| {
        let broken = serde_json::json!({ "PodInfos": [{ "Annotation": "{not json", "ContainerInfos":
            [{ "ContainerIp": one.addr().ip().to_string(), "Expose": one.addr().port() }] }] });
        procs.insert("one.web.web".to_owned(), broken);
        procs.insert("two.web.web".to_owned(), Lainlet::entry(&["two.test"], &[two.addr()]));
    });
    eventually(SOON, "the rest of the update is in force", || get(&router, "two.test", "/").status == 200);
    assert_eq!(body(&router, "one.test", "/"), "one");
    let said = rejections(&router) + &router.status().to_string();
    assert!(said.contains("one.web.web"), "the quarantined proc is shown: {said}");
    assert_eq!(lainlet.crashes(), Vec::<String>::new());
}

#[test]
fn a_bad_mountpoint_a_port_of_zero_and_an_empty_address_are_rejected_alone() {
    let origin = HttpOrigin::start("good");
    let lainlet = Lainlet::start();
    let container = |ip: &str, port: u16| serde_json::json!([{ "ContainerIp": ip, "Expose": port }]);
    let annotation = r#"{"mountpoint":["good.test","bad host!","good.test/p"]}"#;
    let port = origin.addr().port();
    lainlet.set_raw(
        "good.web.web",
        serde_json::json!({ "PodInfos": [
            { "Annotation": annotation, "ContainerInfos": container("127.0.0.1", port) },
            { "Annotation": annotation, "ContainerInfos": container("", port) },
            { "Annotation": annotation, "ContainerInfos": container("127.0.0.1", 0) },
            { "Annotation": annotation, "ContainerInfos": container("127.0.0.1", port) },
        ] }),
    );
    let router = webrouter().lainlet(lainlet.addr()).start();
    router.wait_ready();
    for _ in 0..8 {
        assert_eq!(body(&router, "good.test", "/"), "good");
        assert_eq!(body(&router, "good.test", "/p/x"), "good");
    }
    let said = rejections(&router);
    assert!(said.contains("bad host!"), "{said}");
    let parsed: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    let count = parsed.as_array().map(Vec::len).or_else(|| parsed["rejections"].as_array().map(Vec::len));
    assert!(count.is_some_and(|count| count >= 3), "one rejection each: {said}");
}

#[test]
fn a_proc_without_pods_is_503_with_retry_after_until_its_entry_leaves() {
    let (one, elsewhere) = (HttpOrigin::start("one"), HttpOrigin::start("other"));
    let with = entry("one.web.web", &["one.test"], &[one.addr()]);
    let other = entry("other.web.web", &["other.test"], &[elsewhere.addr()]);
    let router = started(&(with + &other));
    // Endpoints that still answer would be kept by the guard.
    drop(one);
    router.edit_apps(&(entry("one.web.web", &["one.test"], &[]) + &other));
    eventually(SOON, "503", || get(&router, "one.test", "/").status == 503);
    let page = get(&router, "one.test", "/");
    assert!(page.value("retry-after").is_some_and(|after| after.parse::<u32>().is_ok()));
    assert!(page.text().contains("one"), "the page names the app: {}", page.text());
    router.edit_apps(&other);
    eventually(SOON, "404", || get(&router, "one.test", "/").status == 404);
}
