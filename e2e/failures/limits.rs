//! An endpoint that can take no more, an app that fails too much, an app that has no endpoint for a moment.

use std::time::{Duration, Instant};

use webrouter_testkit::{
    Asked, Client, Fault, FaultyOrigin, HttpOrigin, OpenLoad, Origin, Response, Router, Step, Verb, eventually,
};

use super::{SOON, app, assert_page, edit_and_await, get, lost, plan, started, webrouter};

/// Begins a GET of `/hold`.
fn held(router: &Router) -> Client {
    let mut client = Client::connect(router.http());
    client.send(b"GET /hold HTTP/1.1\r\nHost: a.test\r\n\r\n");
    client
}

fn answer(mut client: Client) -> Response {
    client.response(Asked::Content, SOON).expect("an answer")
}

#[test]
fn past_max_requests_a_few_wait_in_line_and_the_next_is_503() {
    let origin = HttpOrigin::start("one");
    let policies = "max_requests = 1\nqueue = 1\nqueue_timeout = \"30s\"";
    let router = started(webrouter().apps(&app(policies, &[origin.addr()])));
    let first = held(&router);
    eventually(SOON, "one is under way", || origin.holding() == 1);
    // Of two more, one waits in line; the other, whichever it is, finds it full.
    let mut more = [held(&router), held(&router)];
    let is_told = |client: &mut Client| {
        client.read_to_end(Duration::from_millis(20));
        !client.received().is_empty()
    };
    eventually(SOON, "one is told", || more.iter_mut().any(is_told));
    let told = more.iter_mut().position(is_told).expect("it was told");
    let [one, other] = more;
    let (told, waiting) = if told == 0 { (one, other) } else { (other, one) };
    assert_page(&answer(told), 503, "queue_full");
    assert_page(&get(&router, "/"), 503, "queue_full");
    assert_eq!((waiting.received(), origin.holding()), (b"".as_slice(), 1));
    origin.release();
    assert_eq!((answer(first).text(), answer(waiting).text()), ("one".to_owned(), "one".to_owned()));
    eventually(SOON, "there is room again", || get(&router, "/").status == 200);
}

#[test]
fn who_waits_in_line_too_long_is_told_503() {
    let origin = HttpOrigin::start("one");
    let policies = "max_requests = 1\nqueue = 10\nqueue_timeout = \"200ms\"";
    let router = started(webrouter().apps(&app(policies, &[origin.addr()])));
    let first = held(&router);
    eventually(SOON, "one is under way", || origin.holding() == 1);
    let began = Instant::now();
    assert_page(&get(&router, "/"), 503, "queue_timeout");
    assert!(began.elapsed() >= Duration::from_millis(200), "{:?}", began.elapsed());
    origin.release();
    assert_eq!(answer(first).status, 200);
}

#[test]
fn a_queue_of_nothing_is_503_at_once() {
    let origin = HttpOrigin::start("one");
    let router = started(webrouter().apps(&app("max_requests = 1\nqueue = 0", &[origin.addr()])));
    let first = held(&router);
    eventually(SOON, "one is under way", || origin.holding() == 1);
    assert_page(&get(&router, "/"), 503, "queue_full");
    origin.release();
    assert_eq!(answer(first).status, 200);
}

#[test]
fn the_limits_of_all_apps_are_one_section() {
    let origin = HttpOrigin::start("one");
    let builder = webrouter().section("[upstream]\nmax_requests = 1\nqueue = 0").apps(&app("", &[origin.addr()]));
    let router = started(builder);
    let first = held(&router);
    eventually(SOON, "one is under way", || origin.holding() == 1);
    assert_page(&get(&router, "/"), 503, "queue_full");
    origin.release();
    assert_eq!(answer(first).status, 200);
}

