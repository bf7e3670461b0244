//! A gRPC service by hand: its messages are texts, its descriptions are these comments.
//!
//! `Say` (one for one), `Count` (one for many), `Sum` (many for one), `Chat` (many for many, each answered at once),
//! `Wait` (no answer: it notes when its caller gives up).

use std::convert::Infallible;
use std::future::{self, Future};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};

use bytes::{Buf, BufMut};
use tokio::sync::oneshot;
use tokio_stream::{Stream, StreamExt};
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::server::NamedService;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status, Streaming};
use tower_service::Service;

/// The service on a port of its own; it goes when dropped.
pub(crate) struct Greeter {
    addr: SocketAddr,
    seen: Seen,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the service noticed.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    waiting: Arc<AtomicUsize>,
    metadata: Arc<Mutex<MetadataMap>>,
}

impl Greeter {
    pub(crate) fn start() -> Greeter {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a listener that does not block");
        let addr = listener.local_addr().expect("bound");
        let seen = Seen::default();
        let (stop, stopped) = oneshot::channel();
        let methods = Methods(seen.clone());
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener of this runtime");
                let serving = Server::builder().add_service(methods).serve_with_incoming(TcpIncoming::from(listener));
                tokio::select! {
                    served = serving => served.expect("the service serves"),
                    _ = stopped => {}
                }
            });
        });
        Greeter { addr, seen, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How many calls of `Wait` are there now.
    pub(crate) fn waiting(&self) -> usize {
        self.seen.waiting.load(Ordering::SeqCst)
    }

    /// What came with the last call.
    pub(crate) fn metadata(&self, name: &str) -> Option<String> {
        let metadata = self.seen.metadata.lock().expect("not poisoned");
        metadata.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    }
}

impl Drop for Greeter {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[derive(Clone)]
struct Methods(Seen);

impl NamedService for Methods {
    const NAME: &'static str = "test.Greeter";
}

impl Service<http::Request<Body>> for Methods {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let seen = self.0.clone();
        *seen.metadata.lock().expect("not poisoned") = MetadataMap::from_headers(request.headers().clone());
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(Texts);
            let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
            Ok(match method.as_str() {
                "Say" => grpc.unary(Say, request).await,
                "Count" => grpc.server_streaming(Count, request).await,
                "Sum" => grpc.client_streaming(Sum, request).await,
                "Chat" => grpc.streaming(Chat, request).await,
                "Wait" => grpc.unary(Wait(seen), request).await,
                _ => Status::unimplemented("there is no such method").into_http(),
            })
        })
    }
}

type Answer<T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send>>;
type Texting = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

struct Say;

impl tonic::server::UnaryService<String> for Say {
    type Response = String;
    type Future = Answer<String>;

    fn call(&mut self, request: Request<String>) -> Self::Future {
        Box::pin(future::ready(match request.into_inner() {
            name if name == "nobody" => {
                let mut status = Status::new(Code::NotFound, "nobody is not here: 100 %");
                status.metadata_mut().insert("x-reason", MetadataValue::from_static("gone"));
                Err(status)
            }
            name => Ok(Response::new(format!("hello {name}"))),
        }))
    }
}

struct Count;

impl tonic::server::ServerStreamingService<String> for Count {
    type Response = String;
    type ResponseStream = Texting;
    type Future = Answer<Texting>;

    fn call(&mut self, request: Request<String>) -> Self::Future {
        let last: u32 = request.into_inner().parse().unwrap_or_default();
        let numbers = tokio_stream::iter((1..=last).map(|number| Ok(number.to_string())));
        // An error after the content is in the trailers, and nowhere else.
        let end = tokio_stream::iter((last == 7).then(|| Err(Status::aborted("seven is enough"))));
        Box::pin(future::ready(Ok(Response::new(Box::pin(numbers.chain(end)) as Texting))))
    }
}

struct Sum;

impl tonic::server::ClientStreamingService<String> for Sum {
    type Response = String;
    type Future = Answer<String>;

    fn call(&mut self, request: Request<Streaming<String>>) -> Self::Future {
        Box::pin(async move {
            let (mut numbers, mut sum) = (request.into_inner(), 0);
            while let Some(number) = numbers.message().await? {
                sum += number.parse::<u64>().map_err(|_| Status::invalid_argument("not a number"))?;
            }
            Ok(Response::new(sum.to_string()))
        })
    }
}

struct Chat;

impl tonic::server::StreamingService<String> for Chat {
    type Response = String;
    type ResponseStream = Texting;
    type Future = Answer<Texting>;

    fn call(&mut self, request: Request<Streaming<String>>) -> Self::Future {
        let answers = request.into_inner().map(|text| text.map(|text| format!("{text}, too")));
        Box::pin(future::ready(Ok(Response::new(Box::pin(answers) as Texting))))
    }
}

struct Wait(Seen);

impl tonic::server::UnaryService<String> for Wait {
    type Response = String;
    type Future = Answer<String>;

    fn call(&mut self, _: Request<String>) -> Self::Future {
        let waiting = Waiting::begin(&self.0);
        Box::pin(async move {
            let _waiting = waiting;
            future::pending().await
        })
    }
}

/// A call that is there as long as this is.
struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    fn begin(seen: &Seen) -> Waiting {
        seen.waiting.fetch_add(1, Ordering::SeqCst);
        Waiting(Arc::clone(&seen.waiting))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Messages that are texts.
pub(crate) struct Texts;

impl Codec for Texts {
    type Encode = String;
    type Decode = String;
    type Encoder = Texts;
    type Decoder = Texts;

    fn encoder(&mut self) -> Texts {
        Texts
    }

    fn decoder(&mut self) -> Texts {
        Texts
    }
}

impl Encoder for Texts {
    type Item = String;
    type Error = Status;

    fn encode(&mut self, text: String, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(text.as_bytes());
        Ok(())
    }
}

impl Decoder for Texts {
    type Item = String;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<String>, Status> {
        let bytes = from.copy_to_bytes(from.remaining());
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }
}
