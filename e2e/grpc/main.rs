//! gRPC from end to end: tonic's client → TLS, HTTP/2 → the router → h2c → tonic's server.

#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod service;

use std::future::Future;
use std::time::Duration;

use http::uri::PathAndQuery;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};
use webrouter_testkit::{Authority, Router, eventually};

use service::{Greeter, Texts};

struct Scene {
    authority: Authority,
    greeter: Greeter,
    router: Router,
}

fn scene() -> Scene {
    let (authority, greeter) = (Authority::new("Test Authority"), Greeter::start());
    let apps = format!(
        "[apps.\"greeter.web.web\"]\nmountpoint = [\"grpc.test\"]\nendpoints = [\"{}\"]\nprotocol = \"h2c\"\n\
         [apps.\"gone.web.web\"]\nmountpoint = [\"gone.test\"]\nendpoints = [\"127.0.0.1:1\"]\nprotocol = \"h2c\"\n",
        greeter.addr()
    );
    let pair = authority.pair(&["grpc.test", "gone.test"]);
    let builder = Router::builder(env!("CARGO_BIN_EXE_webrouter")).https_listener().pair("grpc", &pair).apps(&apps);
    let router = builder.section("[engine]\nthreads = 2\n").start();
    router.wait_ready();
    Scene { authority, greeter, router }
}

impl Scene {
    async fn client(&self, host: &str) -> Grpc<Channel> {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(self.authority.pem())).domain_name(host);
        let endpoint = Endpoint::from_shared(format!("https://{}", self.router.https())).expect("an address");
        let origin = format!("https://{host}").parse().expect("a host");
        let endpoint = endpoint.origin(origin).tls_config(tls).expect("a certificate");
        let mut client = Grpc::new(endpoint.connect().await.expect("a connection"));
        client.ready().await.expect("a connection that is ready");
        client
    }
}

/// Runs to the end, or fails after a while.
fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(LONG, work).await.expect("in time") })
}

fn method(name: &'static str) -> PathAndQuery {
    PathAndQuery::try_from(format!("/test.Greeter/{name}")).expect("a path")
}

fn text(text: &str) -> Request<String> {
    Request::new(text.to_owned())
}

async fn say(client: &mut Grpc<Channel>, request: Request<String>) -> Result<String, Status> {
    client.unary(request, method("Say"), Texts).await.map(tonic::Response::into_inner)
}

#[test]
fn one_for_one() {
    let scene = scene();
    run(async {
        let mut client = scene.client("grpc.test").await;
        assert_eq!(say(&mut client, text("Ann")).await.expect("an answer"), "hello Ann");
        // RFC 9113 §8.2.2 has an exception for it, and gRPC needs it.
        assert_eq!(scene.greeter.metadata("te").as_deref(), Some("trailers"));
        assert_eq!(scene.greeter.metadata("content-type").as_deref(), Some("application/grpc"));
        assert_eq!(scene.greeter.metadata("x-forwarded-proto").as_deref(), Some("https"));
        assert_eq!(scene.greeter.metadata("x-real-ip").as_deref(), Some("127.0.0.1"));
    });
}

#[test]
fn metadata_goes_there_and_a_status_comes_back_in_the_trailers() {
    let scene = scene();
    run(async {
        let mut client = scene.client("grpc.test").await;
        let mut request = text("nobody");
        request.metadata_mut().insert("x-team", "blue".parse().expect("a value"));
        let bytes = tonic::metadata::MetadataValue::from_bytes(b"\0\xff");
        request.metadata_mut().insert_bin("x-raw-bin", bytes);
        let status = say(&mut client, request).await.expect_err("nobody is there");
        assert_eq!((status.code(), status.message()), (Code::NotFound, "nobody is not here: 100 %"));
        assert_eq!(status.metadata().get("x-reason").and_then(|value| value.to_str().ok()), Some("gone"));
        assert_eq!(scene.greeter.metadata("x-team").as_deref(), Some("blue"));
        assert_eq!(scene.greeter.metadata("x-raw-bin").as_deref(), Some("AP8"));
    });
}

#[test]
fn one_for_many() {
    let scene = scene();
    run(async {
        let mut client = scene.client("grpc.test").await;
        let stream =
            client.server_streaming(text("1000"), method("Count"), Texts).await.expect("a stream").into_inner();
        let numbers: Vec<String> = stream.map(|number| number.expect("a number")).collect().await;
        assert_eq!((numbers.len(), numbers.last().map(String::as_str)), (1000, Some("1000")));
    });
}

