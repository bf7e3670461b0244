//! Raw-byte clients and origins, TLS and HTTP/2 among them, a scripted lainlet, a router process: what the tests speak with.
//!
//! Everything here is blocking threads over loopback sockets with a deadline on each wait (the h2c origin alone has a
//! runtime, inside its thread). Nothing of the router
//! is linked in: the tests know it by its bytes, its files and its exit code only.

mod acceptor;
mod canonical;
mod certificates;
mod client;
mod eventually;
mod faulty_origin;
mod h2c_origin;
mod hosts;
pub mod http2;
mod http_origin;
mod lainlet;
mod load;
mod message;
mod open_load;
mod origin;
mod origin_process;
pub mod programs;
mod router;
mod tls;
mod transport;

pub use acceptor::Acceptor;
pub use canonical::{Canonical, Kind, expand_ours};
pub use certificates::{Authority, Pair};
pub use client::{Asked, Client};
pub use eventually::{eventually, until};
pub use faulty_origin::{Fault, FaultyOrigin, Seen};
pub use h2c_origin::{H2cEnd, H2cOrigin, H2cRequest};
pub use hosts::Host;
pub use http_origin::HttpOrigin;
pub use lainlet::{Garbage, Gets, Lainlet, Mode};
pub use load::{Load, Target};
pub use message::{Body, Field, Framing, Head, Response, decode_body, head_length, latin1};
pub use open_load::{OpenLoad, OpenPlan, Outcome, Verb};
pub use origin::{Exchange, Origin, Step, web_socket_accept};
pub use origin_process::OriginProcess;
pub use router::{Listening, Router, RouterBuilder, Signal};
pub use tls::{TlsClient, TlsStream, Version};
pub use transport::{AlertDescription, End, Transport, alert_of};
