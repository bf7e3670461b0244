//! The stand-in against what the recordings of a real lainlet show.

use std::time::Duration;

use super::*;
use crate::client::{Asked, Client};
use crate::eventually::eventually;
use crate::transport::End;

const SOON: Duration = Duration::from_secs(5);

fn endpoint(last: u8) -> SocketAddr {
    SocketAddr::from(([172, 20, 0, last], 8080))
}

fn demo() -> Lainlet {
    let lainlet = Lainlet::start();
    lainlet.set_app("demo.web.web", &["demo.lain.local"], &[endpoint(11), endpoint(12)]);
    lainlet
}

fn ask(lainlet: &Lainlet, target: &str) -> Client {
    let mut client = Client::connect(lainlet.addr());
    client.send(format!("GET {target} HTTP/1.1\r\nHost: l\r\nAccept: */*\r\n\r\n").as_bytes());
    client
}

fn get(lainlet: &Lainlet, target: &str) -> (u16, String) {
    let response = ask(lainlet, target).response(Asked::Content, SOON).expect("an answer");
    (response.status, response.text())
}

fn watch(lainlet: &Lainlet, target: &str) -> Client {
    let mut client = ask(lainlet, target);
    client.read_until(HEAD, SOON).expect("the head of a watch");
    client
}

fn frame(client: &mut Client) -> String {
    crate::latin1(&client.read_until(b"\n\n", SOON).expect("a frame"))
}

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nVary: Accept-Encoding\r\n\r\n";
const WEBPROCS: &str = "/v2/webrouter/webprocs";
const DEMO: &str = r#"{"demo.web.web":{"PodInfos":[{"Annotation":"{\"mountpoint\":[\"demo.lain.local\"]}","ContainerInfos":[{"ContainerIp":"172.20.0.11","Expose":8080}]},{"Annotation":"{\"mountpoint\":[\"demo.lain.local\"]}","ContainerInfos":[{"ContainerIp":"172.20.0.12","Expose":8080}]}]}}"#;

#[test]
fn a_get_is_the_recorded_bytes() {
    assert_eq!(get(&demo(), WEBPROCS), (200, DEMO.to_owned()));
}

#[test]
fn a_big_get_is_chunked() {
    let lainlet = demo();
    for n in 0..30 {
        lainlet.set_app(&format!("app{n}.web.web"), &["x.lain.local"], &[endpoint(1)]);
    }
    let response = ask(&lainlet, WEBPROCS).response(Asked::Content, SOON).expect("an answer");
    assert_eq!(response.value("transfer-encoding"), Some("chunked"));
    assert_eq!(response.body.first(), Some(&b'{'));
}

#[test]
fn nothing_to_say_is_the_error() {
    let lost = (500, "over half of the containers lost their IPs".to_owned());
    assert_eq!(get(&Lainlet::start(), WEBPROCS), lost);
    assert_eq!(get(&demo(), "/v2/webrouter/webprocs?appname=dem"), lost);
    assert_eq!(get(&demo(), "/v2/webrouter/webprocs?appname=demo").0, 200);
}

#[test]
fn a_watch_gets_the_whole_state_after_each_change_with_gaps_in_the_ids() {
    let lainlet = demo();
    let mut client = watch(&lainlet, "/v2/webrouter/webprocs?watch=1");
    assert_eq!(frame(&mut client), format!("id: 1\nevent: init\ndata: {DEMO}\n\n"));
    lainlet.set_config("ssl", Some("{}"));
    lainlet.set_app("shop.web.web", &["shop.lain"], &[endpoint(21)]);
    let update = frame(&mut client);
    assert!(update.starts_with("id: 3\nevent: update\ndata: {\"demo.web.web\":"), "{update}");
    assert!(update.contains("\"shop.web.web\""));
    lainlet.remove("shop.web.web");
    assert_eq!(frame(&mut client), format!("id: 4\nevent: delete\ndata: {DEMO}\n\n"));
}

#[test]
fn heartbeats_have_no_data_line() {
    let lainlet = demo();
    let mut client = watch(&lainlet, "/v2/webrouter/webprocs?watch=1&heartbeat=1");
    frame(&mut client);
    assert_eq!(frame(&mut client), "id: 0\nevent: heartbeat\n\n");
}