#[test]
fn an_error_after_many_is_not_lost() {
    let scene = scene();
    run(async {
        let mut client = scene.client("grpc.test").await;
        let stream = client.server_streaming(text("7"), method("Count"), Texts).await.expect("a stream").into_inner();
        let mut answers: Vec<Result<String, Status>> = stream.collect().await;
        let last = answers.pop().expect("something").expect_err("an error at the end");
        assert_eq!((answers.len(), last.code(), last.message()), (7, Code::Aborted, "seven is enough"));
    });
}

#[test]
fn many_for_one() {
    let scene = scene();
    run(async {
        let mut client = scene.client("grpc.test").await;
        let numbers = tokio_stream::iter((1..=1000).map(|number: u32| number.to_string()));
        let sum = client.client_streaming(Request::new(numbers), method("Sum"), Texts).await;
        assert_eq!(sum.expect("a sum").into_inner(), "500500");
    });
}

/// Each message is there before the next is sent: nothing waits for more.
#[test]
fn many_for_many_in_turns() {
    let scene = scene();
    run(async {
        let mut client = scene.client("grpc.test").await;
        let (say, said) = tokio::sync::mpsc::channel(1);
        say.send("first".to_owned()).await.expect("room");
        let answers = client.streaming(Request::new(ReceiverStream::new(said)), method("Chat"), Texts).await;
        let mut answers = answers.expect("a stream").into_inner();
        assert_eq!(answers.message().await.expect("an answer").as_deref(), Some("first, too"));
        for number in 0..100 {
            say.send(number.to_string()).await.expect("room");
            let answer = answers.message().await.expect("an answer");
            assert_eq!(answer.as_deref(), Some(format!("{number}, too").as_str()));
        }
        drop(say);
        assert_eq!(answers.message().await.expect("the end"), None);
    });
}

#[test]
fn big_messages_and_many_calls_at_once() {
    let scene = scene();
    run(async {
        let client = scene.client("grpc.test").await;
        let big = "x".repeat(1_000_000);
        let mut calls = tokio::task::JoinSet::new();
        for number in 0..50 {
            let (mut client, name) = (client.clone(), if number % 10 == 0 { big.clone() } else { number.to_string() });
            calls.spawn(async move { (say(&mut client, text(&name)).await, name) });
        }
        while let Some(call) = calls.join_next().await {
            let (answer, name) = call.expect("no panic");
            assert_eq!(answer.expect("an answer").len(), "hello ".len() + name.len());
        }
    });
}

#[test]
fn a_call_that_is_given_up_ends_at_the_app() {
    let scene = scene();
    run(async {
        let mut client = scene.client("grpc.test").await;
        let mut other = client.clone();
        let call = tokio::spawn(async move { client.unary(text(""), method("Wait"), Texts).await.map(drop) });
        let greeter = &scene.greeter;
        until(|| greeter.waiting() == 1).await;
        call.abort();
        until(|| greeter.waiting() == 0).await;
        assert_eq!(say(&mut other, text("Ann")).await.expect("the connection lives on"), "hello Ann");
    });
}

#[test]
fn a_deadline_reaches_the_app() {
    let scene = scene();
    run(async {
        let mut client = scene.client("grpc.test").await;
        let mut request = text("");
        request.set_timeout(Duration::from_millis(400));
        let status = client.unary(request, method("Wait"), Texts).await.map(|_: tonic::Response<String>| ());
        let code = status.expect_err("no answer in time").code();
        assert!(matches!(code, Code::DeadlineExceeded | Code::Cancelled), "{code:?}");
        assert!(scene.greeter.metadata("grpc-timeout").is_some());
    });
    eventually(LONG, "the app is let go", || scene.greeter.waiting() == 0);
}

/// What the router answers itself is understood: 404 is Unimplemented, 502 to 504 are Unavailable.
#[test]
fn answers_of_the_router_itself_have_a_status() {
    let scene = scene();
    run(async {
        let mut client = scene.client("gone.test").await;
        let status = say(&mut client, text("Ann")).await.expect_err("nobody is there");
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        let mut client = scene.client("grpc.test").await;
        let unknown: Result<tonic::Response<String>, Status> = client.unary(text(""), method("Sing"), Texts).await;
        assert_eq!(unknown.expect_err("no such method").code(), Code::Unimplemented);
    });
}

/// Waits for a condition without holding up the runtime.
async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(4)).await;
    }
}

/// Generous: a wait ends when its condition holds, so only a failure takes this long.
const LONG: Duration = Duration::from_secs(20);
