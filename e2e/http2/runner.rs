//! Runs the cases of a theme against one router process and reports every case that fails, by name.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use webrouter_testkit::http2::{Answer, Code, Ended, Fields, Frame, Http2, Inbox};
use webrouter_testkit::{Canonical, Client, End, Exchange, Kind, Origin, Router, Step, expand_ours, latin1, until};

use crate::case::{Aftermath, Case, Do, Must, Opening, Seen, Serve};

/// Runs a theme; fails when any of its cases does.
pub(crate) fn run(theme: &str, cases: &[Case], toml: &str) {
    let only = std::env::var("HTTP2_CASE").ok();
    let origins: Vec<Origin> = cases.iter().map(|_| Origin::start(Step::answer(AFTER))).collect();
    let mut apps = String::new();
    for (number, origin) in origins.iter().enumerate() {
        let _ = writeln!(
            apps,
            "[apps.\"case{number}.web.web\"]\nmountpoint = [\"{}\"]\nendpoints = [\"{}\"]",
            latin1(&renamed(b"demo.test", number)),
            origin.addr()
        );
    }
    let router =
        Router::builder(env!("CARGO_BIN_EXE_webrouter")).listen("h2c = true").apps(&apps).section(toml).start();
    router.wait_ready();

    let failures = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    let Some(case) = cases.get(number) else { return };
                    if only.as_deref().is_some_and(|only| !case.name.contains(only)) {
                        continue;
                    }
                    let run = Run { case, number, origin: &origins[number], router: router.http() };
                    if let Err(why) = run.case() {
                        let failure = format!("{} [{}]: {why}", case.name, case.cites);
                        failures.lock().expect("not poisoned").push(failure);
                    }
                }
            });
        }
    });
    // A refused request must not reach its origin later either.
    for (case, origin) in cases.iter().zip(&origins) {
        if case.origin.is_empty() && !origin.exchanges().iter().all(is_probe) {
            failures
                .lock()
                .expect("not poisoned")
                .push(format!("{} [{}]: the origin was reached", case.name, case.cites));
        }
    }
    let mut failures = failures.into_inner().expect("not poisoned");
    failures.sort();
    failures.dedup();
    assert!(
        failures.is_empty(),
        "{theme}: {} of {} cases failed\n  {}\n",
        failures.len(),
        cases.len(),
        failures.join("\n  ")
    );
}

struct Run<'a> {
    case: &'a Case,
    number: usize,
    origin: &'a Origin,
    router: SocketAddr,
}

