//! Runs the cases of a theme against one router process and reports every case that fails, by name.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use webrouter_testkit::{
    Asked, Canonical, Client, End, Exchange, Kind, Origin, Response, Router, Step, expand_ours, latin1, until,
};

use crate::case::{Answer, Case, Do, Seen, Serve, Then};

/// Runs a theme; fails when any of its cases does.
pub(crate) fn run(theme: &str, cases: &[Case], toml: &str) {
    let only = std::env::var("WIRE_CASE").ok();
    let origins: Vec<Origin> = cases.iter().map(|_| Origin::start(Step::answer(AFTER))).collect();
    let mut apps = String::new();
    for (number, origin) in origins.iter().enumerate() {
        let (demo, path) = (renamed(b"demo.test", number), renamed(b"path.test", number));
        let _ = writeln!(
            apps,
            "[apps.\"case{number}.web.web\"]\nmountpoint = [\"{}\", \"{}/demo\"]\nendpoints = [\"{}\"]",
            latin1(&demo),
            latin1(&path),
            origin.addr()
        );
    }
    let router = Router::builder(env!("CARGO_BIN_EXE_webrouter")).apps(&apps).section(toml).start();
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
        if case.origin.is_empty() && case.then == Then::Closed && !origin.exchanges().is_empty() {
            failures.lock().expect("not poisoned").push(format!("{}: the origin was reached", case.name));
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
            self.origin.push(serve.script.iter().map(|step| self.renamed_step(step)).collect());
        }
        let mut client = Client::connect(self.router);
        let told = self.client_side(&mut client);
        let seen = self.origin_side();
        match (told, seen) {
            (Ok(()), Ok(())) => Ok(()),
            (Err(why), Ok(())) => Err(format!("client: {why}")),
            (Ok(()), Err(why)) => Err(format!("origin: {why}")),
            (Err(client), Err(origin)) => Err(format!("client: {client}\n      and origin: {origin}")),
        }
    }

    fn client_side(&self, client: &mut Client) -> Result<(), String> {
        for step in &self.case.client {
            match step {
                // Whether all was taken shows in what comes back.
                Do::Send(bytes) => _ = client.send(&self.renamed(bytes)),
                Do::SendPieces(bytes, size) => _ = client.send_in_pieces(&self.renamed(bytes), *size),
                Do::HalfClose => client.half_close(),
                Do::Get(answer) => self.check_answer(client, answer)?,
            }
        }
        match self.case.then {
            Then::Open => {
                let response = client.get(&latin1(&self.renamed(b"demo.test")), "/after");
                let response = response.map_err(|why| format!("not open afterwards: {why}"))?;
                if response.body != b"after" {
                    return Err(format!("the next request got {} {:?}", response.status, response.text()));
                }
            }
            Then::Closed => {
                if client.read_to_end(DEADLINE) == End::Deadline {
                    return Err("not closed afterwards".to_owned());
                }
                if !client.received().is_empty() {
                    return Err(format!("extra bytes before the close: {:?}", latin1(client.received())));
                }
            }
        }
        Ok(())
    }

    fn check_answer(&self, client: &mut Client, answer: &Answer) -> Result<(), String> {
        match answer {
            Answer::Response(expected) => {
                self.compare(client.response(Asked::Content, DEADLINE)?, expected, Kind::Response)
            }
            Answer::Head(expected) => {
                self.compare(client.response(Asked::HeadOnly, DEADLINE)?, expected, Kind::ResponseToHead)
            }
            Answer::Page(status) => {
                let response = client.response(Asked::Content, DEADLINE)?;
                check_page(&response, *status, self.case.then)?;
                let port = self.origin.addr().port().to_string();
                let leaks = response.text().contains(&port) || response.text().contains("127.0.0.1");
                if leaks { Err(format!("an address in the page: {:?}", response.text())) } else { Ok(()) }
            }
            Answer::Redirect(status, location) => {
                let response = client.response(Asked::Content, DEADLINE)?;
                let actual = (response.status, response.value("location"));
                if actual == (*status, Some(*location)) { Ok(()) } else { Err(format!("redirect is {actual:?}")) }
            }
            Answer::Cut(expected) => self.check_cut(client, expected),
            Answer::EndMaybePage(status) => {
                if client.read_to_end(DEADLINE) == End::Deadline {
                    return Err("not closed".to_owned());
                }
                if client.received().is_empty() {
                    return Ok(());
                }
                check_page(&client.response(Asked::Content, DEADLINE)?, *status, self.case.then)
            }
            Answer::Bytes(expected) => {
                let actual = client.read_exactly(expected.len(), DEADLINE)?;
                if actual == *expected { Ok(()) } else { Err(format!("bytes are {:?}", latin1(&actual))) }
            }
        }
    }

    fn compare(&self, response: Response, expected: &[u8], kind: Kind) -> Result<(), String> {
        if response.status >= 200 && response.head.values("date").count() != 1 {
            return Err("not one Date".to_owned());
        }
        let expected = Canonical::parse(&self.renamed(expected), kind)?;
        let actual = Canonical::new(response.head, &response.body, response.trailers, b"");
        actual.differs(&expected).map_or(Ok(()), Err)
    }

    /// The body may be any beginning of the expected one, but the message must not be complete.
    fn check_cut(&self, client: &mut Client, expected: &[u8]) -> Result<(), String> {
        match client.response(Asked::Content, DEADLINE) {
            Ok(response) => Err(format!("complete: {} {:?}", response.status, response.text())),
            Err(why) if why.contains("Deadline") => Err(format!("not cut: {why}")),
            Err(why) => {
                let status = expected.get(9..12).map(latin1).unwrap_or_default();
                if !why.contains(&format!("body of {status} cut short")) {
                    return Err(why);
                }
                let begun = client.received().len();
                client.read_exactly(begun, DEADLINE).map(drop)
            }
        }
    }

    fn origin_side(&self) -> Result<(), String> {
        let probe = usize::from(self.case.then == Then::Open);
        let cut = self.case.origin.iter().filter(|serve| matches!(serve.sees, Seen::Cut)).count();
        let most = self.case.origin.len() + probe;
        let settled = |exchanges: &[Exchange]| exchanges.len() + cut >= most && exchanges.iter().all(|e| e.finished);
        let exchanges = until(DEADLINE, || Some(self.origin.exchanges()).filter(|e| settled(e)));
        let exchanges = exchanges.unwrap_or_else(|| self.origin.exchanges());
        if exchanges.len() > most || exchanges.len() + cut < most {
            let seen: Vec<String> = exchanges.iter().map(|e| start(&e.bytes)).collect();
            return Err(format!("{} requests instead of {most}: {seen:?}", exchanges.len()));
        }
        for (serve, exchange) in self.case.origin.iter().zip(&exchanges) {
            self.check_seen(serve, exchange)?;
        }
        Ok(())
    }

    fn check_seen(&self, serve: &Serve, exchange: &Exchange) -> Result<(), String> {
        match &serve.sees {
            Seen::Anything => Ok(()),
            Seen::Cut if exchange.complete => {
                Err(format!("a complete request was forwarded: {}", start(&exchange.bytes)))
            }
            Seen::Cut => Ok(()),
            Seen::Request(expected) => {
                let expected = Canonical::parse(&expand_ours(&self.renamed(expected)), Kind::Request)?;
                let actual = Canonical::parse(&exchange.bytes, Kind::Request)?;
                actual.differs(&expected).map_or(Ok(()), |why| Err(format!("request {why}")))
            }
        }
    }

    fn renamed(&self, bytes: &[u8]) -> Vec<u8> {
        renamed(bytes, self.number)
    }

    fn renamed_step(&self, step: &Step) -> Step {
        match step {
            Step::Write(bytes) => Step::Write(self.renamed(bytes)),
            other => other.clone(),
        }
    }
}

