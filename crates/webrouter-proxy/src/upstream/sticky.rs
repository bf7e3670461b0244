//! The cookie that leads a client back to the endpoint that served it: set with the answer, where the client has none that
//! does. The app sees it like any other cookie of the client's.

use webrouter_routing::mountpoint::Mountpoint;
use webrouter_routing::policy::Balance;

use super::balance::affinity::Affinity;
use super::connect::Connector;
use super::view::Seat;
use crate::fleet::endpoint::Standing;
use crate::headers::Scheme;
use crate::sticky::{StickyKey, Tag};

impl Seat {
    /// The cookie's value that leads here.
    pub(super) fn tag(&self, key: &StickyKey) -> &Tag {
        self.tag.get_or_init(|| Box::new(key.tag(&self.upstream.name, self.shared.endpoint)))
    }
}

impl Connector<'_> {
    /// Writes the field that leads the client back to who serves it now. A cookie whose endpoint is well, and had no
    /// room only for this request, is left as it is: the client's session is there.
    pub(crate) fn write_cookie(&self, serving: &Seat, scheme: Scheme, mountpoint: &Mountpoint, out: &mut Vec<u8>) {
        out.clear();
        let Affinity::Sticky(led_to) = self.affinity else { return };
        let Balance::Sticky(name) = &self.view.upstream.policy.balance else { return };
        let led_right = led_to.and_then(|place| self.view.seats.get(place)).is_some_and(|seat| {
            let endpoint = seat.shared.endpoint;
            let is_well = || seat.shared.standing() == Standing::Ready && !self.tried.contains(&endpoint);
            endpoint == serving.shared.endpoint || is_well()
        });
        if !led_right {
            write(name, serving.tag(&self.core.config.sticky_key), scheme, mountpoint, out);
        }
    }
}

/// A cookie of the session, for this host alone (RFC 6265 §4.1).
fn write(name: &str, tag: &Tag, scheme: Scheme, mountpoint: &Mountpoint, out: &mut Vec<u8>) {
    for part in [b"Set-Cookie: ", name.as_bytes(), b"=", tag.as_bytes(), b"; Path=", path(mountpoint).as_bytes()] {
        out.extend_from_slice(part);
    }
    out.extend_from_slice(b"; HttpOnly; SameSite=Lax");
    if scheme == Scheme::Https {
        out.extend_from_slice(b"; Secure");
    }
    out.extend_from_slice(b"\r\n");
}

/// A path that browsers might write in another way, or read as the attribute's end, is left out.
fn path(mountpoint: &Mountpoint) -> &str {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    Some(mountpoint.path()).filter(|path| !path.is_empty() && path.bytes().all(is_plain)).unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use webrouter_routing::endpoint::Endpoint;

    use super::*;

    #[test]
    fn the_cookie_is_for_its_mountpoint_and_scheme() {
        let check = |mountpoint: &str, scheme, expected: &str| {
            let mountpoint = Mountpoint::parse(mountpoint).expect("a mountpoint");
            let tag = StickyKey::new([0; 32]).tag("a", Endpoint::parse("10.0.0.1:80").expect("an endpoint"));
            let value = String::from_utf8(tag.as_bytes().to_vec()).expect("Base64 is ASCII");
            let mut out = Vec::new();
            write("node", &tag, scheme, &mountpoint, &mut out);
            let expected = format!("Set-Cookie: node={value}; {expected}\r\n");
            assert_eq!(String::from_utf8(out).expect("ASCII"), expected);
        };
        check("a.test", Scheme::Http, "Path=/; HttpOnly; SameSite=Lax");
        check("a.test", Scheme::Https, "Path=/; HttpOnly; SameSite=Lax; Secure");
        check("a.test/shop/v1.2", Scheme::Http, "Path=/shop/v1.2; HttpOnly; SameSite=Lax");
        check("a.test/a;b", Scheme::Http, "Path=/; HttpOnly; SameSite=Lax");
        check("a.test/é", Scheme::Http, "Path=/; HttpOnly; SameSite=Lax");
    }
}
