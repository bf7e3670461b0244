//! Clients that keep a router busy for nothing: cut off, counted, and not felt by anybody else.
//!
//! Each flood runs on a connection of its own until the router ends it. All the while another client is served on each
//! kind of connection, and the router's memory is watched.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use webrouter_testkit::http2::{Code, Fields, Frame, Http2, Windows, flag, indexed, indexing, setting};
use webrouter_testkit::{Client, End, HttpOrigin, Router, eventually, until};

/// What a flood may cost at most.
pub(crate) const GROWTH_KIB: u64 = 16 * 1024;

/// The highest resident memory seen while `work` runs.
pub(crate) fn peak_during(router: &Router, work: impl FnOnce() + Send) -> u64 {
    thread::scope(|scope| {
        let worker = scope.spawn(work);
        let mut peak = 0;
        until(LONG, || {
            peak = peak.max(router.rss_kib());
            worker.is_finished().then_some(())
        });
        worker.join().expect("the work succeeds");
        peak
    })
}

/// A router with one app, whose memory is in use already.
struct Ground {
    origin: HttpOrigin,
    router: Router,
}

impl Ground {
    fn new() -> Ground {
        let origin = HttpOrigin::start("one");
        let apps =
            format!("[apps.\"demo.web.web\"]\nmountpoint = [\"demo.test\"]\nendpoints = [\"{}\"]\n", origin.addr());
        let builder = Router::builder(env!("CARGO_BIN_EXE_webrouter")).listen("h2c = true").apps(&apps);
        let router = builder.section("[engine]\nthreads = 2").start();
        router.wait_ready();
        for _ in 0..8 {
            let mut connection = Http2::connect(router.http());
            for _ in 0..50 {
                let answer = connection.get("demo.test", "/bytes-10000").map(|answer| answer.body.len());
                assert_eq!(answer, Ok(10_000));
            }
        }
        Ground { origin, router }
    }

    /// Sends batch after batch until the router ends the connection; fails when it does not, or when others feel it.
    #[track_caller]
    fn endures(&self, batches: usize, flood: impl FnMut(&mut Http2, usize) -> bool + Send) {
        self.endures_on(Http2::connect(self.router.http()), batches, flood);
    }

    #[track_caller]
    fn endures_on(
        &self,
        mut connection: Http2,
        batches: usize,
        mut flood: impl FnMut(&mut Http2, usize) -> bool + Send,
    ) {
        let counted = self.router.metric("webrouter_http2_floods_total", "");
        let before = self.router.rss_kib();
        // Who is neither read from nor closed is not left waiting.
        connection.client().set_write_timeout(SOON);
        let mut taken = 0;
        let peak = peak_during(&self.router, || {
            self.others_are_served(|| {
                while taken < batches && flood(&mut connection, taken) {
                    taken += 1;
                }
                let end = connection.read_to_end(SOON);
                let goaway = connection.inbox().goaway.clone();
                assert_ne!(end, End::Deadline, "{taken} of {batches} batches were taken, then nothing: {goaway:?}");
                // It may be lost where the rest of what was sent meets a closed socket.
                let code = goaway.map(|goaway| goaway.code);
                assert_ne!(code, Some(Code::NO_ERROR), "who floods is told so");
            });
        });
        println!("{taken} of {batches} batches, {:?}, RSS {before} to {peak} KiB", connection.inbox().goaway);
        assert!(peak < before + GROWTH_KIB, "grew from {before} to {peak} KiB");
        // Who ends the connection at the first wrong frame has seen no flood.
        let ended_at_once =
            connection.inbox().goaway.as_ref().is_some_and(|goaway| goaway.code == Code::PROTOCOL_ERROR);
        let more = || ended_at_once || self.router.metric("webrouter_http2_floods_total", "") > counted;
        eventually(SOON, "the flood is counted", more);
        eventually(SOON, "the app is let go", || self.origin.holding() == 0);
    }