/// Eight cores, and the limit is the endpoint's, not each core's.
fn at_most(policies: &str) -> (FaultyOrigin, usize) {
    let origin = FaultyOrigin::start("one");
    origin.set_fault(Fault::Slow(Duration::from_millis(20)));
    let builder = webrouter().section("[engine]\nthreads = 8").apps(&app(policies, &[origin.addr()]));
    let router = started(builder);
    let load = OpenLoad::start(router.http(), plan(100, 3, 2));
    let mut most_connections = 0;
    eventually(SOON, "the load was sent", || {
        most_connections = most_connections.max(origin.open_connections());
        load.begun() == 300
    });
    let outcomes = load.finish();
    let lost: Vec<_> = [Verb::Get, Verb::Post].into_iter().flat_map(|verb| lost(&outcomes, verb)).collect();
    assert!(lost.is_empty(), "{} lost: {:?}", lost.len(), lost.first());
    (origin, most_connections)
}

#[test]
fn an_endpoint_never_has_more_than_max_requests() {
    let (origin, _) = at_most("max_requests = 3\nqueue = 1000\nqueue_timeout = \"20s\"");
    assert_eq!(origin.most_at_once(), 3);
}

#[test]
fn an_endpoint_never_has_more_than_max_connections() {
    let (origin, most) = at_most("max_connections = 3\nqueue = 1000\nqueue_timeout = \"20s\"");
    // One that the router closed may not be known as closed there at once; each core its own would be more than eight.
    assert!(most <= 5 && origin.most_at_once() <= 3, "{most} connections, {} requests", origin.most_at_once());
}

#[test]
fn a_full_endpoint_leaves_the_work_to_another() {
    let (full, free) = (HttpOrigin::start("full"), HttpOrigin::start("free"));
    free.release();
    let router = started(webrouter().apps(&app("max_requests = 1\nqueue = 10", &[full.addr(), free.addr()])));
    let mut waiting = Vec::new();
    eventually(SOON, "one is full", || {
        waiting.push(held(&router));
        full.holding() == 1
    });
    for _ in 0..20 {
        assert_eq!(get(&router, "/").text(), "free");
    }
    full.release();
}

#[test]
fn the_circuit_breaker_opens_gives_the_app_a_pause_and_closes_again() {
    let origin = FaultyOrigin::start("one");
    let router = started(webrouter().apps(&app("circuit_breaker = 0.5", &[origin.addr()])));
    for _ in 0..30 {
        assert_eq!(get(&router, "/").status, 200);
    }
    origin.set_fault(Fault::Answer(503));
    let mut passed = 0;
    eventually(SOON, "it opens", || {
        let page = get(&router, "/");
        passed += u32::from(page.text() == "one");
        page.text().contains("circuit_open")
    });
    println!("opened after {passed} failures");
    assert!(passed >= 10, "not at the first trouble: {passed}");
    let seen = origin.seen().len();
    for _ in 0..20 {
        assert_page(&get(&router, "/"), 503, "circuit_open");
    }
    assert_eq!(origin.seen().len(), seen, "the app has its pause");

    // Half open, the app still fails: open again after a few trials.
    let tried_again = || origin.seen().len() > seen;
    eventually(SOON, "a few are let through", || {
        get(&router, "/");
        tried_again()
    });
    for _ in 0..20 {
        assert_page(&get(&router, "/"), 503, "circuit_open");
    }
    assert!(origin.seen().len() <= seen + 3, "{} trials", origin.seen().len() - seen);

    origin.set_fault(Fault::None);
    eventually(SOON, "it closes", || {
        let row = (0..20).map(|_| get(&router, "/").status).collect::<Vec<_>>();
        row.iter().all(|status| *status == 200)
    });
}

#[test]
fn the_circuit_breaker_of_one_app_is_nothing_to_another() {
    let (bad, good) = (FaultyOrigin::start("bad"), FaultyOrigin::start("good"));
    bad.set_fault(Fault::Answer(503));
    let apps = app("circuit_breaker = 0.5", &[bad.addr()])
        + &super::app_at("other", "other.test", "circuit_breaker = 0.5", &[good.addr()]);
    let router = started(webrouter().apps(&apps));
    eventually(SOON, "it opens", || get(&router, "/").text().contains("circuit_open"));
    let other = Client::connect(router.http()).get("other.test", "/").expect("an answer");
    assert_eq!((other.status, other.text().as_str()), (200, "good"));
}

