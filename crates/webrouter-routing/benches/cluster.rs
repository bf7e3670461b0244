//! A cluster of a given size, as lainlet tells of one.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use webrouter_routing::annotation::{Annotation, RawAnnotation};
use webrouter_routing::contribution::{Claims, Contribution, Proc};
use webrouter_routing::endpoint::Endpoint;
use webrouter_routing::name::{ProcName, SourceName};

/// The host that every app is mounted on too, by path.
pub(crate) const SHARED_HOST: &str = "all.lain.local";

/// The host of one app.
pub(crate) fn host(app: usize) -> String {
    format!("app-{app}.lain.local")
}

/// All apps, two endpoints each, at a host of their own, below its `/api`, and below the shared host.
pub(crate) fn contribution(apps: usize) -> Contribution {
    let mut contribution = Contribution::empty(SourceName::new("lainlet"));
    contribution.procs = (0..apps).map(|app| (name(app), Arc::new(proc(app, 8000)))).collect();
    contribution
}

/// The name of one app's proc.
pub(crate) fn name(app: usize) -> ProcName {
    ProcName::parse(&format!("app-{app}.web.web")).expect("a name")
}

/// One app whose two containers listen on a port.
pub(crate) fn proc(app: usize, port: u16) -> Proc {
    let host = host(app);
    let mountpoint = vec![host.clone(), format!("{host}/api"), format!("{SHARED_HOST}/app-{app}")];
    let (annotation, reasons) =
        Annotation::from_raw(RawAnnotation { mountpoint: Some(mountpoint), ..RawAnnotation::default() });
    let endpoint = |container: usize| {
        let number = u32::try_from(app * 2 + container).expect("a small cluster");
        Endpoint::new(SocketAddr::from((Ipv4Addr::from_bits(0x0a00_0000 + number), port))).expect("an endpoint")
    };
    let endpoints = Arc::new([endpoint(0), endpoint(1)]);
    Proc { claims: Claims::Readable(Arc::new(annotation)), endpoints, reasons }
}