    /// Other clients, old and new, each get their answers soon while `work` goes on.
    fn others_are_served(&self, work: impl FnOnce()) {
        let (over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
        thread::scope(|scope| {
            let observer = scope.spawn(|| {
                let mut old = Http2::connect(self.router.http());
                let mut slowest = Duration::ZERO;
                while !over.load(Ordering::SeqCst) || answered.load(Ordering::SeqCst) < 10 {
                    let asked = Instant::now();
                    assert_eq!(old.get("demo.test", "/").map(|answer| answer.text()).as_deref(), Ok("one"));
                    let new = Client::connect(self.router.http()).get("demo.test", "/");
                    assert_eq!(new.map(|answer| answer.text()).as_deref(), Ok("one"));
                    slowest = slowest.max(asked.elapsed());
                    answered.fetch_add(1, Ordering::SeqCst);
                }
                slowest
            });
            {
                let _over = Over(&over);
                work();
            }
            let slowest = observer.join().expect("the others are served");
            assert!(slowest < HICCUP, "somebody waited for {slowest:?}");
        });
    }
}

/// Ends the observing, also when the work fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn get(path: &str) -> Fields {
    Fields::request("GET", "demo.test", path)
}

/// The same frames a thousand times.
fn thousand(frame: &Frame) -> Vec<u8> {
    frame.encode().repeat(1000)
}

/// Sends these bytes in each batch and reads nothing.
fn deaf(bytes: Vec<u8>) -> impl FnMut(&mut Http2, usize) -> bool {
    move |connection, _| connection.send(&bytes)
}

/// CVE-2023-44487: requests that are cancelled as soon as they are sent.
#[test]
fn rapid_reset() {
    let ground = Ground::new();
    ground.endures(200, |connection, batch| {
        let first = batch * 250;
        let frames: Vec<u8> = (first..first + 250)
            .flat_map(|number| {
                let stream = u32::try_from(2 * number + 1).expect("few");
                let head = Frame::headers(stream, get("/hold").block()).ending();
                [head.encode(), Frame::rst_stream(stream, Code::CANCEL).encode()].concat()
            })
            .collect();
        let taken = connection.send(&frames);
        connection.drain();
        taken && connection.inbox().goaway.is_none()
    });
}

/// CVE-2025-8671: requests that the router itself is made to reset.
#[test]
fn made_you_reset() {
    let ground = Ground::new();
    ground.endures(200, |connection, batch| {
        let first = batch * 100;
        let frames: Vec<u8> = (first..first + 100)
            .flat_map(|number| {
                let stream = u32::try_from(2 * number + 1).expect("few");
                let head = Frame::headers(stream, get("/hold").block()).ending();
                // Too far: the stream's window is open already.
                [head.encode(), Frame::window_update(stream, (1 << 31) - 1).encode()].concat()
            })
            .collect();
        let taken = connection.send(&frames);
        connection.drain();
        taken && connection.inbox().goaway.is_none()
    });
}

/// CVE-2024-27316: a head that never ends.
#[test]
fn endless_continuation() {
    let ground = Ground::new();
    let mut connection = Http2::connect(ground.router.http());
    connection.send_frames(&[Frame::headers(1, get("/").block()).unfinished()]);
    let field = Fields::default().with("x-a", "x".repeat(15_000)).block();
    let more = Frame::continuation(1, field).unfinished().encode().repeat(20);
    ground.endures_on(connection, 200, deaf(more));
}

/// CVE-2024-27316: a head that never ends, in frames without a byte.
#[test]
fn empty_continuations() {
    let ground = Ground::new();
    let mut connection = Http2::connect(ground.router.http());
    connection.send_frames(&[Frame::headers(1, get("/").block()).unfinished()]);
    ground.endures_on(connection, 200, deaf(thousand(&Frame::continuation(1, []).unfinished())));
}

/// CVE-2019-9515: settings that all want to be acknowledged.
#[test]
fn settings() {
    let ground = Ground::new();
    ground.endures(200, deaf(thousand(&Frame::settings(&[(setting::MAX_FRAME_SIZE, 16_384)]))));
}

/// CVE-2019-9515: the same from a client that takes the acknowledgements.
#[test]
fn settings_whose_acknowledgements_are_read() {
    let ground = Ground::new();
    let bytes = thousand(&Frame::settings(&[]));
    ground.endures(200, move |connection, _| {
        let taken = connection.send(&bytes);
        connection.drain();
        taken && connection.inbox().goaway.is_none()
    });
}

/// CVE-2019-9512: pings whose answers nobody reads.
#[test]
fn pings() {
    let ground = Ground::new();
    ground.endures(200, deaf(thousand(&Frame::ping([7; 8]))));
}

/// CVE-2019-9512: the same from a client that takes the answers.
#[test]
fn pings_whose_answers_are_read() {
    let ground = Ground::new();
    let bytes = thousand(&Frame::ping([7; 8]));
    ground.endures(200, move |connection, _| {
        let taken = connection.send(&bytes);
        connection.drain();
        taken && connection.inbox().goaway.is_none()
    });
}

