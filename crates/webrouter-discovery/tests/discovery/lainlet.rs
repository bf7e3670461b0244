use std::time::Duration;

use webrouter_discovery::status::SourceState::{Connecting, Failing, Following};
use webrouter_discovery::{Discovery, DiscoveryConfig, LainletConfig};
use webrouter_testkit::{Garbage, Gets, Lainlet, Mode};

use crate::scene::{config, errors, eventually, gone, has_error, is, key, lainlet, ready, routes, source};

#[tokio::test]
async fn init_update_and_delete_are_in_force_at_once() {
    let lainlet = lainlet(&["a", "b"]);
    let discovery = ready(config(&lainlet)).await;
    assert_eq!(routes(&discovery), "a.lain b.lain");
    lainlet.set_app(&key("c"), &["c.lain"], &[gone(3), gone(4)]);
    eventually("c is routed", || routes(&discovery) == "a.lain b.lain c.lain").await;
    assert_eq!(discovery.table().endpoint_count(), 4);
    lainlet.remove(&key("b"));
    eventually("b is gone", || routes(&discovery) == "a.lain c.lain").await;
    let status = source(&discovery);
    assert_eq!((status.state, status.reconnects), (Following, 0));
    assert!(status.last_news_at.is_some() && status.last_error.is_none());
    assert_eq!(lainlet.crashes(), [""; 0]);
}

#[tokio::test]
async fn heartbeats_keep_a_quiet_watch_open() {
    let lainlet = lainlet(&["a"]);
    let mut config = config(&lainlet);
    config.lainlet.as_mut().expect("lainlet").refresh = Duration::from_secs(1);
    let discovery = ready(config).await;
    // A GET leaves the watches alone; three of them take longer than a watch may be silent.
    eventually("three GETs", || gets(&lainlet) >= 3).await;
    assert_eq!((source(&discovery).state, source(&discovery).reconnects), (Following, 0));
    assert_eq!(lainlet.watches(), 3);
    assert_eq!(lainlet.crashes(), [""; 0]);
}

#[tokio::test]
async fn error_events_keep_the_table_and_are_not_answered_with_a_storm() {
    let lainlet = lainlet(&["a", "b"]);
    let discovery = ready(config(&lainlet)).await;
    let watches = || lainlet.requests().iter().filter(|line| line.contains("webprocs?watch")).count();
    let before = watches();
    lainlet.set_mode(Mode::Error);
    eventually("it fails", || is(&discovery, Failing)).await;
    let failing = std::time::Instant::now();
    eventually("five more watches", || watches() >= before + 5).await;
    // The pauses between them double from 100 ms on, and up to a half of each is taken away.
    assert!(failing.elapsed() > Duration::from_millis(500), "{:?}", failing.elapsed());
    assert_eq!(routes(&discovery), "a.lain b.lain");
    let error = source(&discovery).last_error.expect("an error");
    assert!(error.message.contains("over half"), "{error:?}");
    assert!(has_error(&discovery, "error_event") && has_error(&discovery, "http_status"));
    let well_again = std::time::Instant::now();
    lainlet.set_mode(Mode::Normal);
    lainlet.set_app(&key("c"), &["c.lain"], &[gone(3)]);
    eventually("c is routed", || routes(&discovery) == "a.lain b.lain c.lain").await;
    assert!(well_again.elapsed() < Duration::from_secs(1), "{:?}", well_again.elapsed());
    eventually("it is followed", || is(&discovery, Following)).await;
}

#[tokio::test]
async fn a_lainlet_that_goes_and_comes_back_is_followed_within_a_second() {
    let lainlet = lainlet(&["a"]);
    let discovery = ready(config(&lainlet)).await;
    lainlet.down();
    // By then the pauses between attempts have grown.
    eventually("it fails often", || errors(&discovery, "connect") >= 30).await;
    assert_eq!(routes(&discovery), "a.lain");
    lainlet.set_app(&key("b"), &["b.lain"], &[gone(2)]);
    lainlet.up();
    let back = std::time::Instant::now();
    eventually("b is routed", || routes(&discovery) == "a.lain b.lain").await;
    assert!(back.elapsed() < Duration::from_secs(1), "{:?}", back.elapsed());
    eventually("it is followed", || is(&discovery, Following)).await;
    assert!(source(&discovery).reconnects > 0);
}

#[tokio::test]
async fn a_half_open_connection_is_given_up() {
    let lainlet = lainlet(&["a"]);
    let discovery = ready(config(&lainlet)).await;
    lainlet.set_mode(Mode::HalfOpen(Gets::Hang));
    eventually("it fails", || is(&discovery, Failing) && has_error(&discovery, "read_timeout")).await;
    assert_eq!(routes(&discovery), "a.lain");
    lainlet.set_mode(Mode::Normal);
    lainlet.set_app(&key("b"), &["b.lain"], &[gone(2)]);
    eventually("b is routed", || routes(&discovery) == "a.lain b.lain").await;
    eventually("it is followed", || is(&discovery, Following)).await;
}

