//! The user of Basic credentials (RFC 7617), for the access log alone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The user part of an `Authorization` value; empty when it is of another scheme, malformed or very long.
pub(crate) fn user<'a>(authorization: &[u8], buffer: &'a mut [u8; LONGEST_USER]) -> &'a [u8] {
    let Some((scheme, credentials)) = authorization.split_at_checked(6) else { return b"" };
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return b"";
    }
    let decoded = STANDARD.decode_slice(credentials.trim_ascii(), buffer).unwrap_or(0);
    let decoded = buffer.get(..decoded).unwrap_or_default();
    match memchr::memchr(b':', decoded) {
        Some(colon) => decoded.get(..colon).unwrap_or_default(),
        None => b"",
    }
}

/// User and password together, decoded.
pub(crate) const LONGEST_USER: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_user_of_well_formed_credentials() {
        let check = |value: &str, expected: &str| {
            assert_eq!(user(value.as_bytes(), &mut [0; LONGEST_USER]), expected.as_bytes(), "{value}");
        };
        check("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin");
        check("basic  QWxhZGRpbjpvcGVuIHNlc2FtZQ== ", "Aladdin");
        check("Basic QWxhZGRpbg==", "");
        check("Basic ???", "");
        check("Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "");
        check("", "");
        check(&format!("Basic {}", "QUFB".repeat(200)), "");
    }
}
