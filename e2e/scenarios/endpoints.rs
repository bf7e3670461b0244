//! Which endpoint gets a request, and what happens when one does not take it.

use webrouter_testkit::{Asked, Client, HttpOrigin, Origin, Step};

use super::{SOON, body, entry, get, refusing, started};

#[test]
fn requests_go_round_the_endpoints() {
    let origins = ["a", "b", "c"].map(HttpOrigin::start);
    let router = started(&entry("app.web.web", &["a.test"], &origins.each_ref().map(HttpOrigin::addr)));
    for _ in 0..60 {
        get(&router, "a.test", "/");
    }
    for origin in &origins {
        assert!((10..=30).contains(&origin.served()), "{} of 60", origin.served());
    }
}

#[test]
fn an_endpoint_that_refuses_is_passed_over() {
    let origin = HttpOrigin::start("alive");
    let router = started(&entry("app.web.web", &["a.test"], &[refusing(), origin.addr(), refusing()]));
    for _ in 0..20 {
        assert_eq!(body(&router, "a.test", "/"), "alive");
    }
    let mut client = Client::connect(router.http());
    client.send(b"POST /count HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(client.response(Asked::Content, SOON).map(|r| r.text()), Ok("5".to_owned()));
}

#[test]
fn no_endpoint_that_takes_a_connection_is_a_502_or_503_without_addresses() {
    let dead = refusing();
    let router = started(&entry("app.web.web", &["a.test"], &[dead]));
    let page = get(&router, "a.test", "/");
    assert!(matches!(page.status, 502 | 503), "{}", page.status);
    assert!(!page.text().contains(&dead.port().to_string()), "{}", page.text());
    assert!(!page.text().contains("127.0.0.1"), "{}", page.text());
}

#[test]
fn an_idle_connection_the_origin_closed_is_not_a_failure() {
    let origin = Origin::start(Step::answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    let router = started(&entry("app.web.web", &["a.test"], &[origin.addr()]));
    let mut client = Client::connect(router.http());
    for _ in 0..20 {
        let response = client.get("a.test", "/").expect("an answer");
        assert_eq!((response.status, response.text().as_str()), (200, "ok"));
        origin.close_connections();
    }
}

#[test]
fn connections_to_an_endpoint_are_kept_and_used_again() {
    let origin = Origin::start(Step::answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    let router = started(&entry("app.web.web", &["a.test"], &[origin.addr()]));
    let mut client = Client::connect(router.http());
    for _ in 0..20 {
        assert_eq!(client.get("a.test", "/").map(|r| r.status), Ok(200));
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_post_whose_answer_was_lost_is_not_sent_twice() {
    let origins = [(); 2].map(|()| Origin::start(vec![Step::ReadHead, Step::ReadBody, Step::Close]));
    let router = started(&entry("app.web.web", &["a.test"], &origins.each_ref().map(Origin::addr)));
    let mut client = Client::connect(router.http());
    client.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(client.response(Asked::Content, SOON).map(|r| r.status), Ok(502));
    let seen: usize = origins.iter().map(|origin| origin.exchanges().len()).sum();
    assert_eq!(seen, 1);
}