impl Run<'_> {
    fn case(&self) -> Result<(), String> {
        for serve in &self.case.origin {
            self.origin.push(serve.script.clone());
        }
        let client = Client::connect(self.router);
        let mut connection = match &self.case.opening {
            Opening::Preface(settings) => Http2::begun(client, settings),
            Opening::Nothing => Http2::silent(client),
        };
        connection.set_windows(self.case.windows);
        let told = self.client_side(&mut connection).and_then(|()| match connection.inbox().offences.as_slice() {
            [] => Ok(()),
            offences => Err(format!("offences of the router: {offences:?}")),
        });
        let seen = self.origin_side();
        match (told, seen) {
            (Ok(()), Ok(())) => Ok(()),
            (Err(why), Ok(())) => Err(format!("client: {why}")),
            (Ok(()), Err(why)) => Err(format!("origin: {why}")),
            (Err(client), Err(origin)) => Err(format!("client: {client}\n      and origin: {origin}")),
        }
    }

    fn client_side(&self, connection: &mut Http2) -> Result<(), String> {
        for step in &self.case.steps {
            match step {
                // Whether all was taken shows in what comes back.
                Do::Send(bytes) => _ = connection.send(&self.renamed(bytes)),
                Do::SendPieces(bytes, size) => _ = connection.client().send_in_pieces(&self.renamed(bytes), *size),
                Do::Frames(frames) => {
                    let bytes: Vec<u8> = frames.iter().flat_map(Frame::encode).collect();
                    connection.send(&self.renamed(&bytes));
                }
                Do::AwaitOrigin(count) => {
                    let there = until(DEADLINE, || (self.origin.exchanges().len() >= *count).then_some(()));
                    there.ok_or_else(|| format!("the origin never got {count} requests"))?;
                }
                Do::Expect(must) => self.expect(connection, must)?,
            }
        }
        let closed = |step: &Do| matches!(step, Do::Expect(Must::Closed | Must::Bytes(_)));
        if self.case.aftermath == Aftermath::None || self.case.steps.iter().any(closed) {
            return Ok(());
        }
        self.aftermath(connection)
    }

    /// A connection given up for an error ends; on any other, the next request is served.
    fn aftermath(&self, connection: &mut Http2) -> Result<(), String> {
        if connection.inbox().goaway.as_ref().is_some_and(|goaway| goaway.code != Code::NO_ERROR) {
            return ends(connection);
        }
        // Of a request that never came.
        self.origin.forget_scripts();
        connection.set_next(AFTER_STREAM);
        let host = latin1(&self.renamed(b"demo.test"));
        let stream = connection.ask(&Fields::request("GET", &host, "/after"), b"");
        let answer = connection.answer(stream, DEADLINE).map_err(|why| format!("the next request: {why}"))?;
        if answer.body == b"after" {
            return Ok(());
        }
        Err(format!("the next request got {} {:?}", answer.status, answer.text()))
    }

    fn expect(&self, connection: &mut Http2, must: &Must) -> Result<(), String> {
        match must {
            Must::Either(several) => {
                connection.until(DEADLINE, |inbox| several.iter().any(|must| arrived(inbox, must))).ok();
                let reasons: Vec<String> = several
                    .iter()
                    .filter_map(|must| self.expect_within(connection, must, Duration::ZERO).err())
                    .collect();
                if reasons.len() < several.len() { Ok(()) } else { Err(reasons.join(", nor ")) }
            }
            must => self.expect_within(connection, must, DEADLINE),
        }
    }

    fn expect_within(&self, connection: &mut Http2, must: &Must, deadline: Duration) -> Result<(), String> {
        if let Must::Bytes(expected) = must {
            let actual = connection.client().read_exactly(expected.len(), deadline)?;
            return if actual == *expected { Ok(()) } else { Err(format!("bytes are {:?}", latin1(&actual))) };
        }
        let ended = connection.until(deadline, |inbox| arrived(inbox, must));
        let inbox = connection.inbox();
        let what = || format!("({ended:?}, {:?})", inbox.goaway);
        match must {
            Must::Answer(stream, expected) => {
                let received = inbox.stream(*stream);
                match (received.end(), received.answer()) {
                    (Ended::Whole, Some(actual)) => compare(&actual, expected),
                    (end, actual) => Err(format!("no whole answer: {end:?} {actual:?} {}", what())),
                }
            }
            Must::Head(stream, expected) => {
                let received = inbox.stream(*stream);
                let actual = received.answer().ok_or_else(|| format!("no head {}", what()))?;
                if received.end() != Ended::Open {
                    return Err(format!("the stream is at its end: {:?} {actual:?}", received.end()));
                }
                compare(&Answer { body: Vec::new(), ..actual }, expected)
            }
            Must::Interim(stream, expected) => {
                let interim = inbox.stream(*stream).interim;
                let fields = interim.first().ok_or_else(|| format!("no interim head {}", what()))?;
                let status = fields.iter().find(|(name, _)| name == ":status").map(|(_, value)| value.as_str());
                let fields: Vec<_> = fields.iter().filter(|(name, _)| name != ":status").cloned().collect();
                if status == Some(expected.status.to_string().as_str()) && fields == expected.fields {
                    return Ok(());
                }
                Err(format!("the interim head is {status:?} {fields:?}"))
            }
            Must::Content(stream, expected) => {
                let body = inbox.stream(*stream).body;
                if body == *expected { Ok(()) } else { Err(format!("content is {:?} {}", latin1(&body), what())) }
            }
            Must::Ended(stream) => match inbox.end_of(*stream) {
                Ended::Whole => Ok(()),
                end => Err(format!("the stream is {end:?} {}", what())),
            },
            Must::Status(stream, status) => match inbox.stream(*stream).status() {
                Some(actual) if actual == *status => Ok(()),
                actual => Err(format!("the status is {actual:?} {}", what())),
            },
            Must::Page(stream, status) => self.check_page(inbox, *stream, *status, &what()),
            Must::Cut(stream, expected) => {
                let received = inbox.stream(*stream);
                let Ended::Reset(code) = received.end() else {
                    return Err(format!("not cut: {received:?} {}", what()));
                };
                if code == Code::NO_ERROR || code == Code::REFUSED_STREAM {
                    return Err(format!("cut with {code:?}, as if nothing were lost"));
                }
                let Some(actual) = received.answer() else { return Ok(()) };
                if !expected.body.starts_with(&actual.body) {
                    return Err(format!("the body is {:?}", actual.text()));
                }
                compare(&Answer { body: Vec::new(), ..actual }, &Answer { body: Vec::new(), ..expected.clone() })
            }
            Must::EndsKindly(stream) => self.ends_kindly(connection, *stream),
            Must::Refused(stream) => refused(inbox, *stream).unwrap_or_else(|| Err(format!("not refused {}", what()))),
            Must::StreamError(stream, codes) => {
                let reset = inbox.stream(*stream).reset;
                match (reset, &inbox.goaway) {
                    (Some(code), _) if codes.contains(&code) => Ok(()),
                    (_, Some(goaway)) if codes.contains(&goaway.code) => Ok(()),
                    _ => Err(format!("no {codes:?} but {reset:?}, {:?} {}", inbox.stream(*stream), what())),
                }
            }
            Must::ConnectionError(codes) => match &inbox.goaway {
                Some(goaway) if codes.contains(&goaway.code) => ends(connection),
                _ => Err(format!("no GOAWAY with {codes:?} {}", what())),
            },
            Must::Closed => ends(connection),
            Must::Pong(payload) if inbox.pongs.iter().any(|pong| pong == payload) => Ok(()),
            Must::Acknowledged(count) if inbox.acknowledged >= *count => Ok(()),
            Must::Setting(name, value) if inbox.setting(*name) == Some(*value) => Ok(()),
            Must::Setting(name, _) => Err(format!("setting {name} is {:?} {}", inbox.setting(*name), what())),
            Must::Pong(_) | Must::Acknowledged(_) => Err(format!("it never came {}", what())),
            Must::Either(_) | Must::Bytes(_) => unreachable!("answered above"),
        }
    }

    /// What was sent before the answer to a PING has arrived with it.
    fn ends_kindly(&self, connection: &mut Http2, stream: u32) -> Result<(), String> {
        let payload = *b"no error";
        connection.send_frames(&[Frame::ping(payload)]);
        self.expect_within(connection, &Must::Pong(payload), DEADLINE)?;
        match connection.inbox().stream(stream).reset {
            None | Some(Code::NO_ERROR) => Ok(()),
            Some(code) => Err(format!("the answer's stream is reset with {code:?}")),
        }
    }

    fn check_page(&self, inbox: &Inbox, stream: u32, status: u16, what: &str) -> Result<(), String> {
        let received = inbox.stream(stream);
        let Some(page) = received.answer().filter(|_| received.ended) else {
            return Err(format!("no page: {received:?} {what}"));
        };
        if page.status != status {
            return Err(format!("the page is {} {:?}", page.status, page.text()));
        }
        if received.reset.is_some_and(|code| code != Code::NO_ERROR) {
            return Err(format!("the page's stream is reset with {:?}", received.reset));
        }
        let port = self.origin.addr().port().to_string();
        if page.text().contains(&port) || page.text().contains("127.0.0.1") {
            return Err(format!("an address in the page: {:?}", page.text()));
        }
        for name in ["x-request-id", "date", "content-type"] {
            if page.fields.iter().filter(|(field, _)| field == name).count() != 1 {
                return Err(format!("a page without one {name}"));
            }
        }
        if page.body.is_empty() { Err("an empty page".to_owned()) } else { Ok(()) }
    }

    fn origin_side(&self) -> Result<(), String> {
        let cut = self
            .case
            .origin
            .iter()
            .filter(|serve| matches!(serve.sees, Seen::Cut | Seen::Maybe | Seen::Perhaps(_)))
            .count();
        let most = self.case.origin.len();
        let settled = |seen: &[Exchange]| seen.len() + cut >= most && seen.iter().all(|exchange| exchange.finished);
        let requests = || -> Vec<Exchange> { self.origin.exchanges().into_iter().filter(|e| !is_probe(e)).collect() };
        let seen = until(DEADLINE, || Some(requests()).filter(|seen| settled(seen))).unwrap_or_else(requests);
        if seen.len() > most || seen.len() + cut < most {
            let seen: Vec<String> = seen.iter().map(|exchange| start(&exchange.bytes)).collect();
            return Err(format!("{} requests instead of {most}: {seen:?}", seen.len()));
        }
        self.case.origin.iter().zip(&seen).try_for_each(|(serve, exchange)| self.check_seen(serve, exchange))
    }

    fn check_seen(&self, serve: &Serve, exchange: &Exchange) -> Result<(), String> {
        match &serve.sees {
            Seen::Anything | Seen::Maybe => Ok(()),
            Seen::Cut if exchange.complete => {
                Err(format!("a complete request was forwarded: {}", start(&exchange.bytes)))
            }
            Seen::Cut => Ok(()),
            Seen::Perhaps(_) if !exchange.complete => Ok(()),
            Seen::Request(expected) | Seen::Perhaps(expected) => {
                let expected = Canonical::parse(&expand_ours(&self.renamed(expected)), Kind::Request)?.unordered();
                let actual = Canonical::parse(&exchange.bytes, Kind::Request)?.unordered();
                let difference = if expected.is_chunked() {
                    actual.unframed().differs(&expected.unframed())
                } else {
                    actual.differs(&expected)
                };
                difference.map_or(Ok(()), |why| Err(format!("request {why}")))
            }
        }
    }

    fn renamed(&self, bytes: &[u8]) -> Vec<u8> {
        renamed(bytes, self.number)
    }
}

