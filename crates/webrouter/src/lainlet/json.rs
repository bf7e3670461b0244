//! JSON strings as Go's encoder writes them: `<`, `>`, `&` and the line separators escaped, other text raw.

use std::fmt::Write as _;

/// Appends a quoted, escaped string.
pub(super) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\x1f' => {
                // Writing into a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_escaped_as_go_does() {
        let check = |text: &str, expected: &str| {
            let mut out = String::new();
            push_string(&mut out, text);
            assert_eq!(out, expected);
        };
        check("a<b>&é中", r#""a\u003cb\u003e\u0026é中""#);
        check("{\"k\":\"line\\n2\"}\n\t\u{1}", r#""{\"k\":\"line\\n2\"}\n\t\u0001""#);
        check("\u{2028}", r#""\u2028""#);
    }
}
