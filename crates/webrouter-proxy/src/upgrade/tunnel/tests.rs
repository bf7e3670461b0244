use std::rc::Rc;
use std::sync::Arc;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, LocalSet, spawn_local, yield_now};
use tokio::time::{advance, timeout};
use webrouter_routing::endpoint::Endpoint;

use super::*;
use crate::fleet::endpoint::{EndpointState, Mark};
use crate::fleet::record::Record;
use crate::tunnels::Tunnels;

const KEY: [u8; 4] = [1, 2, 3, 4];
const PATIENCE: Patience = Patience { idle: Duration::from_secs(900), drain: Duration::from_secs(30) };
const HEAD: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";
/// "Hello" from a client, from an endpoint.
const MASKED: &[u8] = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
const PLAIN: &[u8] = b"\x81\x05Hello";

/// A tunnel between two real connections, on a clock that goes on only when the story says so.
struct Rig {
    client: TcpStream,
    app: TcpStream,
    endpoint: Arc<EndpointState>,
    tunnels: Rc<Tunnels>,
    tunnel: JoinHandle<Moved>,
}

impl Rig {
    async fn new(protocol: Protocol, up: &'static [u8], down: &'static [u8]) -> Self {
        let (client, ours) = connected().await;
        let (app, theirs) = connected().await;
        let endpoint = Endpoint::parse("10.0.0.1:80").expect("good");
        let endpoint = Arc::new(EndpointState::new(endpoint, Record::default()));
        let tunnels = Rc::<Tunnels>::default();
        let membership = Membership::enter(&tunnels, &endpoint);
        let tunnel = spawn_local(async move {
            let (client, endpoint) = (&mut Stream::Tcp(ours), &mut Stream::Tcp(theirs));
            let tunnel = Tunnel { client, endpoint, protocol, patience: PATIENCE, membership, masking_key: KEY };
            tunnel.run(First { down: &[HEAD, down].concat(), head_len: HEAD.len(), up }).await
        });
        let mut rig = Self { client, app, endpoint, tunnels, tunnel };
        rig.client_gets(HEAD).await;
        rig
    }

    async fn client_sends(&mut self, bytes: &[u8]) {
        self.client.write_all(bytes).await.expect("taken");
    }

    async fn app_sends(&mut self, bytes: &[u8]) {
        self.app.write_all(bytes).await.expect("taken");
    }

    #[track_caller]
    fn client_gets(&mut self, bytes: &'static [u8]) -> impl Future<Output = ()> {
        gets(&mut self.client, bytes)
    }

    #[track_caller]
    fn app_gets(&mut self, bytes: &'static [u8]) -> impl Future<Output = ()> {
        gets(&mut self.app, bytes)
    }

    async fn both_get_a_close(&mut self) {
        gets(&mut self.client, &GOING_AWAY).await;
        gets(&mut self.app, &masked_going_away(KEY)).await;
    }

    async fn both_get_a_fin(&mut self) {
        ends(&mut self.client).await;
        ends(&mut self.app).await;
    }

    async fn endpoint_leaves(&self) {
        self.endpoint.mark(Mark::DRAINING);
        self.tunnels.wake_leaving();
        yield_now().await;
    }

    async fn endpoint_stays(&self) {
        self.endpoint.unmark(Mark::DRAINING);
        self.tunnels.wake_leaving();
        yield_now().await;
    }

    /// Time passes, and frames still go both ways.
    async fn lives_on_for(&mut self, seconds: u64) {
        advance(Duration::from_secs(seconds)).await;
        self.client_sends(MASKED).await;
        self.app_gets(MASKED).await;
        self.app_sends(PLAIN).await;
        self.client_gets(PLAIN).await;
    }

    async fn both_answer_the_close(&mut self) {
        self.client_sends(&masked_going_away(*b"abcd")).await;
        self.app_sends(&GOING_AWAY).await;
    }

    /// Both connections end, and nothing else comes.
    async fn ends(mut self) -> Moved {
        self.both_get_a_fin().await;
        let moved = self.tunnel.await.expect("no panic");
        assert_eq!(self.tunnels.open(), 0);
        moved
    }

    async fn ends_after(self, seconds: u64) -> Moved {
        advance(Duration::from_secs(seconds)).await;
        self.ends().await
    }
}

async fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let connecting = TcpStream::connect(listener.local_addr().expect("bound"));
    let (ours, theirs) = tokio::join!(connecting, listener.accept());
    (ours.expect("connected"), theirs.expect("accepted").0)
}