/// Whether enough has come to judge.
fn arrived(inbox: &Inbox, must: &Must) -> bool {
    match must {
        Must::Answer(stream, _) | Must::Ended(stream) | Must::Page(stream, _) | Must::Cut(stream, _) => {
            inbox.end_of(*stream) != Ended::Open
        }
        Must::Head(stream, _) | Must::Status(stream, _) => inbox.stream(*stream).head.is_some(),
        Must::Interim(stream, _) => !inbox.stream(*stream).interim.is_empty(),
        Must::Content(stream, expected) => inbox.body_length(*stream) >= expected.len(),
        Must::Refused(stream) => refused(inbox, *stream).is_some(),
        Must::StreamError(stream, _) => inbox.stream(*stream).reset.is_some() || inbox.goaway.is_some(),
        Must::ConnectionError(_) => inbox.goaway.is_some(),
        Must::EndsKindly(_) => true,
        Must::Closed | Must::Bytes(_) => false,
        Must::Pong(payload) => inbox.pongs.iter().any(|pong| pong == payload),
        Must::Acknowledged(count) => inbox.acknowledged >= *count,
        Must::Setting(..) => !inbox.settings.is_empty(),
        Must::Either(several) => several.iter().any(|must| arrived(inbox, must)),
    }
}

/// What became of a malformed request; `None` while nothing did.
fn refused(inbox: &Inbox, stream: u32) -> Option<Result<(), String>> {
    let received = inbox.stream(stream);
    if let Some(status) = received.status().filter(|_| received.ended) {
        let refusal = (400..500).contains(&status) || status == 501;
        return Some(if refusal { Ok(()) } else { Err(format!("answered {status}")) });
    }
    let code = received.reset.or(inbox.goaway.as_ref().map(|goaway| goaway.code))?;
    Some(if code == Code::PROTOCOL_ERROR { Ok(()) } else { Err(format!("refused with {code:?}")) })
}

