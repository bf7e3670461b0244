use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::num::NonZeroU32;

use arc_swap::ArcSwap;
use socket2::{Domain, Socket, Type};
use tokio::task::LocalSet;
use tokio::time::timeout;
use webrouter_routing::merge::Defaults;
use webrouter_routing::policy::{Policy, Timeouts};
use webrouter_routing::snapshot::Snapshot;
use webrouter_telemetry::access_log::{AccessLog, AccessLogConfig, Destination, Format};
use webrouter_telemetry::flight_recorder::CoreRecorder;
use webrouter_telemetry::metrics::Metrics;

use super::*;
use crate::clients::Clients;
use crate::config::{Limits, ProxyConfig, Timeouts as ClientTimeouts, UnknownHost};
use crate::fleet::{Fleet, FleetConfig};
use crate::sticky::StickyKey;
use crate::upstream::balance::tests::upstream;

/// What becomes of a connection to it.
#[derive(Clone, Copy)]
enum Host {
    Answers,
    Refuses,
    /// SYNs are dropped: its backlog is full.
    Silent,
}

/// A core, one upstream of hosts on loopback, and what keeps them as they are.
struct Scene {
    core: Core,
    state: Rc<UpstreamState>,
    view: Rc<View>,
    /// Both ends of a client's connection.
    client: Stream,
    _far: std::net::TcpStream,
    _sockets: Vec<Socket>,
}

fn socket() -> Socket {
    Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket")
}

fn host(host: Host, sockets: &mut Vec<Socket>) -> Endpoint {
    let listener = socket();
    listener.bind(&SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).into()).expect("a free port");
    let address = listener.local_addr().expect("its address");
    match host {
        // Bound, so that nobody else takes the port.
        Host::Refuses => {}
        Host::Answers => listener.listen(64).expect("it listens"),
        Host::Silent => {
            listener.listen(0).expect("it listens");
            for _ in 0..4 {
                let caller = socket();
                caller.set_nonblocking(true).expect("a socket");
                let _ = caller.connect(&address);
                sockets.push(caller);
            }
        }
    }
    sockets.push(listener);
    Endpoint::new(address.as_socket().expect("an IP address")).expect("a port")
}

fn scene(hosts: &[Host], policy: Policy) -> Scene {
    let mut sockets = Vec::new();
    let endpoints: Vec<Endpoint> = hosts.iter().map(|kind| host(*kind, &mut sockets)).collect();
    let config = ProxyConfig {
        listeners: Vec::new(),
        h2c: false,
        proxy_protocol: Vec::new(),
        tls: None,
        threads: 1,
        timeouts: ClientTimeouts::default(),
        limits: Limits::default(),
        trusted_proxies: Vec::new(),
        unknown_host: UnknownHost::NotFound,
        sticky_key: StickyKey::new([0; 32]),
    };
    let access_log = AccessLog::start(AccessLogConfig { destination: Destination::Stdout, format: Format::Json });
    let core = Core::new(
        config.into(),
        ArcSwap::from_pointee(Snapshot::empty(&Defaults::default())).into(),
        Metrics::new().core(0),
        access_log.expect("a log"),
        Clients::new(std::sync::Arc::default(), None),
        Fleet::new(FleetConfig::default(), Vec::new()).into(),
        CoreRecorder::default(),
    );
    let upstream = upstream(&endpoints, policy);
    let state = core.upstream(&upstream);
    let view = state.view(&upstream, &core.fleet);
    view.turn.set(0);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let far = std::net::TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
    let (client, _) = listener.accept().expect("a connection");
    client.set_nonblocking(true).expect("it does not block");
    let client = TcpStream::from_std(client).expect("a connection");
    Scene { core, state, view, client: Stream::Tcp(client), _far: far, _sockets: sockets }
}

