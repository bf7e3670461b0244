//! Which endpoint a request goes to, by each way of balancing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use webrouter_testkit::{Asked, Client, Fault, FaultyOrigin, OpenLoad, Response, Router};

use super::{SOON, app, edit_and_await, get, plan, share_of, started, webrouter};

/// Origins named by a letter each.
fn origins(names: &[&str]) -> Vec<FaultyOrigin> {
    names.iter().map(|name| FaultyOrigin::start(name)).collect()
}

fn addrs(origins: &[FaultyOrigin]) -> Vec<SocketAddr> {
    origins.iter().map(FaultyOrigin::addr).collect()
}

/// One GET with more fields, each ended by CRLF.
fn get_with(router: &Router, fields: &str) -> Response {
    let mut client = Client::connect(router.http());
    client.send(format!("GET / HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n").as_bytes());
    client.response(Asked::Content, SOON).unwrap_or_else(|why| panic!("GET with {fields:?}: {why}"))
}

#[test]
fn weights_divide_the_requests() {
    let origins = origins(&["heavy", "light"]);
    let [heavy, light] = [origins[0].addr(), origins[1].addr()];
    for balance in ["round_robin", "least_requests"] {
        let apps = format!(
            "[apps.\"app.web.web\"]\nmountpoint = [\"a.test\"]\nbalance = \"{balance}\"\n\
             endpoints = [{{ address = \"{heavy}\", weight = 3 }}, \"{light}\"]\n"
        );
        let outcomes = OpenLoad::start(started(webrouter().apps(&apps)).http(), plan(200, 3, 0)).finish();
        let share = share_of(&outcomes, "heavy");
        println!("{balance}: {share:.3}");
        assert!((0.68..0.82).contains(&share), "{balance}: {share}");
        assert!(share_of(&outcomes, "light") > 0.15);
    }
}

#[test]
fn least_requests_spares_an_endpoint_that_is_slow() {
    let origins = origins(&["slow", "quick", "brisk"]);
    let share = |balance: &str| {
        let router = started(webrouter().apps(&app(&format!("balance = \"{balance}\""), &addrs(&origins))));
        let outcomes = OpenLoad::start(router.http(), plan(200, 3, 0)).finish();
        share_of(&outcomes, "slow")
    };
    origins[0].set_fault(Fault::Slow(Duration::from_millis(100)));
    let (turns, spared) = (share("round_robin"), share("least_requests"));
    println!("in turn {turns:.3}, by load {spared:.3}");
    assert!((0.28..0.38).contains(&turns), "{turns}");
    assert!(spared > 0.0 && spared < 0.2, "{spared}");
}

/// Who serves each of these users.
fn served_by(router: &Router, users: &[String], fields: impl Fn(&str) -> String) -> BTreeMap<String, String> {
    let ask = |user: &String| {
        let first = get_with(router, &fields(user)).text();
        for _ in 0..2 {
            assert_eq!(get_with(router, &fields(user)).text(), first, "{user} is always served by the same");
        }
        (user.clone(), first)
    };
    users.iter().map(ask).collect()
}

/// A user stays with one endpoint; when one leaves, only its own users move, and to several; and they come back with it.
fn hashed(balance: &str, fields: impl Fn(&str) -> String) {
    let origins = origins(&["a", "b", "c", "d"]);
    let policies = format!("balance = \"{balance}\"\nslow_start = \"0s\"");
    let router = started(webrouter().apps(&app(&policies, &addrs(&origins))));
    let users: Vec<String> = (0..120).map(|n| format!("10.9.{}.{}", n / 10, n % 10 + 1)).collect();
    let before = served_by(&router, &users, &fields);
    for origin in &origins {
        let count = before.values().filter(|name| *name == origin.name()).count();
        assert!((10..=60).contains(&count), "{} has {count} of 120", origin.name());
    }
    edit_and_await(&router, "fewer", &app(&policies, &addrs(&origins[..3])), origins[0].addr());
    let without = served_by(&router, &users, &fields);
    let moved = users.iter().filter(|user| before[*user] != "d" && before[*user] != without[*user]).count();
    assert!(moved <= 12, "{moved} users moved though their endpoint stayed");
    let heirs: BTreeSet<&String> =
        users.iter().filter(|user| before[*user] == "d").map(|user| &without[user]).collect();
    assert!(heirs.len() >= 2, "its users are spread: {heirs:?}");
    edit_and_await(&router, "again", &app(&policies, &addrs(&origins)), origins[0].addr());
    assert_eq!(served_by(&router, &users, &fields), before);
}