fn ends(connection: &mut Http2) -> Result<(), String> {
    match connection.read_to_end(DEADLINE) {
        End::Deadline => Err(format!("not closed ({:?})", connection.inbox().goaway)),
        _ => Ok(()),
    }
}

fn compare(actual: &Answer, expected: &Answer) -> Result<(), String> {
    // Who grants a WebSocket may leave it out.
    let dates = actual.fields.iter().filter(|(name, _)| name == "date").count();
    if dates > 1 || dates == 0 && !actual.body.is_empty() {
        return Err(format!("not one date in {:?}", actual.fields));
    }
    let sorted = |answer: &Answer| {
        let fields = answer.fields.iter().filter(|(name, _)| name != "date").cloned();
        let mut sorted = Answer { fields: fields.collect(), ..answer.clone() };
        // Stable: fields of one name keep their order.
        sorted.fields.sort_by(|one, other| one.0.cmp(&other.0));
        sorted
    };
    let (actual, expected) = (sorted(actual), sorted(expected));
    if actual == expected { Ok(()) } else { Err(format!("the answer is {actual:?}, not {expected:?}")) }
}

/// `demo.test` becomes a name of this case, of the same length.
fn renamed(bytes: &[u8], number: usize) -> Vec<u8> {
    let mut renamed = bytes.to_vec();
    for at in 0..bytes.len().saturating_sub(8) {
        if bytes[at..at + 9].eq_ignore_ascii_case(b"demo.test") {
            renamed[at + 1..at + 4].copy_from_slice(format!("{number:03}").as_bytes());
        }
    }
    renamed
}

/// The request after a case, which shows that the connection is still usable.
fn is_probe(exchange: &Exchange) -> bool {
    exchange.bytes.starts_with(b"GET /after ")
}

fn start(bytes: &[u8]) -> String {
    format!("{:?}", latin1(&bytes[..bytes.len().min(300)]))
}

/// The answer to the request after a case.
const AFTER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nafter";
/// Higher than any stream of a case.
const AFTER_STREAM: u32 = 1001;
const DEADLINE: Duration = Duration::from_secs(4);
const WORKERS: usize = 6;
