//! Webprocs states: a state taken after others says what it says alone.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use webrouter_discovery::lainlet::translate::Translator;
use webrouter_routing::contribution::Claims;

// States are separated by NUL, which no JSON has.
fuzz_target!(|bytes: &[u8]| {
    let mut following = Translator::default();
    for state in bytes.split(|&byte| byte == 0).take(8) {
        let state = Bytes::copy_from_slice(state);
        let mut anew = Translator::new(following.procs().clone());
        let before = following.procs().clone();
        let taken = following.update(state.clone());
        assert_eq!(taken, anew.update(state.clone()), "the shortcut takes what the whole way takes");
        assert_eq!(following.procs(), anew.procs());
        if taken.is_err() {
            assert_eq!(*following.procs(), before, "after an error the last state stays");
            continue;
        }
        assert_eq!(following.unreadable(), anew.unreadable());
        let settled = following.procs().clone();
        assert_eq!(following.update(state), Ok(()));
        assert_eq!(*following.procs(), settled, "the same state again changes nothing");
        for (name, proc) in &settled {
            assert!(name.as_str().split('.').count() >= 3);
            assert!(proc.endpoints.iter().all(|endpoint| endpoint.address().port() != 0));
            if let Claims::Unreadable(reason) = &proc.claims {
                assert!(reason.to_string().len() < 2000, "a message is a line");
            }
        }
    }
});