#[test]
fn hash_of_a_header_keeps_a_user_with_an_endpoint() {
    hashed("hash header X-User", |user| format!("x-user: {user}\r\n"));
}

#[test]
fn hash_of_a_cookie_keeps_a_user_with_an_endpoint() {
    hashed("hash cookie uid", |user| format!("Cookie: other=1; uid={user}; more=2\r\n"));
}

/// The peer is loopback, which is trusted, so the client is who it says.
#[test]
fn hash_of_the_client_keeps_a_user_with_an_endpoint() {
    hashed("hash client", |user| format!("X-Forwarded-For: {user}\r\n"));
}

#[test]
fn hash_without_the_header_is_spread() {
    let origins = origins(&["a", "b"]);
    let router = started(webrouter().apps(&app("balance = \"hash header X-User\"", &addrs(&origins))));
    let names: BTreeSet<String> = (0..40).map(|_| get(&router, "/").text()).collect();
    assert_eq!(names.len(), 2);
}

#[test]
fn hash_goes_round_an_endpoint_that_fails() {
    let origins = origins(&["a", "b", "c"]);
    let router = started(webrouter().apps(&app("balance = \"hash header X-User\"", &addrs(&origins))));
    let first = get_with(&router, "X-User: u\r\n").text();
    let its = origins.iter().find(|origin| origin.name() == first).expect("one of them");
    its.set_fault(Fault::Refuse);
    let second = get_with(&router, "X-User: u\r\n");
    assert_eq!(second.status, 200);
    assert_ne!(second.text(), first);
    for _ in 0..10 {
        assert_eq!(get_with(&router, "X-User: u\r\n").text(), second.text(), "and stays with the next");
    }
}

/// The cookie that an answer sets: name, value, attributes in lower case.
fn set_cookie(response: &Response) -> Option<(String, String, Vec<String>)> {
    let field = response.value("set-cookie")?;
    let mut parts = field.split(';').map(str::trim);
    let (name, value) = parts.next()?.split_once('=')?;
    Some((name.to_owned(), value.to_owned(), parts.map(str::to_ascii_lowercase).collect()))
}

/// A client's first visit: who served it, and the cookie it got.
fn first_visit(router: &Router) -> (String, String, String) {
    let response = get(router, "/");
    let (name, value, attributes) = set_cookie(&response).unwrap_or_else(|| panic!("no cookie: {:?}", response.head));
    assert!(attributes.iter().any(|attribute| attribute == "httponly"), "{attributes:?}");
    (response.text(), name, value)
}

const THREE: [&str; 3] = ["a", "b", "c"];

#[test]
fn a_sticky_cookie_leads_back_and_tells_nothing() {
    let origins = origins(&THREE);
    let router = started(webrouter().apps(&app("balance = \"sticky\"", &addrs(&origins))));
    let mut served = BTreeSet::new();
    for _ in 0..12 {
        let (name, cookie, value) = first_visit(&router);
        for _ in 0..6 {
            let back = get_with(&router, &format!("Cookie: x=1; {cookie}={value}\r\n"));
            assert_eq!(back.text(), name, "it leads back");
            assert!(set_cookie(&back).is_none(), "nothing new to say: {:?}", back.head);
        }
        assert_tells_no_address(&value, &origins);
        served.insert(name);
    }
    assert!(served.len() > 1, "without a cookie they are spread: {served:?}");
}

