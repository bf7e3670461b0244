use proptest::prelude::*;

use super::*;

fn check_error(text: &str, line: usize, column: usize, message: &str) {
    let error = parse_apps(text, Path::new("apps.toml")).expect_err(text);
    assert_eq!((error.line, error.column), (line, column), "{error}");
    assert!(error.message.contains(message), "{error}");
}

#[test]
fn the_file_of_the_manual() {
    let text = r#"
[apps."demo.web.web"]
mountpoint = ["demo.lain.local", "x.com/demo"]
https_only = false
healthcheck = "/health"
endpoints = ["127.0.0.1:8001", "127.0.0.1:8002"]
"#;
    let apps = parse_apps(text, Path::new("apps.toml")).expect("good");
    let [(name, app)] = apps.as_slice() else { panic!("one app: {apps:?}") };
    assert_eq!(name, "demo.web.web");
    assert_eq!(app.mountpoint, ["demo.lain.local", "x.com/demo"]);
    assert_eq!(app.healthcheck.as_deref(), Some("/health"));
    assert_eq!(app.endpoints.len(), 2);
    assert_eq!(parse_apps("", Path::new("apps.toml")), Ok(Vec::new()));
}

#[test]
fn mistakes_name_their_line_and_column() {
    check_error("[apps.\"a.b.c\"]\nmountpoints = []\n", 2, 1, "unknown field");
    check_error("[apps.\"a.b.c\"]\n\nhttps_only = \"yes\"\n", 3, 14, "invalid type");
    check_error("[app.\"a.b.c\"]\n", 1, 2, "unknown field");
    check_error("[apps.\"a.b.c\"]\n[apps.\"a.b.c\"]\n", 2, 7, "duplicate");
    check_error("[apps.\"a.b.c\"]\nendpoints = [\n", 2, 14, "unclosed");
}

#[test]
fn policies_and_weights() {
    let text = r#"
[apps."demo.web.web"]
balance = "hash header X-User"
queue = 0
circuit_breaker = 0.5
connect_timeout = "1s"
endpoints = ["127.0.0.1:8001", { address = "127.0.0.1:8002", weight = 3 }, { address = "127.0.0.1:8003" }]
"#;
    let apps = parse_apps(text, Path::new("apps.toml")).expect("good");
    let [(_, app)] = apps.as_slice() else { panic!("one app: {apps:?}") };
    assert_eq!(
        app.wishes.keys().copied().collect::<Vec<_>>(),
        ["balance", "circuit_breaker", "connect_timeout", "queue"]
    );
    assert_eq!(app.endpoints.iter().map(|endpoint| endpoint.weight).collect::<Vec<_>>(), [1, 3, 1]);
}

#[test]
fn mistakes_of_policies_name_their_line_and_column() {
    let app = "[apps.\"a.b.c\"]\n";
    check_error(&format!("{app}ballance = \"sticky\"\n"), 2, 1, "unknown field `ballance`");
    check_error(&format!("{app}queue = 1\nconnect_timeout = 5\n"), 3, 19, "bad connect_timeout: `5` is not a duration");
    check_error(&format!("{app}queue = true\n"), 2, 9, "bad queue: true is not a whole number; write a number from 0");
    check_error(&format!("{app}circuit_breaker = nan\n"), 2, 19, "what is no number is not a share");
    check_error(&format!("{app}queue = 1\nqueue = 2\n"), 3, 1, "duplicate");
    let endpoint = |text: &str| format!("{app}endpoints = [\"1.1.1.1:1\",\n  {text}]\n");
    check_error(&endpoint("{ address = \"1.1.1.1:2\", weight = 0 }"), 3, 37, "weight 0 is not between 1 and 256");
    check_error(&endpoint("{ address = \"1.1.1.1:2\", weigth = 2 }"), 3, 28, "unknown field `weigth`");
    check_error(&endpoint("{ weight = 2 }"), 3, 3, "missing field `address`");
    check_error(&endpoint("7"), 3, 3, "expected \"ip:port\" or { address");
    // What only the key can judge is a rejection of that key, not of the file.
    assert!(parse_apps(&format!("{app}queue = 70000\nbalance = \"fair\"\n"), Path::new("apps.toml")).is_ok());
}

