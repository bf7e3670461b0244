//! As much of an HTTP/1.1 server as the demo's apps need; the router in front of them has checked the requests.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// A connection, read head by head.
pub(super) struct Conversation {
    pub(super) stream: TcpStream,
    pub(super) buffer: Vec<u8>,
    stopping: watch::Receiver<bool>,
}

/// A request without its body.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) line: String,
    pub(super) fields: Vec<(String, String)>,
}

impl Conversation {
    pub(super) fn new(stream: TcpStream, stopping: watch::Receiver<bool>) -> Self {
        Self { stream, buffer: Vec::new(), stopping }
    }

    /// The next request; `None` when there is none any more, or the container stops.
    pub(super) async fn request(&mut self) -> io::Result<Option<Request>> {
        loop {
            if let Some(end) = memchr::memmem::find(&self.buffer, b"\r\n\r\n") {
                let rest = self.buffer.split_off(end + 4);
                let head = std::mem::replace(&mut self.buffer, rest);
                return Ok(Some(Request::parse(&String::from_utf8_lossy(&head))));
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(io::Error::other("the request head is too long"));
            }
            let read = tokio::select! {
                read = self.stream.read_buf(&mut self.buffer) => read?,
                _ = self.stopping.wait_for(|stop| *stop) => 0,
            };
            if read == 0 {
                return Ok(None);
            }
        }
    }

    /// Answers with a text; true when the connection can take another request.
    pub(super) async fn answer(&mut self, request: &Request, body: &str) -> io::Result<bool> {
        let keep = !request.has_body();
        let connection = if keep { "" } else { "Connection: close\r\n" };
        let length = body.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n{connection}\r\n"
        );
        let body = if request.line.starts_with("HEAD ") { "" } else { body };
        self.stream.write_all((head + body).as_bytes()).await?;
        Ok(keep)
    }
}

impl Request {
    fn parse(head: &str) -> Self {
        let mut lines = head.lines();
        let line = lines.next().unwrap_or_default().to_owned();
        let field = |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
        Self { line, fields: lines.filter_map(field).collect() }
    }

    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// A body is not read: the demo closes instead.
    fn has_body(&self) -> bool {
        self.field("transfer-encoding").is_some() || self.field("content-length").is_some_and(|length| length != "0")
    }
}

const MAX_HEAD: usize = 128 * 1024;
