//! Foreign text in messages: escaped, and never longer than a line.

/// The beginning of a foreign text, escaped, fit for a message.
pub(crate) fn excerpt(text: &str) -> String {
    let mut short: String = text.chars().take(MAX_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        short.push('…');
    }
    short
}

const MAX_CHARS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_and_cut() {
        let check = |text: &str, expected: &str| assert_eq!(excerpt(text), expected);
        check("a\nb", "a\\nb");
        check(&"x".repeat(100), &"x".repeat(100));
        check(&"x".repeat(5000), &format!("{}…", "x".repeat(100)));
    }
}