#[test]
fn edits_parse_their_own_pieces_alone() {
    let text = |port: u16| {
        let app = |at: u16| {
            format!(
                "[apps.\"a{at}.web.web\"]\nendpoints = [\"127.0.0.1:{}\"]\n\n",
                1000 + at + port * u16::from(at == 2 || at == 5)
            )
        };
        format!("# apps\n{}", (0..10).map(app).collect::<String>())
    };
    let mut file = AppsFile::new("apps.toml");
    assert_eq!(file.update(text(0)).expect("good").len(), 10);
    let patch = file.patch(&text(1)).expect("it can be cut");
    let edited = patch.pieces.iter().filter(|(_, app)| app.is_some()).map(|(piece, _)| piece.name.as_ref());
    assert_eq!(edited.collect::<Vec<_>>(), ["a2.web.web", "a5.web.web"]);
    let changes = file.update(text(1)).expect("good");
    assert_eq!(changes.iter().map(|change| change.name.as_str()).collect::<Vec<_>>(), ["a2.web.web", "a5.web.web"]);
    let error = file.update(text(2).replace("a7.web", "a6.web")).expect_err("twice the same");
    assert!(error.message.contains("duplicate"), "{error}");
    assert_eq!(file.apps().count(), 10);
}

/// A file of a few pieces, some of which cannot be cut or are wrong.
fn file() -> impl Strategy<Value = String> {
    let name = (0u8..6).prop_map(|at| format!("a{at}.web.web"));
    let piece = prop_oneof![
        12 => (name.clone(), 1u16..4).prop_map(|(name, port)| format!("[apps.\"{name}\"]\nendpoints = [\"127.0.0.1:{port}\"]\n")),
        2 => (name.clone(), 0u8..3).prop_map(|(name, queue)| format!("[apps.\"{name}\"]\nqueue = {queue}\nendpoints = [{{ address = \"1.1.1.1:1\", weight = {queue} }}]\n")),
        2 => name.clone().prop_map(|name| format!("[apps.\"{name}\"]\nendpoints = [\n  \"1.1.1.1:1\",\n]\n# end")),
        1 => name.clone().prop_map(|name| format!("[apps.\"{name}\"]\nhealthcheck = \"\"\"\n[apps.\"x.y.z\"]\n\"\"\"\n")),
        1 => name.clone().prop_map(|name| format!(" [apps.\"{name}\"]\n")),
        1 => name.prop_map(|name| format!("[apps.\"{name}\".more]\n")),
        1 => prop_oneof![Just("[apps]\n"), Just("[apps.\n"), Just("x = 1\n"), Just("\n# c\n"), Just("[[apps.a]]\n"), Just("[apps.\"q.w.e\"] # c\r\n")]
            .prop_map(str::to_owned),
    ];
    proptest::collection::vec(piece, 0..7).prop_map(|mut pieces| {
        pieces.dedup();
        pieces.concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn an_edited_file_is_the_file_parsed_whole(texts in proptest::collection::vec(file(), 1..8)) {
        let mut edited = AppsFile::new("apps.toml");
        let mut followed: BTreeMap<String, App> = BTreeMap::new();
        for text in texts {
            let whole = parse_apps(&text, Path::new("apps.toml"));
            match (edited.update(text.clone()), whole) {
                (Ok(changes), Ok(whole)) => {
                    for change in changes {
                        match change.app {
                            Some(app) => drop(followed.insert(change.name, (*app).clone())),
                            None => drop(followed.remove(&change.name)),
                        }
                    }
                    let whole: BTreeMap<String, App> = whole.into_iter().collect();
                    let now: BTreeMap<String, App> = edited.apps().map(|(n, a)| (n.to_owned(), (**a).clone())).collect();
                    prop_assert_eq!(&now, &whole, "{}", text);
                    prop_assert_eq!(&followed, &whole, "{}", text);
                }
                (edited, whole) => prop_assert_eq!(edited.err(), whole.err(), "{}", text),
            }
        }
    }
}
