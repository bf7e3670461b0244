//! Heads as we write them: every line built anew from parsed parts.

use super::field::{Field, Known, Span, list_elements};

/// Writes `name: value`.
pub(crate) fn field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Writes a field whose value is a decimal number.
pub(crate) fn number_field(out: &mut Vec<u8>, name: &[u8], number: u64) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    decimal(out, number);
    out.extend_from_slice(b"\r\n");
}

/// Writes a decimal number.
pub(crate) fn decimal(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut left = number;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(left % 10).unwrap_or_default();
        at -= 1;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

/// Writes bytes as lower-case hexadecimal digits.
pub(crate) fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(bytes.iter().flat_map(|&byte| hex_digits(byte)));
}

/// The two lower-case hexadecimal digits of a byte.
pub(crate) fn hex_digits(byte: u8) -> [u8; 2] {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    [digit(byte >> 4), digit(byte & 15)]
}

/// Writes `HTTP/1.1 status reason`.
pub(crate) fn status_line(out: &mut Vec<u8>, status: u16, reason: &[u8]) {
    out.extend_from_slice(b"HTTP/1.1 ");
    decimal(out, u64::from(status));
    out.push(b' ');
    out.extend_from_slice(reason);
    out.extend_from_slice(b"\r\n");
}

/// The names that the `Connection` fields of a head list, which therefore end here (RFC 9110 §7.6.1).
#[derive(Clone, Copy)]
pub(crate) struct Named<'a> {
    bytes: &'a [u8],
    fields: &'a [Field],
    any: bool,
}

impl<'a> Named<'a> {
    pub(crate) fn new(bytes: &'a [u8], fields: &'a [Field], any: bool) -> Self {
        Self { bytes, fields, any }
    }

    pub(crate) fn contains(&self, name: Span) -> bool {
        let connection = |field: &&Field| field.known == Known::Connection;
        self.any
            && self.fields.iter().filter(connection).any(|field| {
                let mut listed = list_elements(field.value.of_bytes(self.bytes));
                listed.any(|listed| listed.eq_ignore_ascii_case(name.of_bytes(self.bytes)))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for number in [0, 7, 10, 65_536, u64::MAX] {
            let mut out = Vec::new();
            decimal(&mut out, number);
            assert_eq!(out, number.to_string().as_bytes());
        }
        let mut out = Vec::new();
        hex(&mut out, &[0, 0x1f, 0xff]);
        assert_eq!(out, b"001fff");
    }
}
