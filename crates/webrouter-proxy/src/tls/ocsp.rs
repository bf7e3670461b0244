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
