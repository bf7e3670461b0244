use proptest::prelude::*;
use webrouter_routing::contribution::Contribution;
use webrouter_routing::merge::{Defaults, merge};
use webrouter_routing::name::SourceName;
use webrouter_routing::snapshot::Snapshot;

use super::*;

fn name(key: &str) -> ProcName {
    ProcName::parse(key).expect("a name")
}

fn translator(states: &[&str]) -> Translator {
    let mut translator = Translator::default();
    for state in states {
        translator.update(Bytes::from((*state).to_owned())).expect("a state");
    }
    translator
}

/// The endpoints, the mountpoints (`?` while the annotation is unreadable) and the kinds of reasons of `a.web.web`.
fn check(states: &[&str], endpoints: &[&str], mountpoints: &[&str], reasons: &[&str]) {
    let translator = translator(states);
    let proc = translator.procs().get(&name("a.web.web")).expect("the entry");
    let actual: Vec<String> = proc.endpoints.iter().map(ToString::to_string).collect();
    assert_eq!(actual, endpoints, "{states:?}");
    let (actual, unreadable) = match &proc.claims {
        Claims::Readable(annotation) => (annotation.mountpoints.iter().map(ToString::to_string).collect(), None),
        Claims::Unreadable(reason) => (vec!["?".to_owned()], Some(reason)),
    };
    assert_eq!(actual, mountpoints, "{states:?}");
    let kinds: Vec<&str> = unreadable.into_iter().chain(&proc.reasons).map(Reason::kind).collect();
    assert_eq!(kinds, reasons, "{states:?}");
}

const GOOD: &str = r#"{"a.web.web":{"PodInfos":[{"Annotation":"{\"mountpoint\":[\"a.lain\"]}","ContainerInfos":[{"ContainerIp":"172.20.0.3","Expose":8000}]}]}}"#;

#[test]
fn the_shapes_of_entries() {
    check(&[GOOD], &["172.20.0.3:8000"], &["a.lain"], &[]);
    check(
        &[
            r#"{"a.web.web":{"PodInfos":[{"ContainerInfos":[{"ContainerIp":"172.20.0.3","Expose":80},{"Expose":"side"}]},
            {"ContainerInfos":[]},{"ContainerInfos":null},{},{"ContainerInfos":[{"ContainerIp":"172.20.0.4","Expose":80,"X":1}]},
            {"ContainerInfos":[{"ContainerIp":"172.20.0.3","Expose":80}]}],"Y":[]}}"#,
        ],
        &["172.20.0.3:80", "172.20.0.4:80"],
        &[],
        &[],
    );
    check(
        &[r#"{"a.web.web":{"PodInfos":[{"Annotation":"","ContainerInfos":[{"ContainerIp":"","Expose":80}]},
            {"Annotation":"","ContainerInfos":[{"ContainerIp":"172.20.0.3","Expose":0}]}]}}"#],
        &[],
        &[],
        &["bad_endpoint", "bad_endpoint"],
    );
}