#[tokio::test]
async fn what_a_deaf_watch_does_not_tell_is_found_by_get() {
    let lainlet = lainlet(&["a"]);
    let discovery = ready(config(&lainlet)).await;
    lainlet.set_mode(Mode::Deaf);
    lainlet.set_app(&key("b"), &["b.lain"], &[gone(2)]);
    eventually("b is routed", || routes(&discovery) == "a.lain b.lain").await;
    assert!(source(&discovery).deaf_watches >= 1);
    lainlet.set_mode(Mode::Normal);
    // The new watches were opened deaf too, so they are found out once more.
    lainlet.set_app(&key("c"), &["c.lain"], &[gone(3)]);
    eventually("c is routed", || routes(&discovery) == "a.lain b.lain c.lain").await;
    assert_eq!(lainlet.crashes(), [""; 0]);
}

#[tokio::test]
async fn an_event_that_was_dropped_is_found_by_get() {
    let lainlet = lainlet(&["a"]);
    let discovery = ready(config(&lainlet)).await;
    lainlet.set_mode(Mode::DropEvents);
    lainlet.set_app(&key("b"), &["b.lain"], &[gone(2)]);
    eventually("b is routed", || routes(&discovery) == "a.lain b.lain").await;
    assert_eq!(source(&discovery).deaf_watches, 1);
}

#[tokio::test]
async fn a_busy_watch_is_not_taken_for_deaf() {
    let lainlet = lainlet(&["a"]);
    let discovery = ready(config(&lainlet)).await;
    for round in 10.. {
        lainlet.set_app(&key("b"), &["b.lain"], &[gone(round)]);
        let events = source(&discovery).events;
        eventually("it is heard", || source(&discovery).events > events).await;
        if gets(&lainlet) >= 5 {
            break;
        }
    }
    assert_eq!(source(&discovery).deaf_watches, 0);
}

#[tokio::test]
async fn garbage_keeps_the_table_and_is_counted() {
    let lainlet = lainlet(&["a", "b", "c", "d"]);
    let mut config = config(&lainlet);
    config.lainlet.as_mut().expect("lainlet").max_bytes = 1 << 20;
    let discovery = ready(config).await;
    let before = routes(&discovery);
    for (garbage, kind) in
        [(Garbage::NotJson, "not_json"), (Garbage::HugeLine, "too_large"), (Garbage::Truncated, "closed")]
    {
        lainlet.set_mode(Mode::Garbage(garbage));
        eventually(kind, || is(&discovery, Failing) && has_error(&discovery, kind)).await;
        assert_eq!(routes(&discovery), before, "{garbage:?}");
        lainlet.set_mode(Mode::Normal);
        eventually("it is followed", || is(&discovery, Following)).await;
    }
    lainlet.edit(|procs| {
        procs.insert(key("a"), serde_json::json!({ "PodInfos": 7 }));
        procs.insert("no name".into(), serde_json::json!(null));
        procs.insert(key("e"), Lainlet::entry(&["e.lain"], &[gone(5)]));
    });
    eventually("e is routed", || routes(&discovery) == "a.lain b.lain c.lain d.lain e.lain").await;
    let table = discovery.table();
    let rejections: Vec<_> = table.rejections().iter().map(|r| (r.entry.clone(), r.reason.kind())).collect();
    assert_eq!(rejections, [("no name".to_owned(), "bad_name"), (key("a"), "unreadable_entry")]);
    assert_eq!(table.endpoint_count(), 5, "a keeps its endpoint");
}

#[tokio::test]
async fn a_lainlet_that_has_loaded_nothing_makes_nobody_ready() {
    let lainlet = lainlet(&[]);
    lainlet.set_mode(Mode::Empty);
    let discovery = Discovery::start(config(&lainlet)).await.expect("started");
    eventually("it is seen", || has_error(&discovery, "empty")).await;
    assert!(!discovery.is_ready());
    let status = discovery.status();
    assert!(status.not_ready_because.is_some_and(|why| why.contains("lainlet")), "{:?}", status.sources);
    lainlet.set_mode(Mode::Normal);
    lainlet.set_app(&key("a"), &["a.lain"], &[gone(1)]);
    eventually("ready", || discovery.is_ready()).await;
    assert_eq!(routes(&discovery), "a.lain");
}