fn check_page(response: &Response, status: u16, then: Then) -> Result<(), String> {
    if response.status != status {
        return Err(format!("page is {} {:?}, not {status}", response.status, start(&response.body)));
    }
    let closes = response.head.values("connection").any(|v| v.eq_ignore_ascii_case("close"));
    if closes != (then == Then::Closed) {
        return Err(format!("`Connection: close` announced: {closes}"));
    }
    if !response.value("content-type").is_some_and(|kind| kind.starts_with("text/")) {
        return Err(format!("page of type {:?}", response.value("content-type")));
    }
    for name in ["x-request-id", "date"] {
        if response.head.values(name).count() != 1 {
            return Err(format!("page without one {name}"));
        }
    }
    if response.body.is_empty() { Err("an empty page".to_owned()) } else { Ok(()) }
}

/// `demo.test` and `path.test` become names of this case, of the same length and letter case.
fn renamed(bytes: &[u8], number: usize) -> Vec<u8> {
    let mut renamed = bytes.to_vec();
    let digits = format!("{number:03}");
    for at in 0..bytes.len().saturating_sub(8) {
        let name = &bytes[at..at + 5];
        let ours = name.eq_ignore_ascii_case(b"demo.") || name.eq_ignore_ascii_case(b"path.");
        if ours && bytes[at + 5..at + 9].eq_ignore_ascii_case(b"test") {
            renamed[at + 1..at + 4].copy_from_slice(digits.as_bytes());
        }
    }
    renamed
}

fn start(bytes: &[u8]) -> String {
    let text = latin1(&bytes[..bytes.len().min(300)]);
    format!("{text:?}")
}

/// The answer to the request that shows that a connection is still usable.
const AFTER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nafter";
const DEADLINE: Duration = Duration::from_secs(4);
const WORKERS: usize = 6;
