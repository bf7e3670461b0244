//! An origin that speaks HTTP/2 by prior knowledge and remembers every request, its trailers and how it ended.
//!
//! What it does is chosen by the last part of the path: `echo` (each piece of the body at once), `trailers` (its name, then
//! the trailer `x-sum: 1`), `bytes-N` (N bytes), `status-N` (no body), `early` (an answer before the body has come), `cut`
//! (half an answer, then RST_STREAM), `hold` (no answer); anything else is answered with the origin's name.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use h2::server::{SendResponse, handshake};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinSet, LocalSet};

use crate::acceptor::locked;
use crate::http2::Code;
use crate::message::{Field, latin1};

/// The origin; it goes when dropped.
pub struct H2cOrigin {
    addr: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A request as the origin saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct H2cRequest {
    /// Number of the connection, from 0.
    pub connection: usize,
    /// `:method`.
    pub method: String,
    /// `:scheme`.
    pub scheme: String,
    /// `:authority`, empty where there was none.
    pub authority: String,
    /// `:path`.
    pub path: String,
    /// The other fields.
    pub fields: Vec<Field>,
    /// The content so far.
    pub body: Vec<u8>,
    /// The fields after it.
    pub trailers: Vec<Field>,
    /// How the request ended.
    pub end: H2cEnd,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum H2cEnd {
    /// Not yet.
    Open,
    /// With END_STREAM.
    Whole,
    /// With RST_STREAM.
    Reset(Code),
    /// With the connection.
    Broken,
}

struct Shared {
    name: String,
    connections: Mutex<usize>,
    requests: Mutex<Vec<H2cRequest>>,
}

impl H2cRequest {
    /// The first value of a field.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

impl H2cOrigin {
    /// An origin on a free port of 127.0.0.1 that answers with `name`.
    pub fn start(name: &str) -> H2cOrigin {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
        listener.set_nonblocking(true).expect("a listener that does not block");
        let addr = listener.local_addr().expect("a bound address");
        let shared =
            Arc::new(Shared { name: name.to_owned(), connections: Mutex::default(), requests: Mutex::default() });
        let (stop, stopped) = oneshot::channel();
        let for_thread = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let serving = LocalSet::new();
            serving.spawn_local(accept(listener, for_thread));
            let _ = serving.block_on(&runtime, stopped);
        });
        H2cOrigin { addr, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Everything seen so far, in the order in which requests began.
    pub fn requests(&self) -> Vec<H2cRequest> {
        locked(&self.shared.requests).clone()
    }

    /// How many connections were opened.
    pub fn connections(&self) -> usize {
        *locked(&self.shared.connections)
    }
}

impl Drop for H2cOrigin {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let listener = TcpListener::from_std(listener).expect("a listener of this runtime");
    while let Ok((stream, _)) = listener.accept().await {
        let number = {
            let mut connections = locked(&shared.connections);
            *connections += 1;
            *connections - 1
        };
        tokio::task::spawn_local(serve(stream, number, Arc::clone(&shared)));
    }
}

async fn serve(stream: TcpStream, connection: usize, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let Ok(mut streams) = handshake(stream).await else { return };
    // They end with their connection.
    let mut requests = JoinSet::new();
    while let Some(Ok((request, respond))) = streams.accept().await {
        let index = shared.begin(connection, &request);
        let shared = Arc::clone(&shared);
        requests.spawn_local(async move {
            let mut exchange = Exchange { index, shared: &shared, body: request.into_body() };
            if let Err(error) = exchange.answer(respond).await {
                exchange.note(|request| request.end = end_of(&error));
            }
        });
    }
}

struct Exchange<'a> {
    index: usize,
    shared: &'a Shared,
    body: RecvStream,
}

impl Exchange<'_> {
    async fn answer(&mut self, mut respond: SendResponse<Bytes>) -> Result<(), h2::Error> {
        let path =
            locked(&self.shared.requests).get(self.index).map(|request| request.path.clone()).unwrap_or_default();
        let what = path.split('?').next().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
        let number = |prefix| what.strip_prefix(prefix).and_then(|n: &str| n.parse::<u16>().ok());
        let head = |status: u16| {
            let mut response = Response::new(());
            *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
            response
        };
        let name = Bytes::from(self.shared.name.clone());
        match what {
            "echo" => {
                let mut stream = respond.send_response(head(200), false)?;
                while let Some(piece) = self.piece().await? {
                    send(&mut stream, piece).await?;
                }
                return match self.trailers().await? {
                    Some(trailers) => stream.send_trailers(trailers),
                    None => stream.send_data(Bytes::new(), true),
                };
            }
            "early" => {
                let mut stream = respond.send_response(head(403), false)?;
                return stream.send_data(name, true);
            }
            "cut" => {
                let mut stream = respond.send_response(head(200), false)?;
                send(&mut stream, name).await?;
                stream.send_reset(Reason::INTERNAL_ERROR);
                return Ok(());
            }
            _ => {}
        }
        while self.piece().await?.is_some() {}
        self.trailers().await?;
        if what == "hold" {
            let reset = std::future::poll_fn(|context| respond.poll_reset(context)).await?;
            self.note(|request| request.end = H2cEnd::Reset(Code(reset.into())));
            return Ok(());
        }
        if let Some(status) = number("status-") {
            return respond.send_response(head(status), true).map(drop);
        }
        let mut stream = respond.send_response(head(200), false)?;
        if let Some(size) = what.strip_prefix("bytes-").and_then(|n| n.parse::<usize>().ok()) {
            send(&mut stream, Bytes::from(vec![b'0'; size])).await?;
            return stream.send_data(Bytes::new(), true);
        }
        stream.send_data(name, what != "trailers")?;
        if what == "trailers" {
            let sum = (http::HeaderName::from_static("x-sum"), http::HeaderValue::from_static("1"));
            stream.send_trailers(HeaderMap::from_iter([sum]))?;
        }
        Ok(())
    }

    /// The next piece of the request's body, noted; its window is opened again.
    async fn piece(&mut self) -> Result<Option<Bytes>, h2::Error> {
        let Some(piece) = self.body.data().await.transpose()? else { return Ok(None) };
        self.body.flow_control().release_capacity(piece.len())?;
        self.note(|request| request.body.extend_from_slice(&piece));
        Ok(Some(piece))
    }

    /// The request's end: its trailers, noted.
    async fn trailers(&mut self) -> Result<Option<HeaderMap>, h2::Error> {
        let trailers = self.body.trailers().await?;
        self.note(|request| {
            request.trailers = trailers.as_ref().map(fields).unwrap_or_default();
            request.end = H2cEnd::Whole;
        });
        Ok(trailers)
    }

    fn note(&self, change: impl FnOnce(&mut H2cRequest)) {
        if let Some(request) = locked(&self.shared.requests).get_mut(self.index) {
            change(request);
        }
    }
}

impl Shared {
    fn begin(&self, connection: usize, request: &Request<RecvStream>) -> usize {
        let mut requests = locked(&self.requests);
        requests.push(H2cRequest {
            connection,
            method: request.method().to_string(),
            scheme: request.uri().scheme_str().unwrap_or_default().to_owned(),
            authority: request.uri().authority().map(ToString::to_string).unwrap_or_default(),
            path: request.uri().path_and_query().map(ToString::to_string).unwrap_or_default(),
            fields: fields(request.headers()),
            body: Vec::new(),
            trailers: Vec::new(),
            end: H2cEnd::Open,
        });
        requests.len() - 1
    }
}

/// Sends all bytes as the other side's window opens.
async fn send(stream: &mut SendStream<Bytes>, mut bytes: Bytes) -> Result<(), h2::Error> {
    while !bytes.is_empty() {
        stream.reserve_capacity(bytes.len());
        let Some(room) = std::future::poll_fn(|context| stream.poll_capacity(context)).await.transpose()? else {
            return Err(Reason::CANCEL.into());
        };
        stream.send_data(bytes.split_to(room.min(bytes.len())), false)?;
    }
    Ok(())
}

fn end_of(error: &h2::Error) -> H2cEnd {
    match error.reason() {
        Some(reason) if error.is_reset() => H2cEnd::Reset(Code(reason.into())),
        _ => H2cEnd::Broken,
    }
}

fn fields(map: &HeaderMap) -> Vec<Field> {
    map.iter().map(|(name, value)| (name.as_str().to_owned(), latin1(value.as_bytes()))).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::eventually::eventually;
    use crate::http2::{Answer, Fields, Frame, Http2};

    const SOON: Duration = Duration::from_secs(5);

    fn ask(connection: &mut Http2, path: &str, body: &[u8]) -> Answer {
        let stream = connection.ask(&Fields::request("POST", "a.test", path), body);
        let answer = connection.answer(stream, SOON).expect("a whole answer");
        assert_eq!(connection.inbox().offences, Vec::<String>::new());
        answer
    }

    #[test]
    fn answers_what_the_raw_client_asks() {
        let origin = H2cOrigin::start("one");
        let mut connection = Http2::connect(origin.addr());
        assert_eq!(ask(&mut connection, "/", b"").text(), "one");
        assert_eq!(ask(&mut connection, "/echo", b"hello").text(), "hello");
        assert_eq!(ask(&mut connection, "/bytes-300000", b"").body.len(), 300_000);
        assert_eq!(ask(&mut connection, "/status-418", b"").status, 418);
        assert_eq!(ask(&mut connection, "/trailers", b"").trailers, [("x-sum".to_owned(), "1".to_owned())]);
        assert_eq!((origin.connections(), origin.requests().len()), (1, 5));
    }

    #[test]
    fn remembers_trailers_and_resets() {
        let origin = H2cOrigin::start("one");
        let mut connection = Http2::connect(origin.addr());
        let stream = connection.begin(&Fields::request("POST", "a.test", "/echo"), false);
        let trailers = Frame::headers(stream, Fields::default().with("x-end", "1").block()).ending();
        connection.send_frames(&[Frame::data(stream, *b"hi"), trailers]);
        assert_eq!(connection.answer(stream, SOON).map(|answer| answer.trailers.len()), Ok(1));
        let held = connection.ask(&Fields::request("GET", "a.test", "/hold"), b"");
        eventually(SOON, "the request is there", || origin.requests().len() == 2);
        connection.cancel(held);
        let end = |number: usize| origin.requests().get(number).map(|request| request.end);
        eventually(SOON, "the reset is there", || end(1) == Some(H2cEnd::Reset(Code::CANCEL)));
        assert_eq!(end(0), Some(H2cEnd::Whole));
    }
}
