//! Foreign bytes into lines: nginx escaping, JSON strings, numbers. Nothing else writes foreign bytes.

/// Writes a value as nginx does in access logs: `"`, `\`, controls and all above ASCII become `\xXX`; empty is `-`.
pub(super) fn nginx(value: &[u8], line: &mut Vec<u8>) {
    if value.is_empty() {
        line.push(b'-');
        return;
    }
    let escape = |byte: u8, line: &mut Vec<u8>| line.extend_from_slice(&[b'\\', b'x', hex(byte >> 4), hex(byte)]);
    runs(cut(value), line, escape);
}

/// Writes a JSON string; bytes that are not UTF-8 become U+FFFD, controls are escaped.
pub(super) fn json(value: &[u8], line: &mut Vec<u8>) {
    line.push(b'"');
    let value = cut(value);
    if value.iter().fold(true, |plain, &byte| plain & is_plain(byte)) {
        line.extend_from_slice(value);
        return line.push(b'"');
    }
    for chunk in value.utf8_chunks() {
        for c in chunk.valid().split_inclusive(needs_json_escape) {
            match c.chars().next_back().filter(|&last| needs_json_escape(last)) {
                Some(last) => {
                    line.extend_from_slice(c.get(..c.len() - last.len_utf8()).unwrap_or_default().as_bytes());
                    json_escape(last, line);
                }
                None => line.extend_from_slice(c.as_bytes()),
            }
        }
        if !chunk.invalid().is_empty() {
            line.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    line.push(b'"');
}

/// Writes a number in decimal.
pub(super) fn number(value: u64, line: &mut Vec<u8>) {
    padded(value, 1, line);
}

/// Writes a number in decimal with at least `width` (up to 20) digits.
pub(super) fn padded(mut value: u64, width: usize, line: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    let mut used = 0;
    for place in digits.iter_mut().rev() {
        if value == 0 && used >= width {
            break;
        }
        *place = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
        used += 1;
    }
    line.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
}

/// Copies runs of plain bytes whole, others through `escape`.
fn runs(mut value: &[u8], line: &mut Vec<u8>, escape: impl Fn(u8, &mut Vec<u8>)) {
    // Almost every value is plain; without an early end the test runs on many bytes at once.
    if value.iter().fold(true, |plain, &byte| plain & is_plain(byte)) {
        return line.extend_from_slice(value);
    }
    while let Some(at) = value.iter().position(|&byte| !is_plain(byte)) {
        let (plain, rest) = value.split_at(at);
        line.extend_from_slice(plain);
        let Some((&byte, rest)) = rest.split_first() else { return };
        escape(byte, line);
        value = rest;
    }
    line.extend_from_slice(value);
}

fn is_plain(byte: u8) -> bool {
    (byte.wrapping_sub(b' ') < 0x5f) & (byte != b'"') & (byte != b'\\')
}

/// C1 controls are escaped too: a terminal that shows the file would act on them.
fn needs_json_escape(c: char) -> bool {
    c == '"' || c == '\\' || c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

fn json_escape(c: char, line: &mut Vec<u8>) {
    match c {
        '"' => line.extend_from_slice(b"\\\""),
        '\\' => line.extend_from_slice(b"\\\\"),
        '\n' => line.extend_from_slice(b"\\n"),
        '\r' => line.extend_from_slice(b"\\r"),
        '\t' => line.extend_from_slice(b"\\t"),
        _ => {
            line.extend_from_slice(b"\\u");
            let code = u32::from(c).to_be_bytes();
            for byte in [code[2], code[3]] {
                line.extend_from_slice(&[hex(byte >> 4), hex(byte)]);
            }
        }
    }
}

/// The lower four bits as an upper-case digit.
fn hex(nibble: u8) -> u8 {
    match nibble & 15 {
        digit @ 0..=9 => b'0' + digit,
        letter => b'A' + (letter - 10),
    }
}

/// A line stays bounded, whatever header sizes are allowed.
fn cut(value: &[u8]) -> &[u8] {
    value.get(..MAX_VALUE_BYTES).unwrap_or(value)
}

/// How much of one value is written; the rest is left out.
const MAX_VALUE_BYTES: usize = 32 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut line = Vec::new();
        write(&mut line);
        String::from_utf8(line).expect("lines are UTF-8")
    }

    #[test]
    fn nginx_escaping() {
        let check = |value: &[u8], expected: &str| assert_eq!(written(|line| nginx(value, line)), expected);
        check(b"", "-");
        check(b"plain @ text", "plain @ text");
        check(b"a\"b\\c", "a\\x22b\\x5Cc");
        check(b"\r\n\x1b[2J\x7f", "\\x0D\\x0A\\x1B[2J\\x7F");
        check("é".as_bytes(), "\\xC3\\xA9");
    }

    #[test]
    fn json_strings() {
        let check = |value: &[u8], expected: &str| assert_eq!(written(|line| json(value, line)), expected);
        check(b"", r#""""#);
        check(b"a\"b\\c\n", r#""a\"b\\c\n""#);
        check("é\u{9b}".as_bytes(), r#""é\u009B""#);
        check(b"a\xff\xfeb", "\"a\u{fffd}\u{fffd}b\"");
        check(b"\x1b\x00", r#""\u001B\u0000""#);
    }

    #[test]
    fn numbers() {
        let check = |value, width, expected: &str| assert_eq!(written(|line| padded(value, width, line)), expected);
        check(0, 1, "0");
        check(7, 3, "007");
        check(1234, 3, "1234");
        check(u64::MAX, 1, "18446744073709551615");
    }

    proptest! {
        #[test]
        fn nginx_values_are_printable_ascii_without_quotes(value: Vec<u8>) {
            let text = written(|line| nginx(&value, line));
            prop_assert!(text.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'"'));
        }

        #[test]
        fn json_strings_parse_to_the_lossy_text(value: Vec<u8>) {
            let text = written(|line| json(&value, line));
            let parsed: String = serde_json::from_str(&text).expect("a JSON string");
            prop_assert_eq!(parsed, String::from_utf8_lossy(&value));
            prop_assert!(!text.chars().any(char::is_control));
        }
    }
}
