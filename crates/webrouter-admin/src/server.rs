//! Connections of the admin listener.

mod places;

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::handlers::{self, LONGEST_WAIT};
use crate::live;
use crate::state::AdminState;
use places::{Place, Places};

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Serves the admin API until `shutdown` resolves; then lets answers under way finish for a short time.
pub async fn serve(listener: TcpListener, state: AdminState, shutdown: impl Future<Output = ()>) {
    let (live, ticking) = live::start(state.clone());
    let router = handlers::router(state, live);
    let mut places = Places::new(MAX_CONNECTIONS);
    let (stop, stopping) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let place = places.place();
                    let task = connection(stream, Peer(peer), router.clone(), place.clone(), stopping.clone());
                    places.take(place, connections.spawn(task));
                }
                Err(error) => {
                    tracing::warn!(%error, "admin connection not accepted");
                    sleep(ACCEPT_AGAIN_AFTER).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    drop(stop);
    // With it the streams of events end, which would go on for longer than there is time.
    ticking.abort();
    let finish = async { while connections.join_next().await.is_some() {} };
    if timeout(FINISH_WITHIN, finish).await.is_err() {
        tracing::debug!(open = connections.len(), "admin connections cut at stop");
    }
}

async fn connection(stream: TcpStream, peer: Peer, router: Router, place: Place, mut stopping: watch::Receiver<()>) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        place.asked();
        request.extensions_mut().insert(peer);
        router.call(request)
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(MAX_BUFFER);
    let served = builder.serve_connection(TokioIo::new(stream), service);
    let mut served = pin!(served);
    let finish_within = tokio::select! {
        result = &mut served => return log(result),
        // The sender never sends: it is dropped at stop.
        _ = stopping.changed() => FINISH_WITHIN,
        // It may be in the midst of a wait.
        () = sleep(MAX_AGE) => FINISH_WITHIN + LONGEST_WAIT,
    };
    served.as_mut().graceful_shutdown();
    match timeout(finish_within, served).await {
        Ok(result) => log(result),
        Err(_) => tracing::debug!("admin connection cut: its client does not take the answer"),
    }
}

fn log(result: hyper::Result<()>) {
    if let Err(error) = result {
        tracing::debug!(%error, "admin connection ended");
    }
}

/// Beyond them, the one that has asked nothing for longest is closed.
const MAX_CONNECTIONS: usize = 64;
/// For a request head, idle time before it included.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// Bytes of a request head.
const MAX_BUFFER: usize = 64 << 10;
/// A connection is closed after the answer it is in by then.
const MAX_AGE: Duration = Duration::from_secs(600);
const FINISH_WITHIN: Duration = Duration::from_secs(2);
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);