#[test]
fn a_get_waits_for_an_endpoint_where_the_app_asks_for_it_and_a_post_does_not() {
    let origin = FaultyOrigin::start("one");
    let waits = "endpoint_wait = \"20s\"";
    let router = started(webrouter().apps(&app(waits, &[])));
    let mut get = Client::connect(router.http());
    get.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let mut post = Client::connect(router.http());
    post.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello");
    assert_page(&post.response(Asked::Content, SOON).expect("an answer"), 503, "no_endpoint");
    assert_eq!(get.read_to_end(Duration::from_millis(300)), webrouter_testkit::End::Deadline, "it waits");
    assert_eq!(get.received(), b"");
    router.edit_apps(&app(waits, &[origin.addr()]));
    assert_eq!(answer_on(get), (200, "one".to_owned()));
}

fn answer_on(client: Client) -> (u16, String) {
    let response = answer(client);
    (response.status, response.text())
}

#[test]
fn the_wait_for_an_endpoint_ends_with_503() {
    let router = started(webrouter().apps(&app("endpoint_wait = \"300ms\"", &[])));
    let began = Instant::now();
    assert_page(&get(&router, "/"), 503, "no_endpoint");
    assert!(began.elapsed() >= Duration::from_millis(290), "{:?}", began.elapsed());
}

/// A trial is judged by the head of its answer: streams that go on do not keep the breaker half-open.
#[test]
fn streams_that_go_on_close_the_circuit_breaker_all_the_same() {
    let faulty = FaultyOrigin::start("faulty");
    faulty.set_fault(Fault::Answer(503));
    let router = started(webrouter().apps(&app("circuit_breaker = 0.5", &[faulty.addr()])));
    eventually(SOON, "it opens", || get(&router, "/").text().contains("circuit_open"));
    let (streams, good) = (Origin::start(Vec::new()), FaultyOrigin::start("good"));
    let begun = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n";
    for _ in 0..50 {
        streams.push(vec![Step::ReadHead, Step::Write(begun.to_vec()), Step::Hang]);
    }
    edit_and_await(&router, "marker", &app("circuit_breaker = 0.5", &[streams.addr()]), good.addr());
    let mut open: Vec<Client> = Vec::new();
    eventually(SOON, "four streams go on", || {
        let mut client = Client::connect(router.http());
        client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        if client.response_head(SOON).is_ok_and(|head| head.start_line.contains("200")) {
            open.push(client);
        }
        open.len() == 4
    });
}

/// A client that waits for an endpoint is one request to the circuit breaker, however often it looks.
#[test]
fn one_client_that_waits_for_an_endpoint_opens_no_circuit_breaker() {
    let dead = FaultyOrigin::start("dead");
    dead.set_fault(Fault::Refuse);
    let router = started(webrouter().apps(&app("circuit_breaker = 0.5\nendpoint_wait = \"2s\"", &[dead.addr()])));
    let began = Instant::now();
    assert_page(&get(&router, "/"), 503, "connect_refused");
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
}

/// Who went away does not stand in line, and is not served.
#[test]
fn a_client_that_leaves_leaves_the_queue() {
    let origin = HttpOrigin::start("one");
    let policies = "max_requests = 1\nqueue = 1\nqueue_timeout = \"30s\"";
    let router = started(webrouter().apps(&app(policies, &[origin.addr()])));
    let first = held(&router);
    eventually(SOON, "one is under way", || origin.holding() == 1);
    let waiting = held(&router);
    eventually(SOON, "it stands in line", || router.metric("webrouter_requests_queue_length", "") == 1.0);
    assert_page(&get(&router, "/"), 503, "queue_full");
    waiting.reset();
    let mut last = None;
    eventually(SOON, "there is a place again", || {
        let mut client = held(&router);
        client.read_to_end(Duration::from_millis(50));
        let waits = client.received().is_empty();
        last = Some(client);
        waits
    });
    origin.release();
    assert_eq!(answer(first).status, 200);
    assert_eq!(answer(last.expect("it waits")).status, 200);
}
