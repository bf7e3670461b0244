//! The wire: heads and frames, byte for byte as the real lainlet writes them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tracing::{debug, warn};

use super::query::{Method, Query, Request, Version};
use super::view::{Event, View};

/// Accepts and answers until it is dropped.
pub(super) async fn serve(listener: TcpListener, views: watch::Receiver<Arc<View>>) {
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, client)) => {
                let views = views.clone();
                connections.spawn(async move {
                    if let Err(error) = converse(stream, views).await {
                        debug!(%client, %error, "connection ended");
                    }
                });
            }
            Err(error) => {
                warn!(%error, "cannot accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn converse(mut stream: TcpStream, views: watch::Receiver<Arc<View>>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    loop {
        let Some(head) = timeout(IDLE, read_head(&mut stream, &mut buffer)).await?? else { return Ok(()) };
        let Some(request) = Request::parse(&head) else { return stream.write_all(BAD_REQUEST).await };
        if request.version == Version::Http11 && !request.has_host {
            return stream.write_all(NO_HOST).await;
        }
        skip_body(&mut stream, &mut buffer, request.body_length).await?;
        if let Some(query) = request.query.as_ref().filter(|query| query.watch) {
            stream.write_all(WATCH_HEAD).await?;
            return match request.method {
                Method::Get | Method::Head => watch(stream, buffer, query, views).await,
                Method::Other => Ok(()),
            };
        }
        let (head, body) = answer(&request, &views.borrow().clone());
        let framed = Bytes::from(head).chain(body.0).chain(body.1);
        stream.write_all_buf(&mut { framed }).await?;
        if request.close || request.version == Version::Http10 {
            return Ok(());
        }
    }
}

/// The next head; `None` when the client has no more requests.
async fn read_head(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    loop {
        if let Some(end) = memchr::memmem::find(buffer, b"\r\n\r\n") {
            let rest = buffer.split_off(end + 4);
            return Ok(Some(std::mem::replace(buffer, rest)));
        }
        if buffer.len() > MAX_HEAD {
            return Err(io::Error::other("the request head is too long"));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

async fn skip_body(stream: &mut TcpStream, buffer: &mut Vec<u8>, length: usize) -> io::Result<()> {
    let mut left = length;
    loop {
        let here = left.min(buffer.len());
        buffer.drain(..here);
        left -= here;
        if left == 0 {
            return Ok(());
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Head and body of an answer that is not a watch; the second part of the body ends the chunks.
fn answer(request: &Request, view: &View) -> (String, (Bytes, &'static [u8])) {
    let date = http_date();
    let (status, body) = match (&request.query, request.method) {
        (_, Method::Other) => {
            let head = format!(
                "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\n\
                 X-Content-Type-Options: nosniff\r\nDate: {date}\r\nContent-Length: 19\r\n\r\n"
            );
            return (head, (Bytes::from_static(b"404 page not found\n"), b""));
        }
        (None, _) => ("404 Not Found", Bytes::from_static(b"404 not found")),
        (Some(query), _) => match view.body(query) {
            Ok(body) => ("200 OK", body),
            Err(_) => ("500 Internal Server Error", Bytes::from_static(LOST_IPS.as_bytes())),
        },
    };
    let version = match request.version {
        Version::Http10 => "HTTP/1.0",
        Version::Http11 => "HTTP/1.1",
    };
    let close = if request.close && request.version == Version::Http11 { "Connection: close\r\n" } else { "" };
    let mut head = format!("{version} {status}\r\nDate: {date}\r\n");
    let chunked = body.len() > MAX_KNOWN_LENGTH && request.version == Version::Http11;
    if chunked {
        head.push_str("Content-Type: text/plain; charset=utf-8\r\n");
        head.push_str(close);
        head.push_str("Transfer-Encoding: chunked\r\n\r\n");
    } else {
        head.push_str(&format!("Content-Length: {}\r\nContent-Type: text/plain; charset=utf-8\r\n", body.len()));
        head.push_str(close);
        head.push_str("\r\n");
    }
    match (request.method, chunked) {
        (Method::Head, _) => (head, (Bytes::new(), b"")),
        (_, false) => (head, (body, b"")),
        (_, true) => {
            head.push_str(&format!("{:x}\r\n", body.len()));
            (head, (body, b"\r\n0\r\n\r\n"))
        }
    }
}

/// Tells one client the whole state now and at every change of what it sees.
async fn watch(
    mut stream: TcpStream,
    early: Vec<u8>,
    query: &Query,
    mut views: watch::Receiver<Arc<View>>,
) -> io::Result<()> {
    let first = views.borrow_and_update().number;
    let mut told: Option<Bytes> = None;
    let period = Duration::from_secs(query.heartbeat.clamp(1, 86_400));
    let mut heartbeat = interval_at(Instant::now() + period, period);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    if !early.is_empty() {
        warn!("bytes after a watch request: they would have crashed a real lainlet");
        return Ok(());
    }
    loop {
        let view = views.borrow_and_update().clone();
        let Ok(body) = view.body(query) else {
            let frame = format!("id: 0\nevent: error\ndata: {LOST_IPS}\n\n");
            return stream.write_all(frame.as_bytes()).await;
        };
        if told.as_ref() != Some(&body) {
            let event = match (&told, view.event) {
                (None, _) => "init",
                (Some(_), Event::Update) => "update",
                (Some(_), Event::Delete) => "delete",
            };
            let head = format!("id: {}\nevent: {event}\ndata: ", view.number - first + 1);
            let frame = Bytes::from(head).chain(body.clone()).chain(&b"\n\n"[..]);
            stream.write_all_buf(&mut { frame }).await?;
            told = Some(body);
        }
        loop {
            let mut byte = [0];
            tokio::select! {
                change = views.changed() => match change {
                    Ok(()) => break,
                    Err(_) => return Ok(()),
                },
                _ = heartbeat.tick(), if query.heartbeat > 0 => stream.write_all(HEARTBEAT).await?,
                read = stream.read(&mut byte) => {
                    if read? > 0 {
                        warn!("bytes on a watch connection: they would have crashed a real lainlet");
                    }
                    return Ok(());
                }
            }
        }
    }
}

fn http_date() -> String {
    jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

const IDLE: Duration = Duration::from_secs(300);
const MAX_HEAD: usize = 64 * 1024;
/// Go's net/http knows the length of what fits its buffer, and sends the rest in chunks.
const MAX_KNOWN_LENGTH: usize = 2048;
const LOST_IPS: &str = "over half of the containers lost their IPs";
const HEARTBEAT: &[u8] = b"id: 0\nevent: heartbeat\n\n";
const WATCH_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nVary: Accept-Encoding\r\n\r\n";
const BAD_REQUEST: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request";
const NO_HOST: &[u8] = b"HTTP/1.1 400 Bad Request: missing required Host header\r\n\
    Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request: missing required Host header";
