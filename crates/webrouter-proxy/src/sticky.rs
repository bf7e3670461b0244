//! The sticky cookie's value: it leads back to an endpoint, tells nothing of it, and cannot be made without the key.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use webrouter_routing::endpoint::Endpoint;

/// Signs sticky cookies. Instances that serve the same clients need the same key; [`fmt::Debug`] does not show it.
#[derive(Clone)]
pub struct StickyKey(Hmac<Sha256>);

/// What leads to one endpoint of one upstream: Base64 (RFC 4648 §5, no padding) of the first 16 bytes of
/// HMAC-SHA-256(key, upstream's name ‖ 0 ‖ endpoint's address). The same for as long as the three are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag([u8; TAG_LEN]);

impl StickyKey {
    /// The bytes are to be random.
    pub fn new(key: [u8; Self::LEN]) -> Self {
        Self(Hmac::new_from_slice(&key).expect("HMAC takes keys of any length"))
    }

    /// The bytes of a key.
    pub const LEN: usize = 32;

    pub(crate) fn tag(&self, upstream: &str, endpoint: Endpoint) -> Tag {
        let mut mac = self.0.clone();
        mac.update(upstream.as_bytes());
        mac.update(&[0]);
        mac.update(endpoint.to_string().as_bytes());
        let whole: [u8; 32] = mac.finalize().into_bytes().into();
        let (signed, _) = whole.split_at(SIGNED_LEN);
        let mut text = [0; TAG_LEN];
        URL_SAFE_NO_PAD.encode_slice(signed, &mut text).expect("16 bytes are 22 digits");
        Tag(text)
    }
}

impl fmt::Debug for StickyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StickyKey")
    }
}

impl Tag {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Takes the same time wherever they differ: a tag cannot be found out byte by byte.
    pub(crate) fn is(&self, presented: &[u8]) -> bool {
        presented.len() == TAG_LEN && self.0.iter().zip(presented).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
    }

    /// Whether it could be one.
    pub(crate) fn is_possible(presented: &[u8]) -> bool {
        presented.len() == TAG_LEN
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tag")
    }
}

const SIGNED_LEN: usize = 16;
const TAG_LEN: usize = 22;

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(key: u8, upstream: &str, endpoint: &str) -> String {
        let endpoint = Endpoint::parse(endpoint).expect("an endpoint");
        let tag = StickyKey::new([key; StickyKey::LEN]).tag(upstream, endpoint);
        String::from_utf8(tag.as_bytes().to_vec()).expect("Base64 is ASCII")
    }

    /// Cookies outlive versions. Computed with Python's `hmac` and `base64`.
    #[test]
    fn tags_stay_as_they_are() {
        let check = |key, upstream, endpoint, expected: &str| assert_eq!(tag(key, upstream, endpoint), expected);
        check(0, "demo__upstream__web", "10.0.0.1:8000", "kAFZLacEZG7v5vvmPL7kGg");
        check(7, "demo__upstream__web", "[2001:db8::1]:80", "n04HvlMoNRZGjfMHC5y0vQ");
    }

    #[test]
    fn key_upstream_and_endpoint_make_the_tag() {
        let same = tag(0, "a__upstream__web", "10.0.0.1:80");
        assert_eq!(tag(0, "a__upstream__web", "10.0.0.1:80"), same);
        for other in [
            tag(1, "a__upstream__web", "10.0.0.1:80"),
            tag(0, "b__upstream__web", "10.0.0.1:80"),
            tag(0, "a__upstream__web", "10.0.0.1:81"),
        ] {
            assert_ne!(other, same);
        }
    }

    #[test]
    fn only_the_tag_itself_is_it() {
        let endpoint = Endpoint::parse("10.0.0.1:80").expect("an endpoint");
        let tag = StickyKey::new([3; StickyKey::LEN]).tag("a__upstream__web", endpoint);
        let text = tag.as_bytes().to_vec();
        assert!(tag.is(&text));
        for at in 0..text.len() {
            let mut forged = text.clone();
            forged[at] ^= 1;
            assert!(!tag.is(&forged), "{at}");
        }
        assert!(!tag.is(b"") && !tag.is(&text[1..]) && !tag.is(&[text.as_slice(), b"="].concat()));
    }

    #[test]
    fn the_key_is_not_shown() {
        assert_eq!(format!("{:?}", StickyKey::new([9; StickyKey::LEN])), "StickyKey");
    }
}
