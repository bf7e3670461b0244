use std::rc::Rc;

use webrouter_routing::policy::Policy;

use super::*;
use crate::upstream::balance::tests::{endpoint, view};

const KEY: [u8; 32] = [5; 32];

fn read(view: &View, fields: &str, client: &str) -> Affinity {
    let wire = format!("GET / HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n");
    let mut head = RequestHead::default();
    head.parse(wire.as_bytes(), 64).expect("a head");
    let client = client.parse().expect("an address");
    view.affinity(&head, wire.as_bytes(), client, &StickyKey::new(KEY))
}

fn balanced(balance: Balance) -> Rc<View> {
    view(3, Policy { balance, ..Policy::default() })
}

#[test]
fn what_is_hashed() {
    let check = |what: HashKey, fields: &str, client: &str, expected: Option<&[u8]>| {
        let expected = expected.map_or(Affinity::None, |key| Affinity::Hash(hash::of(key)));
        assert_eq!(read(&balanced(Balance::Hash(what)), fields, client), expected, "{fields}{client}");
    };
    let header = || HashKey::Header("x-user".to_owned());
    check(header(), "X-User: ann\r\n", "1.1.1.1", Some(b"ann"));
    check(header(), "x-USER:  ann \r\nX-User: bob\r\n", "1.1.1.1", Some(b"ann"));
    check(header(), "X-User:\r\nX-User: bob\r\n", "1.1.1.1", Some(b"bob"));
    check(header(), "X-Users: ann\r\n", "1.1.1.1", None);
    check(header(), "X-User: \r\n", "1.1.1.1", None);
    let cookie = || HashKey::Cookie("uid".to_owned());
    check(cookie(), "Cookie: a=1; uid=ann\r\n", "1.1.1.1", Some(b"ann"));
    check(cookie(), "Cookie: a=1\r\ncookie: uid=ann\r\n", "1.1.1.1", Some(b"ann"));
    check(cookie(), "Cookie: uid=; uid=bob\r\n", "1.1.1.1", Some(b"bob"));
    check(cookie(), "Cookie: UID=ann\r\nX-Cookie: uid=ann\r\n", "1.1.1.1", None);
    check(HashKey::Client, "", "192.0.2.1", Some(&[192, 0, 2, 1]));
    check(HashKey::Client, "", "::ffff:192.0.2.1", Some(&[192, 0, 2, 1]));
}

#[test]
fn nothing_is_looked_for_where_nothing_counts() {
    for balance in [Balance::RoundRobin, Balance::LeastRequests] {
        assert_eq!(read(&balanced(balance), "Cookie: webrouter=1\r\n", "1.1.1.1"), Affinity::None);
    }
}

#[test]
fn a_cookie_leads_back_and_a_forged_one_nowhere() {
    let view = balanced(Balance::Sticky("node".to_owned()));
    let key = StickyKey::new(KEY);
    let tag = |nth: u32| {
        let tag = key.tag(&view.upstream.name, endpoint(nth));
        String::from_utf8(tag.as_bytes().to_vec()).expect("Base64 is ASCII")
    };
    let check = |fields: String, expected| {
        assert_eq!(read(&view, &fields, "1.1.1.1"), Affinity::Sticky(expected), "{fields}");
    };
    for nth in 0..3 {
        check(format!("Cookie: node={}\r\n", tag(nth)), Some(nth as usize));
    }
    check(String::new(), None);
    check(format!("Cookie: other={}\r\n", tag(1)), None);
    check(format!("Cookie: node={}\r\n", tag(7)), None);
    check(format!("Cookie: node={}x\r\n", tag(1)), None);
    check(format!("Cookie: node={}\r\n", tag(1).to_ascii_uppercase()), None);
    check(format!("Cookie: node={}\r\n", "A".repeat(22)), None);
    check("Cookie: node=\r\n".to_owned(), None);
    // Another key, another upstream.
    let foreign =
        [StickyKey::new([6; 32]).tag(&view.upstream.name, endpoint(1)), key.tag("other__upstream__web", endpoint(1))];
    for foreign in foreign {
        check(format!("Cookie: node={}\r\n", foreign.as_bytes().escape_ascii()), None);
    }
    // Several: the first that leads anywhere; not more of them than few.
    check(format!("Cookie: node=app's; node={}; node={}\r\n", tag(2), tag(1)), Some(2));
    check(format!("Cookie: node=1\r\nCookie: node={}\r\n", tag(1)), Some(1));
    check(format!("Cookie: {}node={}\r\n", "node=1; ".repeat(3), tag(1)), Some(1));
    check(format!("Cookie: {}node={}\r\n", "node=1; ".repeat(4), tag(1)), None);
}
