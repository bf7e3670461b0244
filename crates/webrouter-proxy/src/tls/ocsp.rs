//! What a stapled OCSP response says (RFC 6960 §4.2.1). Its signature is for clients to check.

use std::time::SystemTime;

use x509_cert::der::asn1::{AnyRef, GeneralizedTime};
use x509_cert::der::{Decode as _, Error, ErrorKind, Reader as _, SliceReader, Tag, TagNumber, Tagged as _};

use super::leaf::without_zeros;
use super::problem::Offence;

/// Checks that a response is of this certificate, good, and not out of date; tells until when, where it says so.
pub(super) fn check(der: &[u8], serial: &[u8], now: SystemTime) -> Result<Option<SystemTime>, Offence> {
    let malformed = |error: Error| Offence::BadOcsp(error.to_string());
    let singles =
        singles(der).map_err(malformed)?.ok_or_else(|| Offence::BadOcsp("the responder refused".to_owned()))?;
    for single in singles {
        let Single { serial: its, status, next_update } = Single::parse(single).map_err(malformed)?;
        if without_zeros(its) != serial {
            continue;
        }
        return match next_update {
            _ if status != GOOD => Err(Offence::RevokedOcsp),
            Some(until) if until <= now => Err(Offence::OldOcsp),
            until => Ok(until),
        };
    }
    Err(Offence::ForeignOcsp)
}

/// The SingleResponses of an OCSPResponse; `None` of one that tells of a failure.
fn singles(der: &[u8]) -> Result<Option<Vec<AnyRef<'_>>>, Error> {
    let response = parts(AnyRef::from_der(der)?.value())?;
    let [status, bytes, ..] = response.as_slice() else { return Ok(None) };
    if status.value() != SUCCESSFUL {
        return Ok(None);
    }
    // [0] { OBJECT IDENTIFIER, OCTET STRING { BasicOCSPResponse { ResponseData, … } } }
    let typed = parts(AnyRef::from_der(bytes.value())?.value())?;
    let basic = parts(AnyRef::from_der(nth(&typed, 1)?.value())?.value())?;
    let data = parts(nth(&basic, 0)?.value())?;
    // The responder and the time before are of other types.
    let responses = data.iter().find(|part| part.tag() == Tag::Sequence).ok_or_else(missing)?;
    parts(responses.value()).map(Some)
}

struct Single<'a> {
    serial: &'a [u8],
    status: Tag,
    next_update: Option<SystemTime>,
}

impl<'a> Single<'a> {
    fn parse(single: AnyRef<'a>) -> Result<Self, Error> {
        let fields = parts(single.value())?;
        let identifier = parts(nth(&fields, 0)?.value())?;
        let after_this_update = fields.iter().skip(3);
        let next_update = after_this_update.filter(|field| field.tag() == NEXT_UPDATE);
        let next_update = next_update.map(|field| GeneralizedTime::from_der(field.value())).next().transpose()?;
        Ok(Self {
            serial: nth(&identifier, 3)?.value(),
            status: nth(&fields, 1)?.tag(),
            next_update: next_update.map(|time| time.to_system_time()),
        })
    }
}

/// The values in a constructed one.
fn parts(bytes: &[u8]) -> Result<Vec<AnyRef<'_>>, Error> {
    let mut reader = SliceReader::new(bytes)?;
    let mut parts = Vec::new();
    while !reader.is_finished() {
        parts.push(AnyRef::decode(&mut reader)?);
    }
    Ok(parts)
}

fn nth<'a>(parts: &[AnyRef<'a>], at: usize) -> Result<AnyRef<'a>, Error> {
    parts.get(at).copied().ok_or_else(missing)
}

fn missing() -> Error {
    ErrorKind::Failed.into()
}

