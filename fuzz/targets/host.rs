//! Hosts, as requested and as configured.
#![no_main]

use libfuzzer_sys::fuzz_target;
use webrouter_routing::host::{Host, RequestHost};

fuzz_target!(|bytes: &[u8]| {
    requested(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        configured(text);
    }
});

/// What is taken is a name in its one form: parsed again, it is the same.
fn requested(bytes: &[u8]) {
    let Ok(host) = RequestHost::parse(bytes) else { return };
    let name = host.as_str();
    assert!(!name.is_empty() && name.len() <= 253);
    assert!(name.bytes().all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase()), "{name}");
    assert!(!name.contains(['/', '@', '\\', '"', '%', '?', '#', ',']), "{name}");
    let again = RequestHost::parse(name.as_bytes()).expect("a normal name is a name");
    assert_eq!((again.as_str(), again.port()), (name, None));
    if let Some(port) = host.port() {
        let again = RequestHost::parse(format!("{name}.:{port}").as_bytes());
        assert!(name.starts_with('[') || again.is_ok_and(|again| again.as_str() == name && again.port() == Some(port)));
    }
}

/// A configured host is reached by a request for it, and by no spelling that is not a host.
fn configured(text: &str) {
    match Host::parse(text) {
        Ok(host) => {
            assert_eq!(Host::parse(host.as_str()).as_ref(), Ok(&host));
            let requested = RequestHost::parse(host.as_str().as_bytes()).expect("a configured host can be requested");
            assert_eq!(requested.as_str(), host.as_str());
        }
        Err(error) => assert!(error.to_string().len() < 1500, "a message is a line"),
    }
}
