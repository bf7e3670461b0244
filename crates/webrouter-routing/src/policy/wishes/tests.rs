use super::*;
use crate::policy::HashKey;

/// A value in JSON: as which text it is told, or what is wrong with it.
#[track_caller]
fn check(key: &str, json: &str, expected: Result<&str, &str>) {
    let raw: Raw = serde_json::from_str(json).expect("JSON");
    let mut wishes = Wishes::default();
    match (wishes.set(key, &raw), expected) {
        (Ok(()), Ok(text)) => {
            let told: Vec<(&str, String)> =
                wishes.told().into_iter().map(|(key, raw)| (key, raw.to_string())).collect();
            assert_eq!(told, [(key, text.to_owned())], "{key} = {json}");
        }
        (Err(refusal), Err(part)) => {
            assert!(refusal.to_string().contains(part), "{key} = {json}: {refusal}");
            assert!(wishes.is_empty(), "{key} = {json}");
        }
        (actual, expected) => panic!("{key} = {json}: {actual:?}, expected {expected:?}"),
    }
}

#[test]
fn ways_to_balance() {
    check("balance", r#""round_robin""#, Ok("round_robin"));
    check("balance", r#"" hash  header X-User ""#, Ok("hash header x-user"));
    check("balance", r#""hash cookie Sid""#, Ok("hash cookie Sid"));
    check("balance", r#""hash client""#, Ok("hash client"));
    check("balance", r#""sticky""#, Ok("sticky webrouter"));
    check("balance", r#""sticky app""#, Ok("sticky app"));
    for bad in [r#""hash""#, r#""hash client x""#, r#""hash header a b""#, r#""Sticky""#, r#""""#, "1", "null"] {
        check("balance", bad, Err("is not a way to balance; write one of \"round_robin\""));
    }
    for bad in [r#""sticky a=b""#, r#""hash cookie é""#, r#""hash header x:""#] {
        check("balance", bad, Err("names no header or cookie; name it with at most 64"));
    }
    check("balance", &format!("\"sticky {}\"", "x".repeat(65)), Err("names no header or cookie"));
}

#[test]
fn protocols() {
    check("protocol", r#""http/1.1""#, Ok("http/1.1"));
    check("protocol", r#""h2c""#, Ok("h2c"));
    for bad in [r#""h2""#, r#""""#, "2", "null"] {
        check("protocol", bad, Err("is not a protocol; write \"http/1.1\", or \"h2c\""));
    }
}

#[test]
fn durations_have_a_unit_and_bounds() {
    check("connect_timeout", r#""90s""#, Ok("1m30s"));
    check("request_timeout", r#""off""#, Ok("off"));
    check("hsts", r#""365d""#, Ok("8760h"));
    check("hsts", r#""0s""#, Ok("0s"));
    check("hsts", r#""731d""#, Err("is out of range; write a duration from \"0s\" to \"17520h\", or \"off\""));
    check("endpoint_wait", r#""0s""#, Ok("0s"));
    for bad in ["5", "0.5", r#""5""#, "true", "[]"] {
        check(
            "connect_timeout",
            bad,
            Err("is not a duration; write a number with its unit, ms, s, m, h or d, as text: \"5s\""),
        );
    }
    check("connect_timeout", r#""off""#, Err("is not a duration"));
    check("connect_timeout", r#""0s""#, Err("is out of range; write a duration from \"1ms\" to \"8760h\""));
    check("endpoint_wait", r#""61s""#, Err("from \"0s\" to \"1m\""));
    check("health_interval", r#""50ms""#, Err("from \"100ms\" to \"1h\""));
    check("request_timeout", "0", Err("\"15m\", or \"off\""));
}

#[test]
fn numbers_have_bounds() {
    check("queue", "0", Ok("0"));
    check("queue", "65536", Ok("65536"));
    check("max_requests", "100", Ok("100"));
    check("max_connections", r#""unlimited""#, Ok("unlimited"));
    check("circuit_breaker", "0.5", Ok("0.5"));
    check("circuit_breaker", "1", Ok("1.0"));
    check("circuit_breaker", r#""off""#, Ok("off"));
    check("circuit_breaker", "0.12345678901234567", Ok("0.123457"));
    check("circuit_breaker", "0.0000001", Err("is out of range"));
    check("queue", "65537", Err("is out of range; write a number from 0 to 65536"));
    check("queue", "-1", Err("is out of range"));
    check("queue", "99999999999999999999", Err("is not a whole number"));
    check("queue", r#""5""#, Err("is not a whole number"));
    check("max_requests", "0", Err("write a number from 1 to 1000000, or \"unlimited\""));
    check("health_rise", "101", Err("from 1 to 100"));
    check("circuit_breaker", "0", Err("is out of range; write a share above 0 and at most 1"));
    check("circuit_breaker", "1.1", Err("is out of range"));
    check("circuit_breaker", r#""0.5""#, Err("is not a share"));
    check("no_such_key", "1", Err("belongs to no key"));
}

#[test]
fn a_bad_key_hurts_only_itself() {
    let mut raw = RawWishes::new();
    note(&mut raw, "queue", Raw::Whole(7));
    note(&mut raw, "balance", Raw::Foreign("a list"));
    note(&mut raw, "max_requests", Raw::Whole(1));
    note(&mut raw, "max_requests", Raw::Whole(2));
    let mut reasons = Reasons::default();
    let wishes = Wishes::read(&raw, &mut reasons);
    assert_eq!(wishes, Wishes { queue: Some(7), ..Wishes::default() });
    let told: Vec<String> = reasons.into_vec().iter().map(ToString::to_string).collect();
    assert!(told[0].starts_with("bad balance: a list is not a way to balance; write one of"), "{told:?}");
    assert_eq!(told[1..], ["bad max_requests: it stands there more than once; give it once"]);
}

#[test]
fn a_policy_takes_over_what_is_wished_for() {
    let endpoint = Endpoint::parse("127.0.0.1:1").expect("an endpoint");
    let wishes = Wishes {
        balance: Some(Balance::Hash(HashKey::Client)),
        connect_timeout: Some(Duration::from_secs(1)),
        request_timeout: Some(None),
        weights: BTreeMap::from([(endpoint, 3)]),
        ..Wishes::default()
    };
    let mut expected = Policy { balance: Balance::Hash(HashKey::Client), ..Policy::default() };
    expected.timeouts.connect = Duration::from_secs(1);
    expected.weights.insert(endpoint, 3);
    assert_eq!(Policy::default().with(&wishes), expected);
    assert_eq!(Policy::default().with(&Wishes::default()), Policy::default());
    assert_eq!(Policy::default().told().len(), KEYS.len());
}

#[test]
fn what_is_stored_comes_back() {
    let endpoint = Endpoint::parse("[::1]:8080").expect("an endpoint");
    let mut wishes = Wishes { weights: BTreeMap::from([(endpoint, 256)]), ..Wishes::default() };
    for (key, value) in Policy::default().told() {
        wishes.set(key, &value).expect("a default is a value");
    }
    wishes.circuit_breaker = Some(Some(0.1));
    let stored = serde_json::to_string(&wishes).expect("JSON");
    assert_eq!(serde_json::from_str::<Wishes>(&stored).expect("stored"), wishes, "{stored}");
    let other_version = r#"{"queue":70000,"new_key":[{}],"health_fall":3,"weights":{"1.1.1.1:1":0}}"#;
    let read: Wishes = serde_json::from_str(other_version).expect("an object");
    assert_eq!(read, Wishes { health_fall: Some(3), ..Wishes::default() });
}
