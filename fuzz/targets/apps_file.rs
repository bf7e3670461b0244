//! apps.toml: a file that is followed says what it says when it is read anew.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use webrouter_discovery::file::{App, AppsFile, parse_apps};

// Versions of the file are separated by NUL, which no TOML has.
fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let path = Path::new("apps.toml");
    let mut followed = AppsFile::new(path);
    for version in text.split('\0').take(8) {
        let before = view(&followed);
        let changes = followed.update(version.to_owned());
        match parse_apps(version, path) {
            Ok(anew) => {
                let changes = changes.expect("the shortcut takes what the whole way takes");
                let now = view(&followed);
                assert_eq!(now, anew);
                for change in changes {
                    let find = |apps: &[(String, App)]| {
                        apps.iter().find(|(name, _)| *name == change.name).map(|a| a.1.clone())
                    };
                    assert_eq!(find(&now), change.app.as_deref().cloned());
                    assert_ne!(find(&before), find(&now), "a change changes something");
                }
            }
            Err(error) => {
                assert!(changes.is_err(), "the shortcut refuses what the whole way refuses: {error}");
                assert_eq!(view(&followed), before);
                assert!(error.line >= 1 && error.column >= 1 && error.line <= version.split('\n').count());
                assert!(!error.text.contains(['\n', '\r', '\x1b']) && error.to_string().len() < 2000);
            }
        }
    }
});

fn view(file: &AppsFile) -> Vec<(String, App)> {
    file.apps().map(|(name, app)| (name.to_owned(), app.as_ref().clone())).collect()
}
