//! One connection to lainlet with one request on it.

use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, DATE, HOST, USER_AGENT};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustix::net::sockopt;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::LainletConfig;
use crate::source::{Problem, excerpt};

/// A connection that goes when dropped; nothing is written on it after its request.
pub(super) struct Connection {
    body: Incoming,
    /// What the other host takes for the time.
    date: Option<SystemTime>,
    read_timeout: Duration,
    driver: AbortHandle,
    _sender: SendRequest<Empty<Bytes>>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    /// Connects, asks, and reads the answer's head: 200 of the wanted type (any, if `None`), or a problem.
    pub(super) async fn ask(config: &LainletConfig, target: &str, wanted: Option<&str>) -> Result<Self, Problem> {
        let connecting = timeout(config.connect_timeout, TcpStream::connect(&config.address));
        let stream = connecting
            .await
            .map_err(|_| Problem::new("connect", format!("no connection within {:?}", config.connect_timeout)))?
            .map_err(|error| Problem::new("connect", error))?;
        // Without it the connection is good all the same, and the read time-out ends it.
        let _ = keep_asking(&stream);
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(READ_BUFFER)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| Problem::new("connect", error))?;
        let driver = tokio::spawn(async move {
            // Its end is seen by the reader of the body.
            let _ = connection.await;
        })
        .abort_handle();
        let request = Request::get(target)
            .header(HOST, &config.address)
            .header(USER_AGENT, concat!("webrouter/", env!("CARGO_PKG_VERSION")))
            .body(Empty::new())
            .map_err(|error| Problem::new("connect", error))?;
        let answer = timeout(config.read_timeout, sender.send_request(request)).await;
        let silence = || Problem::new("read_timeout", format!("no answer within {:?}", config.read_timeout));
        let response = match answer {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                driver.abort();
                return Err(Problem::new("protocol", error));
            }
            Err(_) => {
                driver.abort();
                return Err(silence());
            }
        };
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default().to_owned();
        let date = response.headers().get(DATE).and_then(|value| value.to_str().ok());
        let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
        let (status, body) = parts(response);
        let mut connection = Self { body, date, read_timeout: config.read_timeout, driver, _sender: sender };
        if status != StatusCode::OK {
            let text = timeout(config.read_timeout, connection.whole(ERROR_BODY)).await;
            let text = text.ok().and_then(Result::ok).unwrap_or_default();
            let text = excerpt(String::from_utf8_lossy(&text).trim());
            return Err(Problem::new("http_status", format!("{status}: {text}")));
        }
        match wanted {
            Some(wanted) if !content_type.starts_with(wanted) => {
                Err(Problem::new("protocol", format!("the answer is `{content_type}`, not `{wanted}`")))
            }
            _ => Ok(connection),
        }
    }

    /// The next bytes of the body; `None` at its end.
    pub(super) async fn bytes(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            let frame = timeout(self.read_timeout, self.body.frame()).await;
            let frame = frame.map_err(|_| {
                Problem::new("read_timeout", format!("not a byte for {:?}, heartbeats included", self.read_timeout))
            })?;
            match frame {
                None => return Ok(None),
                Some(Err(error)) => return Err(Problem::new("protocol", error)),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// The whole body, if it is not longer than `max` bytes.
    pub(super) async fn whole(&mut self, max: usize) -> Result<Bytes, Problem> {
        let mut whole = BytesMut::new();
        while let Some(bytes) = self.bytes().await? {
            if whole.len() + bytes.len() > max {
                return Err(Problem::new("too_large", format!("an answer is longer than {max} bytes")));
            }
            whole.extend_from_slice(&bytes);
        }
        Ok(whole.freeze())
    }
}

/// Lets the kernel ask whether the other host still knows this connection, which takes no byte of the stream: one that
/// vanished and is back says at once that it does not.
fn keep_asking(stream: &TcpStream) -> rustix::io::Result<()> {
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEPALIVE)?;
    sockopt::set_tcp_keepintvl(stream, KEEPALIVE)?;
    sockopt::set_tcp_keepcnt(stream, KEEPALIVES_LOST)
}

fn parts(response: Response<Incoming>) -> (StatusCode, Incoming) {
    (response.status(), response.into_body())
}

/// One GET, which has `read_timeout` besides the time to connect, to its last byte: whoever drips is given up.
pub(super) async fn get(config: &LainletConfig, target: &str) -> Result<Bytes, Problem> {
    get_dated(config, target).await.map(|(body, _)| body)
}

/// The same, and what lainlet takes for the time.
pub(super) async fn get_dated(config: &LainletConfig, target: &str) -> Result<(Bytes, Option<SystemTime>), Problem> {
    let deadline = config.connect_timeout + config.read_timeout;
    let whole = async {
        let mut connection = Connection::ask(config, target, None).await?;
        Ok((connection.whole(config.max_bytes).await?, connection.date))
    };
    let late = |_| Problem::new("read_timeout", format!("no whole answer within {deadline:?}"));
    timeout(deadline, whole).await.map_err(late)?
}

const KEEPALIVE: Duration = Duration::from_secs(1);
/// A pause of the network is no end.
const KEEPALIVES_LOST: u32 = 20;
const ERROR_BODY: usize = 4096;
/// A state of 3 MB arrives in few pieces.
const READ_BUFFER: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_get_whose_answer_drips_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mut config = LainletConfig::new(listener.local_addr().expect("bound").to_string());
        (config.connect_timeout, config.read_timeout) = (Duration::from_millis(200), Duration::from_millis(200));
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            assert!(stream.read(&mut [0; 1024]).await.expect("a request") > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n").await.expect("written");
            while stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let began = std::time::Instant::now();
        let problem = get(&config, "/").await.expect_err("it never ends");
        assert_eq!(problem.kind, "read_timeout");
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        server.abort();
    }
}