/// Neither as text, nor in hexadecimal, nor as bytes in Base64.
fn assert_tells_no_address(value: &str, origins: &[FaultyOrigin]) {
    let decoded = base64_bytes(value);
    let text = String::from_utf8_lossy(&decoded).into_owned();
    for origin in origins {
        let port = origin.addr().port();
        for told in [port.to_string(), "127.0.0.1".to_owned(), "7f000001".to_owned()] {
            assert!(!value.to_ascii_lowercase().contains(&told) && !text.contains(&told), "{value} tells {told}");
        }
        let bytes = [127, 0, 0, 1];
        assert!(!decoded.windows(4).any(|window| window == bytes), "{value} holds the address");
    }
}

/// What Base64, of either alphabet, says; other characters are passed over.
fn base64_bytes(text: &str) -> Vec<u8> {
    let digits = text.bytes().filter_map(|byte| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    });
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for digit in digits {
        (held, bits) = (held << 6 | u32::from(digit), bits + 6);
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits & 0xff) as u8);
        }
    }
    bytes
}

#[test]
fn the_name_of_the_sticky_cookie_can_be_chosen() {
    let origins = origins(&THREE);
    let router = started(webrouter().apps(&app("balance = \"sticky SESSION_NODE\"", &addrs(&origins))));
    assert_eq!(first_visit(&router).1, "SESSION_NODE");
}

#[test]
fn a_forged_sticky_cookie_is_ignored() {
    let origins = origins(&THREE);
    let router = started(webrouter().apps(&app("balance = \"sticky\"", &addrs(&origins))));
    let (_, cookie, value) = first_visit(&router);
    let turned: String = value.chars().map(|c| if c == 'a' { 'b' } else { 'a' }).collect();
    let changed: Vec<String> = (0..value.len())
        .map(|at| {
            let mut bytes = value.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            String::from_utf8(bytes).expect("a cookie is ASCII")
        })
        .collect();
    // Base64 may have bits at its end that say nothing, so the last character alone is not tried.
    let longest = "x".repeat(4000);
    let forged = changed.iter().take(value.len() - 1).chain([&turned, &longest]);
    for forged in forged.map(String::as_str).chain(["", "1", "127.0.0.1:80", "%00", "\u{1}"]) {
        let response = get_with(&router, &format!("Cookie: {cookie}={forged}\r\n"));
        if response.status == 400 {
            continue; // a control character is no field value
        }
        assert_eq!(response.status, 200, "{forged:?}");
        assert!(set_cookie(&response).is_some(), "{forged:?} was believed");
    }
}

#[test]
fn a_sticky_client_follows_to_another_endpoint_when_its_own_is_gone() {
    let origins = origins(&THREE);
    let policies = "balance = \"sticky\"";
    let router = started(webrouter().apps(&app(policies, &addrs(&origins))));
    let (name, cookie, value) = first_visit(&router);
    let own = origins.iter().position(|origin| origin.name() == name).expect("one of them");
    let others: Vec<SocketAddr> =
        origins.iter().filter(|origin| origin.name() != name).map(FaultyOrigin::addr).collect();

    // It is dead, and the table does not know yet.
    origins[own].set_fault(Fault::Refuse);
    let moved = get_with(&router, &format!("Cookie: {cookie}={value}\r\n"));
    assert_eq!(moved.status, 200, "{}", moved.text());
    assert_ne!(moved.text(), name);
    let (_, new, _) = set_cookie(&moved).expect("a new cookie");
    for _ in 0..6 {
        assert_eq!(get_with(&router, &format!("Cookie: {cookie}={new}\r\n")).text(), moved.text());
    }

    // It has left.
    edit_and_await(&router, "marker", &app(policies, &others), others[0]);
    let moved = get_with(&router, &format!("Cookie: {cookie}={value}\r\n"));
    assert_eq!(moved.status, 200);
    assert!(set_cookie(&moved).is_some());
}

#[test]
fn a_sticky_cookie_is_good_after_a_restart() {
    let origins = origins(&THREE);
    let mut router = started(webrouter().apps(&app("balance = \"sticky\"", &addrs(&origins))));
    let (name, cookie, value) = first_visit(&router);
    router.restart();
    router.wait_ready();
    for _ in 0..6 {
        assert_eq!(get_with(&router, &format!("Cookie: {cookie}={value}\r\n")).text(), name);
    }
}