#[test]
fn an_error_ends_the_watch() {
    let lainlet = demo();
    let mut client = watch(&lainlet, "/v2/webrouter/webprocs?watch=1");
    frame(&mut client);
    lainlet.set_mode(Mode::Error);
    let error = "id: 0\nevent: error\ndata: over half of the containers lost their IPs\n\n";
    assert_eq!(frame(&mut client), error);
    assert_eq!(client.read_to_end(SOON), End::Closed);
    let mut again = watch(&lainlet, "/v2/webrouter/webprocs?watch=1");
    assert_eq!(frame(&mut again), error);
    assert_eq!(again.read_to_end(SOON), End::Closed);
}

#[test]
fn a_deaf_watch_stays_deaf_while_get_is_right() {
    let lainlet = demo();
    let mut client = watch(&lainlet, "/v2/webrouter/webprocs?watch=1&heartbeat=1");
    frame(&mut client);
    lainlet.set_mode(Mode::Deaf);
    assert_eq!(frame(&mut client), "id: 0\nevent: heartbeat\n\n");
    lainlet.set_mode(Mode::Normal);
    lainlet.set_app("shop.web.web", &["shop.lain"], &[endpoint(21)]);
    assert_eq!(frame(&mut client), "id: 0\nevent: heartbeat\n\n");
    assert!(get(&lainlet, WEBPROCS).1.contains("shop.web.web"));
}

#[test]
fn a_dropped_event_is_repaired_by_the_next_change_only() {
    let lainlet = demo();
    let mut client = watch(&lainlet, "/v2/webrouter/webprocs?watch=1&heartbeat=1");
    frame(&mut client);
    lainlet.set_mode(Mode::DropEvents);
    lainlet.set_app("shop.web.web", &["shop.lain"], &[endpoint(21)]);
    assert_eq!(frame(&mut client), "id: 0\nevent: heartbeat\n\n");
    assert!(get(&lainlet, WEBPROCS).1.contains("shop.web.web"));
    lainlet.set_mode(Mode::Normal);
    lainlet.set_app("more.web.web", &["more.lain"], &[endpoint(22)]);
    assert!(frame(&mut client).contains("shop.web.web"));
}

#[test]
fn a_byte_on_a_watch_is_a_crash() {
    let lainlet = demo();
    let mut client = watch(&lainlet, "/v2/webrouter/webprocs?watch=1");
    frame(&mut client);
    assert_eq!(lainlet.crashes(), Vec::<String>::new());
    client.send(b"\r\n");
    eventually(SOON, "the crash is recorded", || lainlet.crashes().len() == 1);
}

#[test]
fn down_refuses_and_up_is_the_same_port() {
    let lainlet = demo();
    let mut client = watch(&lainlet, "/v2/webrouter/webprocs?watch=1");
    frame(&mut client);
    lainlet.down();
    assert_eq!(client.read_to_end(SOON), End::Closed);
    assert!(Client::try_connect(lainlet.addr()).is_err());
    lainlet.up();
    assert_eq!(get(&lainlet, WEBPROCS).0, 200);
}

#[test]
fn half_open_sends_nothing_and_closes_nothing() {
    let lainlet = demo();
    let mut client = watch(&lainlet, "/v2/webrouter/webprocs?watch=1&heartbeat=1");
    frame(&mut client);
    lainlet.set_mode(Mode::HalfOpen(Gets::Answer));
    assert_eq!(client.read_to_end(Duration::from_millis(1500)), End::Deadline);
    assert_eq!(client.received(), b"");
    assert_eq!(get(&lainlet, WEBPROCS).0, 200);
}

#[test]
fn configuration_is_json_in_a_string_and_takes_the_exact_key() {
    let lainlet = demo();
    assert_eq!(get(&lainlet, "/v2/configwatcher?target=ssl"), (200, "{}".to_owned()));
    lainlet.set_config("ssl_backup", Some("x"));
    assert_eq!(get(&lainlet, "/v2/configwatcher?target=ssl").1, r#"{"ssl_backup":"x"}"#);
    lainlet.set_config("ssl", Some(r#"{"*.lain":"web"}"#));
    assert_eq!(get(&lainlet, "/v2/configwatcher?target=ssl").1, r#"{"ssl":"{\"*.lain\":\"web\"}"}"#);
}