async fn gets(stream: &mut TcpStream, expected: &[u8]) {
    let mut bytes = vec![0; expected.len()];
    let read = timeout(FOREVER, stream.read_exact(&mut bytes)).await;
    assert!(matches!(read, Ok(Ok(_))), "{read:?} instead of {expected:02x?}");
    assert_eq!(bytes, expected);
}

async fn ends(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // A close with unread bytes of the peer's is a reset.
    let _ = timeout(FOREVER, stream.read_to_end(&mut rest)).await.expect("ended");
    assert_eq!(rest, b"");
}

/// Runs a story of a tunnel. A paused clock jumps when nobody has anything to do, but not while a blocking task runs: one keeps it
/// from jumping over what is still in the sockets, and lets it go when the story hangs.
fn check<F: Future<Output = ()>>(
    protocol: Protocol,
    (up, down): (&'static [u8], &'static [u8]),
    story: impl FnOnce(Rig) -> F,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let (held, hold) = std::sync::mpsc::channel::<()>();
    let story = async {
        tokio::task::spawn_blocking(move || hold.recv_timeout(REAL_PATIENCE));
        story(Rig::new(protocol, up, down).await).await;
        drop(held);
    };
    LocalSet::new().block_on(&runtime.expect("a runtime"), story);
}

fn web_socket<F: Future<Output = ()>>(story: impl FnOnce(Rig) -> F) {
    check(Protocol::WebSocket, (b"", b""), story);
}

#[test]
fn bytes_go_both_ways_until_both_sides_are_done() {
    check(Protocol::Other, (b"early", b"first"), async |mut rig: Rig| {
        rig.client_gets(b"first").await;
        rig.app_gets(b"early").await;
        rig.client_sends(b"ping").await;
        rig.app_gets(b"ping").await;
        rig.app.shutdown().await.expect("FIN");
        ends(&mut rig.client).await;
        rig.client_sends(b"late").await;
        rig.app_gets(b"late").await;
        rig.client.shutdown().await.expect("FIN");
        assert_eq!(rig.ends().await, Moved { up: 13, down: 5 });
    });
}

#[test]
fn a_tunnel_that_nobody_uses_ends_after_the_idle_time_out() {
    web_socket(async |mut rig: Rig| {
        rig.lives_on_for(899).await;
        rig.lives_on_for(899).await;
        assert_eq!(rig.ends_after(900).await, Moved { up: 22, down: 14 });
    });
}

#[test]
fn a_leaving_endpoint_has_the_drain_time_out_then_both_sides_get_a_close() {
    web_socket(async |mut rig: Rig| {
        rig.endpoint_leaves().await;
        rig.lives_on_for(29).await;
        advance(Duration::from_secs(1)).await;
        rig.both_get_a_close().await;
        rig.both_answer_the_close().await;
        assert_eq!(rig.ends().await, Moved { up: 11, down: 7 });
    });
}

#[test]
fn a_fin_answers_a_close_too() {
    web_socket(async |mut rig: Rig| {
        rig.endpoint_leaves().await;
        advance(PATIENCE.drain).await;
        rig.both_get_a_close().await;
        rig.app.shutdown().await.expect("FIN");
        rig.client.shutdown().await.expect("FIN");
        rig.ends().await;
    });
}

#[test]
fn a_peer_that_answered_does_not_wait_for_the_other() {
    web_socket(async |mut rig: Rig| {
        rig.endpoint_leaves().await;
        advance(PATIENCE.drain).await;
        rig.both_get_a_close().await;
        rig.client_sends(&masked_going_away(*b"abcd")).await;
        ends(&mut rig.client).await;
        assert!(!rig.tunnel.is_finished());
        rig.ends_after(5).await;
    });
}

#[test]
fn peers_that_do_not_answer_are_cut() {
    web_socket(async |mut rig: Rig| {
        rig.endpoint_leaves().await;
        advance(PATIENCE.drain).await;
        rig.both_get_a_close().await;
        advance(Duration::from_secs(4)).await;
        assert!(!rig.tunnel.is_finished());
        rig.ends_after(1).await;
    });
}

#[test]
fn nothing_follows_a_close() {
    web_socket(async |mut rig: Rig| {
        rig.endpoint_leaves().await;
        advance(PATIENCE.drain).await;
        rig.both_get_a_close().await;
        rig.client_sends(MASKED).await;
        rig.app_sends(PLAIN).await;
        rig.both_answer_the_close().await;
        assert_eq!(rig.ends().await, Moved { up: 0, down: 0 });
    });
}

