//! WebSocket connections that say something and wait for it to come back.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::clients::Client;
use crate::websocket::{self, Payload};

/// What to say, and to whom.
pub(crate) struct Echo {
    /// The proxy.
    pub(crate) target: SocketAddr,
    /// Host names, one picked at random for every connection.
    pub(crate) hosts: Vec<String>,
}

impl Client for Echo {
    async fn ask_until(&self, _: usize, window_ends: Instant) -> Result<u64> {
        let host = self.hosts.get(fastrand::usize(..self.hosts.len())).context("no hosts")?;
        let mut stream = self.open(host).await.with_context(|| format!("no WebSocket for {host}"))?;
        let mut payload = [0; size_of::<Payload>()];
        let mut received = websocket::unmasked(&payload);
        let mut answers = 0;
        while Instant::now() < window_ends {
            fastrand::fill(&mut payload);
            stream.write_all(&websocket::masked(&payload, fastrand::u32(..).to_be_bytes())).await?;
            stream.read_exact(&mut received).await?;
            if received != websocket::unmasked(&payload) {
                bail!("{host} said something else");
            }
            answers += 1;
        }
        Ok(answers)
    }
}

impl Echo {
    async fn open(&self, host: &str) -> Result<TcpStream> {
        let mut stream = TcpStream::connect(self.target).await?;
        stream.set_nodelay(true)?;
        stream.write_all(format!("GET / HTTP/1.1\r\nHost: {host}\r\n{}", websocket::ASKS).as_bytes()).await?;
        let mut head = Vec::with_capacity(1024);
        // Nothing follows the head before we have said something.
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut head).await? == 0 {
                bail!("closed after {} bytes", head.len());
            }
        }
        if !head.starts_with(b"HTTP/1.1 101 ") || memmem::find(&head, websocket::ACCEPTED).is_none() {
            bail!("wrong answer: {}", String::from_utf8_lossy(&head));
        }
        Ok(stream)
    }
}