/// ENUMERATED 0.
const SUCCESSFUL: &[u8] = &[0];
/// `good [0] IMPLICIT NULL`
const GOOD: Tag = Tag::ContextSpecific { constructed: false, number: TagNumber(0) };
/// `nextUpdate [0] EXPLICIT GeneralizedTime`
const NEXT_UPDATE: Tag = Tag::ContextSpecific { constructed: true, number: TagNumber(0) };

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;

    fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
        let len = u16::try_from(content.len()).expect("short").to_be_bytes();
        [&[tag, 0x82, len[0], len[1]], content].concat()
    }

    fn short(tag: u8, content: &[u8]) -> Vec<u8> {
        let len = u8::try_from(content.len()).expect("short");
        assert!(len < 128);
        [&[tag, len], content].concat()
    }

    fn sequence(parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        if content.len() < 128 { short(0x30, &content) } else { long(0x30, &content) }
    }

    /// In the shortest form, as DER wants it.
    fn long(tag: u8, content: &[u8]) -> Vec<u8> {
        match content.len() {
            0..128 => short(tag, content),
            128..256 => [&[tag, 0x81, u8::try_from(content.len()).expect("short")], content].concat(),
            _ => tlv(tag, content),
        }
    }

    /// A response with the times `20200101000000Z` and `next`, of a certificate with this serial number.
    pub(in crate::tls) fn response(serial: &[u8], status: u8, next: Option<&str>) -> Vec<u8> {
        let algorithm = sequence(&[&short(0x06, &[0x2b, 0x0e, 3, 2, 0x1a])]);
        let id = sequence(&[&algorithm, &short(4, &[1; 20]), &short(4, &[2; 20]), &short(2, serial)]);
        let status = short(status, &[]);
        let time = |text: &str| short(0x18, text.as_bytes());
        let next = next.map(|next| short(0xa0, &time(next))).unwrap_or_default();
        let single = sequence(&[&id, &status, &time("20200101000000Z"), &next]);
        let responder = long(0xa2, &short(4, &[3; 20]));
        let data = sequence(&[&responder, &time("20200101000000Z"), &sequence(&[&single])]);
        let basic = sequence(&[&data, &algorithm, &short(3, &[0, 1])]);
        let typed = sequence(&[&short(6, &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1]), &long(4, &basic)]);
        sequence(&[&short(0x0a, &[0]), &long(0xa0, &typed)])
    }

    #[test]
    fn a_response_is_good_for_its_certificate_and_time() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let check = |der: &[u8], expected: Result<bool, Offence>| {
            assert_eq!(check(der, &[0x81, 7], now).map(|until| until.is_some()), expected);
        };
        check(&response(&[0, 0x81, 7], 0x80, Some("20370101000000Z")), Ok(true));
        check(&response(&[0, 0x81, 7], 0x80, None), Ok(false));
        check(&response(&[0, 0x81, 7], 0x80, Some("20200102000000Z")), Err(Offence::OldOcsp));
        check(&response(&[0, 0x81, 7], 0xa1, None), Err(Offence::RevokedOcsp));
        check(&response(&[0, 0x81, 7], 0x82, None), Err(Offence::RevokedOcsp));
        check(&response(&[1], 0x80, None), Err(Offence::ForeignOcsp));
        check(&sequence(&[&short(0x0a, &[3])]), Err(Offence::BadOcsp("the responder refused".to_owned())));
    }

    #[test]
    fn what_is_no_response_is_malformed() {
        let good = response(&[5], 0x80, None);
        for len in 0..good.len() {
            let outcome = check(&good[..len], &[5], SystemTime::UNIX_EPOCH);
            assert!(matches!(outcome, Err(Offence::BadOcsp(_))), "{len}: {outcome:?}");
        }
        for byte in 0..=255 {
            let mut bytes = good.clone();
            for at in 0..bytes.len() {
                let old = std::mem::replace(&mut bytes[at], byte);
                let _ = check(&bytes, &[5], SystemTime::UNIX_EPOCH);
                bytes[at] = old;
            }
        }
    }
}