#[test]
fn without_pods_the_last_annotation_stays() {
    for no_pods in [r#"{"a.web.web":{"PodInfos":[]}}"#, r#"{"a.web.web":{"PodInfos":null}}"#, r#"{"a.web.web":{}}"#] {
        check(&[no_pods], &[], &[], &[]);
        check(&[GOOD, no_pods], &[], &["a.lain"], &[]);
        check(&[GOOD, no_pods, GOOD], &["172.20.0.3:8000"], &["a.lain"], &[]);
    }
    check(&[GOOD, "{}", r#"{"a.web.web":{}}"#], &[], &[], &[]);
}

#[test]
fn an_unreadable_entry_or_annotation_hurts_only_itself() {
    for bad in [
        "7",
        "null",
        "[]",
        r#"{"PodInfos":7}"#,
        r#"{"PodInfos":[{"Annotation":1}]}"#,
        r#"{"PodInfos":[],"PodInfos":[]}"#,
    ] {
        let state = format!(r#"{{"a.web.web":{bad},"b.web.web":{{"PodInfos":[]}}}}"#);
        check(&[&state], &[], &["?"], &["unreadable_entry"]);
        check(&[GOOD, &state], &["172.20.0.3:8000"], &["?"], &["unreadable_entry"]);
        check(&[GOOD, &state, GOOD], &["172.20.0.3:8000"], &["a.lain"], &[]);
        assert!(translator(&[&state]).procs().contains_key(&name("b.web.web")));
    }
    let bad_annotation = GOOD.replace("mountpoint\\\"", "mountpoint");
    check(&[GOOD, &bad_annotation], &["172.20.0.3:8000"], &["?"], &["unreadable_annotation"]);
    let long = format!(r#"{{"a.web.web":{{"PodInfos":[{{"Annotation":"{}"}}]}}}}"#, " ".repeat(40_000));
    check(&[&long], &[], &["?"], &["unreadable_annotation"]);
}

#[test]
fn a_key_that_stands_twice_is_an_unreadable_entry() {
    let twice = r#"{"a.web.web":{"PodInfos":[]},"b.web.web":{},"\u0061.web.web":{}}"#;
    check(&[GOOD, twice], &["172.20.0.3:8000"], &["?"], &["unreadable_entry"]);
    check(&[GOOD, twice, GOOD], &["172.20.0.3:8000"], &["a.lain"], &[]);
}

#[test]
fn keys_that_are_no_names_are_listed_escaped() {
    let translator = translator(&[r#"{"a\nb":{},"short":1,"x.web.web":{}}"#]);
    let kinds: Vec<(&str, &str)> =
        translator.unreadable().iter().map(|(key, reason)| (key.as_str(), reason.kind())).collect();
    assert_eq!(kinds, [("a\\nb", "bad_name"), ("short", "bad_name")]);
    assert_eq!(translator.procs().len(), 1);
}

#[test]
fn a_state_that_is_no_object_is_refused_and_the_last_one_stays() {
    let mut translator = translator(&[GOOD]);
    let bad = ["", "null", "[]", "{", "{\"a.web.web\":{}", "{}x", "<html>", "{\"a.web.web\":{},}", "\u{feff}{}"];
    for text in bad {
        let error = translator.update(Bytes::from(text)).expect_err(text);
        assert!(matches!(error, TranslateError::NotJson(_)), "{text}: {error}");
    }
    let error = translator.update(Bytes::from_static(b"{\"a\xff")).expect_err("not UTF-8");
    assert_eq!(error, TranslateError::NotUtf8(3));
    assert_eq!(translator.text(), GOOD.as_bytes());
    assert_eq!(translator.procs().len(), 1);
}

#[test]
fn entries_that_did_not_change_are_the_same_objects() {
    let state = |port: u16| {
        let entry = |at: u16| {
            let port = if at == 50 { port } else { 80 };
            format!(
                r#""a{at:03}.web.web":{{"PodInfos":[{{"ContainerInfos":[{{"ContainerIp":"10.0.0.1","Expose":{port}}}]}}]}}"#
            )
        };
        format!("{{{}}}", (0..100).map(entry).collect::<Vec<_>>().join(","))
    };
    let mut translator = translator(&[&state(8)]);
    let before = translator.procs().clone();
    translator.update(Bytes::from(state(8080))).expect("a state");
    let changed = before.iter().filter(|(name, proc)| !Arc::ptr_eq(proc, &translator.procs()[*name])).count();
    assert_eq!(changed, 1);
    assert!(translator.spans.is_some());
}

/// A state of a few entries in order, with some that are odd.
fn state() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        8 => (0u8..4, 0u16..4).prop_map(|(ip, port)| format!(
            r#"{{"PodInfos":[{{"Annotation":"{{\"mountpoint\":[\"h{ip}.x\"]}}","ContainerInfos":[{{"ContainerIp":"10.0.0.{ip}","Expose":{port}}}]}}]}}"#
        )),
        1 => Just(r#"{"PodInfos":[]}"#.to_owned()),
        1 => prop_oneof![Just("1"), Just("12"), Just("null"), Just("{\"é\":\"}\"}"), Just("\"a,b\"")].prop_map(str::to_owned),
    ];
    let key = prop_oneof![
        10 => (0u8..12).prop_map(|n| format!("a{n}.web.web")),
        1 => prop_oneof![Just("bad"), Just("é.web.web"), Just("\\u0061.web.web"), Just("")].prop_map(str::to_owned),
    ];
    let gap = prop_oneof![8 => Just(""), 1 => Just(" "), 1 => Just("\n")];
    (proptest::collection::vec((key, value, gap), 0..10), 0u8..4).prop_map(|(mut entries, order)| {
        if order > 0 {
            entries.sort();
            entries.dedup_by(|a, b| a.0 == b.0);
        }
        let text: Vec<String> =
            entries.iter().map(|(key, value, gap)| format!("{gap}\"{key}\"{gap}:{gap}{value}{gap}")).collect();
        format!("{{{}}}", text.join(","))
    })
}

/// A text that is cut or damaged somewhere.
fn damaged() -> impl Strategy<Value = String> {
    (
        state(),
        any::<prop::sample::Index>(),
        prop_oneof![Just(""), Just("}"), Just("{"), Just(","), Just("\""), Just("1")],
    )
        .prop_map(|(text, at, inserted)| {
            let at = at.index(text.len());
            let at = (0..=at).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
            let (front, back) = text.split_at(at);
            format!("{front}{inserted}{}", back.chars().skip(1).collect::<String>())
        })
}

/// A state of so many procs, each with this list of mountpoints.
fn claiming(procs: usize, mountpoints: &str) -> Bytes {
    let annotation = serde_json::to_string(&format!("{{\"mountpoint\":[{mountpoints}]}}")).expect("a text");
    let entry = |n| format!(r#""a{n:04}.web.web":{{"PodInfos":[{{"Annotation":{annotation},"ContainerInfos":[]}}]}}"#);
    let entries: Vec<String> = (0..procs).map(entry).collect();
    format!("{{{}}}", entries.join(",")).into()
}

#[test]
fn states_that_claim_or_err_beyond_measure_cost_little() {
    let defaults = Defaults::default();
    let shared: Vec<String> = (0..1000).map(|n| format!("\"h{n}.test\"")).collect();
    let states = [(100, vec!["\"\""; 5000].join(","), 100 * 17), (200, shared.join(","), 199 * 256 + 200)];
    for (procs, mountpoints, rejections) in states {
        let began = std::time::Instant::now();
        let mut translator = Translator::default();
        translator.update(claiming(procs, &mountpoints)).expect("a state");
        let source = SourceName::new("lainlet");
        let contribution = Contribution { procs: translator.procs().clone(), ..Contribution::empty(source) };
        let snapshot = merge(&Snapshot::empty(&defaults), &[contribution], &defaults);
        assert_eq!(snapshot.rejection_count(), rejections);
        // Unoptimised; far below what listing each of them took.
        assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
    }
}

#[test]
fn a_state_with_too_many_claims_is_refused_and_the_last_one_stays() {
    let mut translator = translator(&[GOOD]);
    // As if all but one claim were taken by procs that are not in the state.
    translator.claims = MAX_CLAIMS;
    let two = GOOD.replace("[\\\"a.lain\\\"]", "[\\\"a.lain\\\",\\\"b.lain\\\"]");
    assert_eq!(translator.update(Bytes::from(two)), Err(TranslateError::TooManyClaims));
    assert_eq!((translator.text().as_ref(), translator.claims), (GOOD.as_bytes(), MAX_CLAIMS));
    let claims = translator.procs().values().map(|proc| claims_of(proc)).sum::<usize>();
    assert_eq!(claims, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_patched_state_is_the_state_parsed_whole(
        texts in proptest::collection::vec(prop_oneof![4 => state(), 1 => damaged()], 1..8)
    ) {
        let (mut patched, mut whole) = (Translator::default(), Translator::default());
        for text in texts {
            let bytes = Bytes::from(text.clone());
            whole.forget_text();
            let (by_patch, by_whole) = (patched.update(bytes.clone()), whole.update(bytes));
            prop_assert_eq!(by_patch, by_whole, "{}", text);
            prop_assert_eq!(patched.procs(), whole.procs(), "{}", text);
            let claims = patched.procs().values().map(|proc| claims_of(proc)).sum::<usize>();
            prop_assert_eq!((patched.claims, whole.claims), (claims, claims), "{}", text);
            prop_assert_eq!(patched.unreadable(), whole.unreadable(), "{}", text);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut translator = translator(&[GOOD]);
        let _ = translator.update(Bytes::from(bytes));
    }
}