#[test]
fn a_frame_under_way_is_finished_first() {
    check(Protocol::WebSocket, (MASKED, b"\x81\x05He"), async |mut rig: Rig| {
        rig.app_gets(MASKED).await;
        rig.client_gets(b"\x81\x05He").await;
        rig.endpoint_leaves().await;
        advance(PATIENCE.drain).await;
        gets(&mut rig.app, &masked_going_away(KEY)).await;
        advance(Duration::from_secs(4)).await;
        rig.app_sends(b"llo").await;
        rig.client_gets(b"llo").await;
        gets(&mut rig.client, &GOING_AWAY).await;
        rig.both_answer_the_close().await;
        rig.ends().await;
    });
}

#[test]
fn a_frame_that_does_not_end_is_cut_without_a_close() {
    web_socket(async |mut rig: Rig| {
        rig.app_sends(b"\x81\x05He").await;
        rig.client_gets(b"\x81\x05He").await;
        rig.endpoint_leaves().await;
        advance(PATIENCE.drain).await;
        gets(&mut rig.app, &masked_going_away(KEY)).await;
        rig.ends_after(5).await;
    });
}

#[test]
fn who_said_close_already_gets_no_second_one() {
    web_socket(async |mut rig: Rig| {
        rig.client_sends(b"\x88\x80\x01\x02\x03\x04").await;
        rig.app_gets(b"\x88\x80\x01\x02\x03\x04").await;
        rig.endpoint_leaves().await;
        advance(PATIENCE.drain).await;
        gets(&mut rig.client, &GOING_AWAY).await;
        rig.app_sends(b"\x88\x00").await;
        rig.ends().await;
    });
}

#[test]
fn a_side_that_is_done_already_is_left_alone() {
    web_socket(async |mut rig: Rig| {
        rig.client.shutdown().await.expect("FIN");
        ends(&mut rig.app).await;
        rig.endpoint_leaves().await;
        advance(PATIENCE.drain).await;
        gets(&mut rig.client, &GOING_AWAY).await;
        rig.app_sends(b"\x88\x00").await;
        rig.ends().await;
    });
}

#[test]
fn another_protocol_gets_a_fin() {
    check(Protocol::Other, (b"", b""), async |mut rig: Rig| {
        rig.endpoint_leaves().await;
        rig.lives_on_for(29).await;
        advance(Duration::from_secs(1)).await;
        rig.both_get_a_fin().await;
        rig.client_sends(b"late").await;
        assert!(!rig.tunnel.is_finished());
        rig.client.shutdown().await.expect("FIN");
        rig.app.shutdown().await.expect("FIN");
        rig.ends().await;
    });
}

#[test]
fn what_is_no_web_socket_gets_a_fin() {
    web_socket(async |mut rig: Rig| {
        rig.client_sends(
            b"GET / HTTP/1.1
",
        )
        .await;
        rig.app_gets(
            b"GET / HTTP/1.1
",
        )
        .await;
        rig.endpoint_leaves().await;
        advance(PATIENCE.drain).await;
        gets(&mut rig.client, &GOING_AWAY).await;
        ends(&mut rig.app).await;
        rig.client.shutdown().await.expect("FIN");
        rig.app.shutdown().await.expect("FIN");
        rig.ends().await;
    });
}

#[test]
fn an_endpoint_that_stays_after_all_keeps_its_tunnels() {
    web_socket(async |mut rig: Rig| {
        rig.endpoint_leaves().await;
        rig.lives_on_for(20).await;
        rig.endpoint_stays().await;
        rig.lives_on_for(20).await;
        rig.endpoint_leaves().await;
        rig.lives_on_for(29).await;
        advance(Duration::from_secs(1)).await;
        rig.both_get_a_close().await;
        rig.ends_after(5).await;
    });
}

#[test]
fn a_core_that_stops_waits_for_no_drain_time_out() {
    web_socket(async |mut rig: Rig| {
        rig.endpoint_leaves().await;
        rig.tunnels.part();
        rig.both_get_a_close().await;
        rig.both_answer_the_close().await;
        rig.ends().await;
    });
}

/// On the paused clock.
const FOREVER: Duration = Duration::from_secs(3600);
/// On the wall's.
const REAL_PATIENCE: Duration = Duration::from_secs(30);
