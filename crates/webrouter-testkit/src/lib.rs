//! Raw-byte client and origin, a scripted lainlet, a router process: what the tests speak with.
//!
//! Everything here is blocking threads over loopback sockets with a deadline on each wait. Nothing of the router
//! is linked in: the tests know it by its bytes, its files and its exit code only.

mod acceptor;
mod canonical;
mod client;
mod eventually;
mod faulty_origin;
mod hosts;
mod http_origin;
mod lainlet;
mod load;
mod message;
mod open_load;
mod origin;
mod origin_process;
mod router;

pub use acceptor::Acceptor;
pub use canonical::{Canonical, Kind, expand_ours};
pub use client::{Asked, Client, End};
pub use eventually::{eventually, until};
pub use faulty_origin::{Fault, FaultyOrigin, Seen};
pub use hosts::Host;
pub use http_origin::HttpOrigin;
pub use lainlet::{Garbage, Gets, Lainlet, Mode};
pub use load::{Load, Target};
pub use message::{Body, Field, Framing, Head, Response, decode_body, head_length, latin1};
pub use open_load::{OpenLoad, OpenPlan, Outcome, Verb};
pub use origin::{Exchange, Origin, Step};
pub use origin_process::OriginProcess;
pub use router::{Listening, Router, RouterBuilder, Signal};