#[tokio::test]
async fn an_empty_answer_is_an_error_later_too() {
    let lainlet = lainlet(&["a", "b"]);
    let mut config = config(&lainlet);
    config.guard.grace = Duration::from_millis(100);
    let discovery = ready(config).await;
    lainlet.set_mode(Mode::Empty);
    eventually("it is seen", || has_error(&discovery, "empty") && is(&discovery, Failing)).await;
    let asked = gets(&lainlet);
    eventually("it is asked again, after the grace", || gets(&lainlet) >= asked + 3).await;
    assert_eq!((routes(&discovery).as_str(), discovery.status().hold), ("a.lain b.lain", None));
    lainlet.set_mode(Mode::Normal);
    eventually("it is followed", || is(&discovery, Following)).await;
}

#[tokio::test]
async fn settings_are_followed_and_survive_a_lainlet_that_has_just_started() {
    let lainlet = lainlet(&["a"]);
    lainlet.set_config("ssl", Some(r#"{"*.lain":"web"}"#));
    lainlet.set_config("ssl_old", Some(r#"{"*.lain":"old"}"#));
    lainlet.set_config("extra_domains", Some(r#"["example.test"]"#));
    let discovery = ready(config(&lainlet)).await;
    let stem = || discovery.table().certificates().stem("a.lain").map(str::to_owned);
    let internal = || discovery.table().domains().is_internal("x.example.test");
    assert_eq!((stem().as_deref(), internal()), (Some("web"), true));
    lainlet.set_config("ssl", Some(r#"{"*.lain":"new"}"#));
    eventually("the new map", || stem().as_deref() == Some("new")).await;
    lainlet.set_config("ssl", Some("not a map"));
    eventually("a rejection", || !discovery.table().rejections().is_empty()).await;
    assert_eq!(stem().as_deref(), Some("new"));
    // The key is gone, and a GET says so again: believed. Another key with that beginning does not stand in.
    lainlet.set_config("ssl", None);
    eventually("no map", || stem().is_none()).await;
    assert!(internal());
}

#[tokio::test(start_paused = true)]
async fn without_a_source_nothing_is_ever_ready() {
    let discovery = Discovery::start(DiscoveryConfig::default()).await.expect("started");
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert!(tokio::time::timeout(Duration::from_secs(3600), discovery.ready()).await.is_err());
    let status = discovery.status();
    assert!(!status.ready);
    assert_eq!(status.not_ready_because.as_deref(), Some("no source is configured"));
}

#[tokio::test]
async fn a_silent_lainlet_is_only_connecting() {
    let lainlet = lainlet(&["a"]);
    lainlet.set_mode(Mode::HalfOpen(Gets::Hang));
    let discovery = Discovery::start(config(&lainlet)).await.expect("started");
    eventually("it is asked for all", || lainlet.requests().len() >= 3).await;
    assert!(is(&discovery, Connecting) && !discovery.is_ready());
}

/// GETs of the webprocs so far.
fn gets(lainlet: &Lainlet) -> usize {
    lainlet.requests().iter().filter(|line| line.contains("/webprocs ")).count()
}

/// A lainlet that answers each connection in a thread; the first GET of the webprocs fails.
fn failing_one_get() -> std::net::SocketAddr {
    use std::io::{Read, Write};
    use std::sync::atomic::{AtomicBool, Ordering};
    const STATE: &str = r#"{"a.web.web":{"PodInfos":[{"Annotation":"{\"mountpoint\":[\"a.lain\"]}"}]}}"#;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let failed = std::sync::Arc::new(AtomicBool::new(false));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().filter_map(Result::ok).take(50) {
            let failed = std::sync::Arc::clone(&failed);
            std::thread::spawn(move || {
                let mut request = [0; 1024];
                let length = stream.read(&mut request).unwrap_or(0);
                let request = String::from_utf8_lossy(request.get(..length).unwrap_or_default()).into_owned();
                let state = if request.contains("/webprocs") { STATE } else { "{}" };
                let _ = if request.contains("watch=1") {
                    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
                    let _ = write!(stream, "{head}id: 1\nevent: init\ndata: {state}\n\n");
                    (0..100).try_for_each(|_| {
                        std::thread::sleep(Duration::from_millis(200));
                        write!(stream, "id: 0\nevent: heartbeat\n\n")
                    })
                } else if state == STATE && !failed.swap(true, Ordering::SeqCst) {
                    write!(stream, "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")
                } else {
                    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{state}", state.len())
                };
            });
        }
    });
    address
}

#[tokio::test]
async fn one_failed_get_is_repeated_soon() {
    let mut config = LainletConfig::new(failing_one_get().to_string());
    config.refresh = Duration::from_secs(4);
    let discovery = ready(DiscoveryConfig { lainlet: Some(config), ..DiscoveryConfig::default() }).await;
    eventually("a GET fails", || is(&discovery, Failing)).await;
    let failed = std::time::Instant::now();
    eventually("it is followed", || is(&discovery, Following)).await;
    assert!(failed.elapsed() < Duration::from_secs(2), "{:?}", failed.elapsed());
    assert_eq!(source(&discovery).reconnects, 0);
}
