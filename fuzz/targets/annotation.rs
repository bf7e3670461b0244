//! Annotations: what is taken is well formed, routed to, and can be written and read again.
#![no_main]

use std::collections::BTreeSet;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use webrouter_routing::annotation::Annotation;
use webrouter_routing::contribution::{Claims, Contribution, Proc};
use webrouter_routing::merge::{Defaults, merge};
use webrouter_routing::mountpoint::Mountpoint;
use webrouter_routing::name::{ProcName, SourceName};
use webrouter_routing::policy::{Policy, Wishes};
use webrouter_routing::snapshot::Snapshot;
use webrouter_routing::table::Outcome;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (annotation, reasons) = match Annotation::parse(text) {
        Ok(parsed) => parsed,
        Err(reason) => return assert!(reason.to_string().len() < 1500, "a message is a line: {reason}"),
    };
    for reason in &reasons {
        let message = reason.to_string();
        assert!(message.len() < 4000 && !message.contains(['\n', '\r', '\0']), "{message}");
    }
    let distinct: BTreeSet<&Mountpoint> = annotation.mountpoints.iter().collect();
    assert_eq!(distinct.len(), annotation.mountpoints.len());
    for mountpoint in &annotation.mountpoints {
        assert_eq!(Mountpoint::parse(&mountpoint.to_string()).as_ref(), Ok(mountpoint));
    }
    if let Some(path) = &annotation.healthcheck {
        assert!(path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()));
    }
    let stored = serde_json::to_string(&annotation).expect("an annotation is JSON");
    assert_eq!(serde_json::from_str::<Annotation>(&stored).expect("what is stored comes back"), annotation, "{stored}");
    is_served(annotation, reasons);
});

fn is_served(annotation: Annotation, reasons: Vec<webrouter_routing::rejection::Reason>) {
    let mountpoints = annotation.mountpoints.clone();
    let mut contribution = Contribution::empty(SourceName::new("fuzz"));
    let name = ProcName::parse("demo.web.web").expect("a name");
    let proc = Proc { claims: Claims::Readable(Arc::new(annotation)), endpoints: Arc::default(), reasons };
    contribution.procs.insert(name, Arc::new(proc));
    let snapshot = merge(&Snapshot::empty(&Defaults::default()), &[contribution], &Defaults::default());
    assert_eq!(snapshot.route_count(), mountpoints.len());
    let (_, proc) = snapshot.procs().next().expect("the proc");
    let (upstream, asked) = (&proc.upstream, proc.upstream.annotation.wishes.as_deref());
    assert!(asked.is_some() || *upstream.policy == Policy::default());
    for (key, value) in asked.into_iter().flat_map(Wishes::told) {
        assert!(upstream.policy.told().contains(&(key, value)), "{key} is in force");
    }
    assert!(upstream.policy.queue <= 65_536 && upstream.policy.endpoint_wait.as_secs() <= 60);
    for mountpoint in &mountpoints {
        let below = format!("{}/", mountpoint.path());
        let outcome = snapshot.table().lookup(mountpoint.host().as_str(), below.as_bytes());
        assert!(
            matches!(outcome, Outcome::Route(route) if route.mountpoint == *mountpoint),
            "{mountpoint}: {outcome:?}"
        );
    }
}
