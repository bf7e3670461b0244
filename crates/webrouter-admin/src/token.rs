//! The token that shows an operator from elsewhere, and whoever changes something (RFC 6750 §2.1).

use std::fmt;

use http::{HeaderMap, HeaderValue, header};
use sha2::{Digest as _, Sha256};

/// What a token must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token is at least 16 characters of letters, digits and -._~+/=")]
pub struct BadToken;

/// A token, kept as its digest: it cannot be shown, and how long a comparison takes tells nothing of it.
#[derive(Clone)]
pub struct Token([u8; 32]);

impl Token {
    /// The token of a file; white space around it is not part of it.
    pub fn parse(text: &str) -> Result<Self, BadToken> {
        let text = text.trim();
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        match text.len() >= SHORTEST && text.bytes().all(known) {
            true => Ok(Self(Sha256::digest(text).into())),
            false => Err(BadToken),
        }
    }

    /// Whether a request carries it.
    pub(crate) fn is_in(&self, fields: &HeaderMap) -> bool {
        let mut values = fields.get_all(header::AUTHORIZATION).iter().map(HeaderValue::as_bytes);
        let (Some(value), None) = (values.next(), values.next()) else { return false };
        let Some((scheme, token)) = value.split_at_checked(SCHEME.len()) else { return false };
        scheme.eq_ignore_ascii_case(SCHEME) && <[u8; 32]>::from(Sha256::digest(token.trim_ascii())) == self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(…)")
    }
}

const SCHEME: &[u8] = b"Bearer ";
const SHORTEST: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_is_the_token() {
        let token = Token::parse(" 0123456789abcdef\n").expect("a token");
        let check = |values: &[&'static str], expected: bool| {
            let mut fields = HeaderMap::new();
            for value in values {
                fields.append(header::AUTHORIZATION, HeaderValue::from_static(value));
            }
            assert_eq!(token.is_in(&fields), expected, "{values:?}");
        };
        check(&["Bearer 0123456789abcdef"], true);
        check(&["bearer 0123456789abcdef"], true);
        check(&["Bearer 0123456789abcdeF"], false);
        check(&["Bearer 0123456789abcdef0"], false);
        check(&["Basic 0123456789abcdef"], false);
        check(&["Bearer 0123456789abcdef", "Bearer 0123456789abcdef"], false);
        check(&["Bearer "], false);
        check(&[], false);
        assert_eq!(format!("{token:?}"), "Token(…)");
    }

    #[test]
    fn a_token_that_can_be_guessed_or_not_be_sent_is_none() {
        for text in ["", "short", "0123456789abcde", "0123456789 abcdef", "0123456789abcdé0"] {
            assert_eq!(Token::parse(text).err(), Some(BadToken), "{text}");
        }
    }
}