impl Scene {
    fn connector(&self) -> Connector<'_> {
        let view = Rc::clone(&self.view);
        Connector {
            core: &self.core,
            state: &self.state,
            view,
            affinity: Affinity::None,
            tried: Vec::new(),
            unreachable: Vec::new(),
            attempts: 0,
        }
    }

    /// Requests in flight and open connections, of each.
    fn counts(&self) -> Vec<(u32, u32)> {
        self.view.seats.iter().map(|seat| (seat.shared.in_flight(), seat.shared.connections())).collect()
    }

    /// Failures in a row, of each.
    fn failures(&self) -> Vec<u32> {
        self.view.seats.iter().map(|seat| seat.shared.failures()).collect()
    }
}

fn patient(connect: Duration) -> Policy {
    Policy { timeouts: Timeouts { connect, ..Timeouts::default() }, ..Policy::default() }
}

/// Who serves, who is blamed in the end, and that it took no longer than it had to; the first has its turn.
async fn check(hosts: &[Host], serving: usize, failures: &[u32], head_starts: u32) {
    let scene = scene(hosts, patient(Duration::from_secs(1)));
    let began = Instant::now();
    let mut connector = scene.connector();
    let connection = connector.connect(Freshness::Any, &scene.client).await.expect("a connection");
    let took = began.elapsed();
    assert_eq!(connection.flight.seat.shared.endpoint, scene.view.seats[serving].shared.endpoint);
    assert!(took >= HEAD_START * head_starts && took < HEAD_START * (head_starts + 3), "{took:?}");
    assert!(!connector.tried.contains(&connection.flight.seat.shared.endpoint), "who serves may be asked again");
    let late: Vec<u32> = scene.view.seats.iter().map(|seat| seat.late.get()).collect();
    assert_eq!(late.iter().sum::<u32>(), head_starts, "whose end is awaited");
    if head_starts > 0 {
        let mut another = scene.connector();
        let second = another.connect(Freshness::New, &scene.client).await.expect("a connection");
        assert_eq!(another.attempts, 1, "who is late is spared");
        drop(second);
    }
    let over = async {
        while scene.view.seats.iter().any(|seat| seat.late.get() > 0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(9), over).await.expect("it is over by the connect time-out");
    assert_eq!(scene.failures(), failures);
    let only =
        |own: (u32, u32)| (0..hosts.len()).map(|nth| if nth == serving { own } else { (0, 0) }).collect::<Vec<_>>();
    assert_eq!(scene.counts(), only((1, 1)), "who lost the race is left");
    connection.keep(None, Duration::from_secs(1));
    assert_eq!(scene.counts(), only((0, 1)));
    scene.view.seats[serving].give_way();
    assert_eq!(scene.counts(), only((0, 0)));
}

#[tokio::test]
async fn whoever_can_be_reached_serves() {
    use Host::{Answers, Refuses, Silent};
    let races = async {
        check(&[Answers, Answers], 0, &[0, 0], 0).await;
        check(&[Refuses, Answers], 1, &[1, 0], 0).await;
        check(&[Silent, Answers], 1, &[1, 0], 1).await;
    };
    LocalSet::new().run_until(races).await;
}

#[tokio::test]
async fn nobody_to_be_reached_is_said_in_time() {
    let check = async |hosts: &[Host], cause: Cause, most: Duration| {
        let scene = scene(hosts, patient(Duration::from_millis(400)));
        let began = Instant::now();
        let error = scene.connector().connect(Freshness::Any, &scene.client).await.expect_err("nobody");
        assert!(matches!(error, ProxyError::Unreachable { cause: found, .. } if found == cause), "{error:?}");
        assert!(began.elapsed() < most, "{:?}", began.elapsed());
        assert_eq!(scene.counts(), vec![(0, 0); hosts.len()]);
        assert_eq!(scene.failures(), vec![1; hosts.len()]);
    };
    let soon = Duration::from_millis(300);
    check(&[Host::Refuses, Host::Refuses], Cause::ConnectRefused, soon).await;
    // Beside each other: 250 ms after the first the second is asked.
    check(&[Host::Silent, Host::Silent], Cause::ConnectTimeout, Duration::from_millis(750)).await;
}

#[tokio::test]
async fn a_race_that_is_broken_off_leaves_no_count() {
    let scene = scene(&[Host::Silent, Host::Silent], patient(Duration::from_secs(60)));
    let mut connector = scene.connector();
    let mut connecting = Box::pin(connector.connect(Freshness::Any, &scene.client));
    let begun = timeout(HEAD_START * 2, &mut connecting).await;
    assert!(begun.is_err(), "nobody answers");
    assert_eq!(scene.counts(), [(1, 1), (1, 1)], "both are asked by now");
    drop(connecting);
    assert_eq!(scene.counts(), [(0, 0), (0, 0)]);
}

#[tokio::test]
async fn who_waits_for_a_connection_waits_quietly() {
    let one = NonZeroU32::new(1);
    let policy = Policy { max_connections: one, queue_timeout: Duration::from_millis(200), ..Policy::default() };
    let scene = scene(&[Host::Answers], policy);
    let test = async {
        let held = scene.connector().connect(Freshness::Any, &scene.client).await.expect("a connection");
        let asked = scene.view.turn.get();
        let error =
            scene.connector().connect(Freshness::Any, &scene.client).await.expect_err("there is one connection");
        assert!(matches!(error, ProxyError::Busy { cause: Cause::QueueTimeout, .. }), "{error:?}");
        let asked = scene.view.turn.get() - asked;
        assert!(asked <= 3, "it asked {asked} times though nothing changed");
        assert_eq!(scene.counts(), [(1, 1)]);
        // And has it as soon as it is free, on this core or another.
        let mut waiter = scene.connector();
        let (waited, ()) = tokio::join!(waiter.connect(Freshness::Any, &scene.client), async {
            held.keep(None, Duration::from_secs(1))
        });
        drop(waited.expect("a connection"));
        assert_eq!(scene.counts(), [(0, 0)]);
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn an_idle_connection_that_is_too_old_makes_room_for_a_new_one() {
    let policy = Policy { max_connections: NonZeroU32::new(1), ..Policy::default() };
    let scene = scene(&[Host::Answers], policy);
    let test = async {
        scene
            .connector()
            .connect(Freshness::Any, &scene.client)
            .await
            .expect("a connection")
            .keep(None, Duration::from_secs(1));
        let connection = scene.connector().connect(Freshness::New, &scene.client).await.expect("a new one");
        assert!(!connection.reused);
        assert_eq!(scene.counts(), [(1, 1)]);
    };
    LocalSet::new().run_until(test).await;
}

/// A request that cannot be sent twice takes no old connection, and leaves it to those that can.
#[tokio::test]
async fn what_is_too_old_for_one_request_is_kept_for_another() {
    let scene = scene(&[Host::Answers], Policy::default());
    scene
        .connector()
        .connect(Freshness::Any, &scene.client)
        .await
        .expect("a connection")
        .keep(None, Duration::from_secs(1));
    let seat = &scene.view.seats[0];
    assert!(seat.take(Duration::ZERO).is_none());
    assert_eq!(scene.counts(), [(0, 1)]);
    assert!(scene.connector().connect(Freshness::Any, &scene.client).await.expect("a connection").reused);
}

/// The kernel counts from its second sending on: silence is noticed in the connect time-out only if it is told less.
#[tokio::test]
async fn the_kernel_is_told_less_than_the_connect_timeout() {
    for (connect, told) in [(5000, 4500), (2000, 1500), (1000, 1000), (10, 1000)] {
        let scene = scene(&[Host::Answers], patient(Duration::from_millis(connect)));
        let connection = scene.connector().connect(Freshness::Any, &scene.client).await.expect("a connection");
        let Stream::Tcp(stream) = &connection.stream else { panic!("it is plain") };
        let patience = socket2::SockRef::from(stream).tcp_user_timeout().expect("it can be asked");
        assert_eq!(patience, Some(Duration::from_millis(told)), "of {connect} ms");
    }
}