/// CVE-2019-9518: content without a byte, for ever.
#[test]
fn empty_data() {
    let ground = Ground::new();
    let mut connection = Http2::connect(ground.router.http());
    let stream = connection.begin(&Fields::request("POST", "demo.test", "/count"), false);
    ground.endures_on(connection, 300, deaf(thousand(&Frame::data(stream, []))));
}

/// CVE-2019-9518: content that is all padding.
#[test]
fn padding_for_content() {
    let ground = Ground::new();
    let mut connection = Http2::connect(ground.router.http());
    let stream = connection.begin(&Fields::request("POST", "demo.test", "/count"), false);
    connection.set_windows(Windows::ByHand);
    ground.endures_on(connection, 300, deaf(thousand(&Frame::data(stream, []).padded(0, 0))));
}

/// CVE-2019-9513, CVE-2019-9516: priorities of streams that never come.
#[test]
fn priorities() {
    let ground = Ground::new();
    ground.endures(300, |connection, batch| {
        let first = u32::try_from(batch * 1000).expect("few");
        let frames: Vec<u8> =
            (first..first + 1000).flat_map(|number| Frame::priority(2 * number + 1, 0).encode()).collect();
        connection.send(&frames)
    });
}

/// CVE-2016-6581: a field in the table, named again and again on stream after stream.
#[test]
fn header_bombs() {
    let ground = Ground::new();
    ground.endures(400, |connection, batch| {
        let stream = u32::try_from(2 * batch + 1).expect("few");
        let first = if batch == 0 { indexing("x-a", "x".repeat(4000)) } else { Vec::new() };
        let block = [get("/").block(), first, indexed(62).repeat(10_000)].concat();
        let taken = connection.send_frames(&[Frame::headers(stream, block).ending()]);
        connection.drain();
        taken && connection.inbox().goaway.is_none()
    });
}

/// CVE-2019-9511: windows opened one byte at a time.
#[test]
fn dribbled_windows() {
    let ground = Ground::new();
    let mut connection = Http2::begun(Client::connect(ground.router.http()), &[(setting::INITIAL_WINDOW_SIZE, 0)]);
    connection.set_windows(Windows::ByHand);
    let streams: Vec<u32> = (0..50).map(|_| connection.ask(&get("/bytes-1000000"), b"")).collect();
    let round: Vec<u8> = streams.iter().flat_map(|&stream| Frame::window_update(stream, 1).encode()).collect();
    let bytes = round.repeat(20);
    ground.endures_on(connection, 300, move |connection, _| {
        let taken = connection.send(&bytes);
        connection.drain();
        taken && connection.inbox().goaway.is_none()
    });
}

/// CVE-2019-9514: frames that must each be answered with RST_STREAM.
#[test]
fn frames_on_closed_streams() {
    let ground = Ground::new();
    let mut connection = Http2::connect(ground.router.http());
    assert!(connection.get("demo.test", "/").is_ok());
    ground.endures_on(connection, 200, deaf(thousand(&Frame::new(0, flag::END_STREAM, 1, []))));
}

/// CVE-2019-9517: everything is asked for, nothing is read from TCP; memory stays, and others are served.
#[test]
fn a_client_that_asks_and_never_reads() {
    let ground = Ground::new();
    let before = ground.router.rss_kib();
    let settings = [(setting::INITIAL_WINDOW_SIZE, (1 << 31) - 1)];
    let mut connection = Http2::begun(Client::connect(ground.router.http()), &settings);
    connection.send_frames(&[Frame::window_update(0, (1 << 31) - 1 - 65_535)]);
    let peak = peak_during(&ground.router, || {
        ground.others_are_served(|| {
            for _ in 0..80 {
                connection.ask(&get("/bytes-50000000"), b"");
            }
            // The flow stands still when memory no longer moves.
            let (mut last, mut still) = (0, 0);
            eventually(LONG, "the flow stands still", || {
                let now = ground.router.rss_kib() / 64;
                still = if now == last { still + 1 } else { 0 };
                last = now;
                still > 50
            });
        });
    });
    assert!(peak < before + GROWTH_KIB, "grew from {before} to {peak} KiB");
    drop(connection);
    eventually(SOON, "the app is let go", || ground.origin.open_connections() <= 10);
}

/// Generous: a wait ends when its condition holds, so only a failure takes this long.
const SOON: Duration = Duration::from_secs(5);
const LONG: Duration = Duration::from_secs(60);
/// What nobody else may wait for.
const HICCUP: Duration = Duration::from_secs(1);
