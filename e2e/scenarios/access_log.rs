//! The access log: the line collectors parse, escaped, in a file per host and upstream, reopened on SIGUSR1.

use std::fs;

use webrouter_testkit::{Asked, Client, HttpOrigin, Router, Signal, eventually};

use super::{SOON, entry, get, started};

const UPSTREAM: &str = "app__upstream__web";

fn logged(router: &Router, lines: usize) -> Vec<String> {
    eventually(SOON, "the lines are written", || router.access_log("a.test", UPSTREAM).lines().count() >= lines);
    router.access_log("a.test", UPSTREAM).lines().map(str::to_owned).collect()
}

fn one_app() -> (HttpOrigin, Router) {
    let origin = HttpOrigin::start("hello");
    let router = started(&entry("app.web.web", &["a.test"], &[origin.addr()]));
    (origin, router)
}

#[test]
fn a_line_has_the_fields_collectors_parse() {
    let (_origin, router) = one_app();
    let mut client = Client::connect(router.http());
    client.send(
        b"GET /x?y=1 HTTP/1.1\r\nHost: a.test\r\nReferer: http://r.test/\r\nUser-Agent: me/1\r\n\
          X-Forwarded-For: 1.2.3.4\r\n\r\n",
    );
    assert_eq!(client.response(Asked::Content, SOON).map(|r| r.status), Ok(200));
    let lines = logged(&router, 1);
    let fields: Vec<&str> = lines[0].split('@').collect();
    assert_eq!(fields.len(), 14, "{}", lines[0]);
    assert_eq!(fields[0], "1.2.3.4", "the client behind trusted proxies");
    assert_eq!(fields[1], "-", "the user");
    assert!(fields[2].starts_with('[') && fields[2].ends_with(']') && fields[2].len() == 28, "{}", fields[2]);
    assert_eq!(
        fields[3..10],
        ["a.test", "\"GET /x?y=1 HTTP/1.1\"", "200", "5", "\"http://r.test/\"", "me/1", "1.2.3.4"]
    );
    assert_eq!((fields[10], fields[12]), ("upstream_response_time", "request_time"));
    for time in [fields[11], fields[13]] {
        assert!(time.parse::<f64>().is_ok() && time.len() >= 5, "a time in seconds: {time}");
    }
}

#[test]
fn what_is_missing_is_a_dash() {
    let (_origin, router) = one_app();
    get(&router, "a.test", "/");
    let line = logged(&router, 1).remove(0);
    assert!(line.contains("@200@5@\"-\"@-@-@upstream_response_time@"), "{line}");
}

#[test]
fn a_client_cannot_forge_a_line() {
    let (_origin, router) = one_app();
    let mut client = Client::connect(router.http());
    client.send(b"GET /\"x HTTP/1.1\r\nHost: a.test\r\nUser-Agent: a\"b\\c\xffd\te\r\n\r\n");
    assert!(client.response(Asked::Content, SOON).is_ok());
    get(&router, "a.test", "/second");
    let lines = logged(&router, 2);
    assert_eq!(lines.len(), 2, "{lines:?}");
    // Two connections may be served by two cores, whose lines come in any order.
    let line = lines.iter().find(|line| !line.contains("/second")).expect("the line of the first request");
    assert!(line.contains("GET /\\x22x HTTP/1.1"), "{line}");
    assert!(line.contains("a\\x22b\\x5Cc\\xFFd\\x09e"), "{line}");
}

#[test]
fn the_file_is_opened_again_on_sigusr1() {
    let (_origin, router) = one_app();
    get(&router, "a.test", "/before");
    logged(&router, 1);
    let name = format!("log/a.test___{UPSTREAM}.access.log");
    fs::rename(router.path(&name), router.path("log/rotated")).expect("the log can be moved");
    router.signal(Signal::USR1);
    eventually(SOON, "a line in the new file", || {
        get(&router, "a.test", "/after");
        router.access_log("a.test", UPSTREAM).contains("/after")
    });
    let rotated = fs::read_to_string(router.path("log/rotated")).expect("the old log");
    assert!(rotated.contains("/before"));
    let all = rotated + &router.access_log("a.test", UPSTREAM);
    assert_eq!(all.matches("/before").count(), 1);
}

#[test]
fn a_log_folder_that_is_gone_stops_no_request() {
    let (_origin, router) = one_app();
    get(&router, "a.test", "/");
    logged(&router, 1);
    fs::remove_dir_all(router.path("log")).expect("the folder can be removed");
    fs::write(router.path("log"), "not a folder").expect("a file in its place");
    router.signal(Signal::USR1);
    for _ in 0..50 {
        assert_eq!(get(&router, "a.test", "/").status, 200);
    }
}

#[test]
fn json_lines_are_json() {
    let origin = HttpOrigin::start("hello");
    let router = super::webrouter()
        .apps(&entry("app.web.web", &["a.test"], &[origin.addr()]))
        .section("[access_log]\ndirectory = \"{dir}/log\"\nformat = \"json\"")
        .start();
    router.wait_ready();
    get(&router, "a.test", "/x?y");
    let line = logged(&router, 1).remove(0);
    let value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(value["status"], 200, "{line}");
    assert!(line.contains("a.test") && line.contains("/x?y"), "{line}");
}
