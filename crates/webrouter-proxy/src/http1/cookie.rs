//! The `Cookie` field (RFC 6265 §4.2). Whoever sent it, and whatever else is in it, nothing is refused: what is no pair is
//! passed over, as apps do. Pure.

/// The values of the cookies of this name in one `Cookie` field, in their order. Names differ by case; quotes belong to
/// the value.
pub fn values<'a>(field: &'a [u8], name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    field.split(|&byte| byte == b';').filter_map(move |pair| {
        let equals = memchr::memchr(b'=', pair)?;
        let (its_name, value) = pair.split_at_checked(equals)?;
        (its_name.trim_ascii() == name).then(|| value.get(1..).unwrap_or_default().trim_ascii())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_among_whatever_there_is() {
        let check = |field: &[u8], expected: &[&[u8]]| {
            assert_eq!(values(field, b"sid").collect::<Vec<_>>(), expected, "{}", field.escape_ascii());
        };
        check(b"sid=1", &[b"1"]);
        check(b"a=b; sid=1; c=d", &[b"1"]);
        check(b"a=b;sid=1;c=d", &[b"1"]);
        check(b" \tsid = 1 \t", &[b"1"]);
        check(b"sid=1; sid=2", &[b"1", b"2"]);
        check(b"sid=a=b==", &[b"a=b=="]);
        check(b"sid=\"1\"", &[b"\"1\""]);
        check(b"sid=", &[b""]);
        check(b"sid", &[]);
        check(b"SID=1; xsid=2; sidx=3; x=sid=4; $sid=5", &[]);
        check(b"", &[]);
        check(b";;=;=sid; ;", &[]);
        check(b"\xff\x00=1; sid=\xff\xfe; \x80", &[b"\xff\xfe"]);
    }
}
