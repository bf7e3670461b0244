//! What became of a request that a client complains of.

use std::process::Command;

use webrouter_testkit::{Fault, FaultyOrigin, HttpOrigin, Response, Router};

use super::{entry, get, started};

/// The id on an error page, which is the one in its field.
fn id_of(answer: &Response) -> String {
    let text = answer.text();
    let id = text.lines().find_map(|line| line.strip_prefix("request id: ")).expect("an id").to_owned();
    assert_eq!(answer.value("x-request-id"), Some(id.as_str()));
    id
}

/// `webrouter why`: the exit code and what it says.
fn why(router: &Router, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_webrouter"))
        .arg("why")
        .args(arguments)
        .args(["--admin", &router.admin().to_string()])
        .output()
        .expect("the command runs");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_failure_is_found_by_the_id_that_the_client_was_told() {
    let broken = FaultyOrigin::start("broken");
    broken.set_fault(Fault::ResetAfterHead);
    let gone = "127.0.0.1:1".parse().expect("an address");
    let router = started(&(entry("demo.web.web", &["demo.test"], &[broken.addr(), gone])));
    let answer = get(&router, "demo.test", "/a/b?token=secret");
    assert!(answer.status >= 500, "{}", answer.text());
    let id = id_of(&answer);
    let (code, text) = why(&router, &[&id]);
    assert_eq!(code, Some(0), "{text}");
    for part in ["GET demo.test/a/b", "demo__upstream__web", &id, &broken.addr().to_string(), "127.0.0.1:1"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("secret"), "{text}");
    let (code, list) = why(&router, &["--app", "demo"]);
    assert_eq!(code, Some(1), "{list}");
    assert!(list.contains(&id), "{list}");
    let pages = [
        ("/apps/demo", id.as_str()),
        ("/history", "Generation 1"),
        ("/doctor/demo", "reach"),
        ("/doctor", "listeners"),
    ];
    for (page, part) in pages {
        let (status, html) = router.admin_get(page);
        assert_eq!(status, 200, "{page}");
        assert!(html.contains(part), "{part} in {page}: {html}");
        assert!(!html.contains("secret"), "{page}");
    }
    assert_eq!(why(&router, &["--app", "other"]), (Some(0), "no request failed lately\n".to_owned()));
}

#[test]
fn a_request_that_was_well_is_not_among_those_that_failed() {
    let origin = HttpOrigin::start("one");
    let router = started(&entry("demo.web.web", &["demo.test"], &[origin.addr()]));
    assert_eq!(get(&router, "demo.test", "/").status, 200);
    let (code, text) = why(&router, &["no-such-id"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("access log"), "{text}");
    assert_eq!(why(&router, &[]).0, Some(0));
    let unknown = get(&router, "nobody.test", "/x");
    let (code, text) = why(&router, &[&id_of(&unknown)]);
    assert_eq!(code, Some(0));
    assert!(text.contains("unknown_host") && text.contains("webrouter explain http://nobody.test/x"), "{text}");
}

/// What the app itself answers is told apart from what webrouter answers for it.
#[test]
fn an_error_of_the_app_is_the_apps() {
    let origin = FaultyOrigin::start("one");
    origin.set_fault(Fault::Answer(500));
    let router = started(&entry("demo.web.web", &["demo.test"], &[origin.addr()]));
    assert_eq!(get(&router, "demo.test", "/").status, 500);
    let (_, list) = router.admin_get("/v1/failures?app=demo");
    let list: serde_json::Value = serde_json::from_str(&list).expect("JSON");
    let failure = &list["failures"][0];
    assert_eq!((&failure["status"], &failure["cause"]), (&500.into(), &serde_json::Value::Null), "{list}");
    assert_eq!(failure["endpoint"], origin.addr().to_string());
}
