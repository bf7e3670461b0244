//! Asks a running instance over its admin listener.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use webrouter_admin_api::{ApiError, paths};

use super::Instance;
use crate::app::{Listening, token};

/// The instance was asked, and did not do it.
#[derive(Debug, thiserror::Error)]
#[error("{error}; {fix}")]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    error: String,
    fix: String,
}

/// There is no instance to ask, or it does not answer.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub(super) struct Absent {
    why: String,
}

impl Instance {
    /// GET of a JSON document.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<T> {
        self.ask(Method::GET, path, query).await
    }

    /// GET of a JSON document that takes its time.
    pub(super) async fn get_patiently<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.ask_within(LONG_PATIENCE, Method::GET, path, &[]).await
    }

    /// POST of an action.
    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<T> {
        self.ask(Method::POST, path, query).await
    }

    /// DELETE: takes an action back.
    pub(super) async fn delete<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.ask(Method::DELETE, path, &[]).await
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, query: &[(&str, &str)]) -> anyhow::Result<T> {
        self.ask_within(PATIENCE, method, path, query).await
    }

    async fn ask_within<T: DeserializeOwned>(
        &self,
        patience: Duration,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
    ) -> anyhow::Result<T> {
        let address = self.address()?;
        let token = self.token()?;
        let answer = tokio::time::timeout(patience, exchange(address, method, path, query, token.as_deref())).await;
        let late = |_| bail!(Absent { why: format!("no answer from {address} within {patience:?}") });
        let (status, body) = answer.unwrap_or_else(late)?;
        if status.is_success() {
            return serde_json::from_slice(&body).with_context(|| {
                format!("what listens at {address} is not a webrouter of this version (it answers {path} otherwise)")
            });
        }
        match serde_json::from_slice::<ApiError>(&body) {
            Ok(ApiError { error, fix }) => bail!(Refused { status, error, fix }),
            Err(_) => bail!("{address} answers {status} to {path}: is it the admin listener of a webrouter?"),
        }
    }

    /// Of `--token-file`, else of the configured file, where there is one and it can be read.
    fn token(&self) -> anyhow::Result<Option<String>> {
        if let Some(path) = &self.token_file {
            return token::text(path).map(Some);
        }
        // An instance elsewhere may be asked without any configuration here.
        let configured = self.file.load().ok().and_then(|config| config.admin_token_file);
        Ok(configured.and_then(|path| token::text(&path).ok()))
    }

    /// `--admin`, else what is configured; a configured port 0 is looked up in the state directory.
    fn address(&self) -> anyhow::Result<SocketAddr> {
        if let Some(address) = self.admin {
            return Ok(address);
        }
        let config = self.file.load()?;
        if config.admin.port() != 0 {
            return Ok(config.admin);
        }
        let listening = Listening::read(&config.state).map_err(|error| {
            let state = config.state.display();
            let why = format!("[admin] listen has port 0 and {state} tells no running instance; use --admin: {error}");
            Absent { why }
        });
        Ok(listening?.admin)
    }
}

async fn exchange(
    address: SocketAddr,
    method: Method,
    path: &str,
    query: &[(&str, &str)],
    token: Option<&str>,
) -> anyhow::Result<(StatusCode, Bytes)> {
    let stream = TcpStream::connect(address).await.map_err(|error| Absent {
        why: format!(
            "nothing listens at {address}; is webrouter running? start it with `webrouter run`, or name its admin \
             listener with --admin: {error}"
        ),
    })?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut request = Request::builder()
        .method(method)
        .uri(uri(path, query)?)
        .header(header::HOST, address.to_string())
        .header(paths::ACTION_HEADER, paths::ACTION_VALUE);
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request.body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await.with_context(|| format!("{address} does not speak HTTP"))?;
    let status = response.status();
    Ok((status, response.into_body().collect().await?.to_bytes()))
}

fn uri(path: &str, query: &[(&str, &str)]) -> anyhow::Result<Uri> {
    let mut text = path.to_owned();
    for (number, (name, value)) in query.iter().enumerate() {
        text.push(if number == 0 { '?' } else { '&' });
        text.push_str(name);
        text.push('=');
        for byte in value.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(byte)),
                other => text.push_str(&format!("%{other:02X}")),
            }
        }
    }
    Ok(text.parse()?)
}

const PATIENCE: Duration = Duration::from_secs(10);
/// Longer than an examination of many endpoints that do not answer.
const LONG_PATIENCE: Duration = Duration::from_secs(60);
