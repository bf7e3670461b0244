//! Request paths in their one form: percent-decoded, dot segments resolved, slashes merged (RFC 3986 §5.2.4, §6.2.2).

/// How the normal form of a path relates to what was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathForm {
    /// The received bytes are the normal form; the buffer means nothing.
    AsReceived,
    /// The normal form was written to the buffer.
    Rewritten,
}

/// A path that has no normal form; the request is answered 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Does not begin with `/`.
    #[error("the path does not begin with `/`")]
    NotAbsolute,
    /// `%` without two hex digits.
    #[error("the path has a `%` that two hex digits do not follow")]
    BadEscape,
    /// A NUL, escaped or not.
    #[error("the path has a NUL")]
    Nul,
    /// `..` above the root.
    #[error("the path climbs above the root")]
    AboveRoot,
}

/// Brings a path (without query) to its normal form; `normal` counts only when it differs.
pub fn normalize(path: &[u8], normal: &mut Vec<u8>) -> Result<PathForm, PathError> {
    if path.first() != Some(&b'/') {
        return Err(PathError::NotAbsolute);
    }
    if is_normal(path) {
        return Ok(PathForm::AsReceived);
    }
    normal.clear();
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        let (decoded, after) = match byte {
            b'%' => decode_escape(after)?,
            byte => (byte, after),
        };
        rest = after;
        match decoded {
            0 => return Err(PathError::Nul),
            b'/' => close_segment(normal, Closing::WithSlash)?,
            decoded => normal.push(decoded),
        }
    }
    close_segment(normal, Closing::AtEnd)?;
    Ok(if normal == path { PathForm::AsReceived } else { PathForm::Rewritten })
}

/// Writes a decoded path as a request target: what could be read as anything else is escaped.
pub fn encode(decoded: &[u8], target: &mut Vec<u8>) {
    for &byte in decoded {
        match byte {
            b'%'
            | b'?'
            | b'#'
            | b'"'
            | b'<'
            | b'>'
            | b'['
            | b'\\'
            | b']'
            | b'^'
            | b'`'
            | b'{'
            | b'|'
            | b'}'
            | 0..=b' '
            | 0x7f.. => {
                let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 };
                target.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
            }
            byte => target.push(byte),
        }
    }
}

fn is_normal(path: &[u8]) -> bool {
    let mut previous = 0;
    for &byte in path {
        if matches!(byte, b'%' | 0) || (previous == b'/' && matches!(byte, b'/' | b'.')) {
            return false;
        }
        previous = byte;
    }
    true
}

fn decode_escape(after: &[u8]) -> Result<(u8, &[u8]), PathError> {
    let (digits, rest) = after.split_first_chunk::<2>().ok_or(PathError::BadEscape)?;
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|n| u8::try_from(n).ok());
    match digits.map(nibble) {
        [Some(high), Some(low)] => Ok((high << 4 | low, rest)),
        _ => Err(PathError::BadEscape),
    }
}

enum Closing {
    WithSlash,
    AtEnd,
}

/// Ends the segment after the last `/` of `normal`: merges an empty one, drops `.`, climbs for `..`.
fn close_segment(normal: &mut Vec<u8>, closing: Closing) -> Result<(), PathError> {
    let start = memchr::memrchr(b'/', normal).map_or(0, |slash| slash + 1);
    match normal.get(start..) {
        Some(b".") => normal.truncate(start),
        Some(b"..") => {
            let parent = normal.get(..start.saturating_sub(1)).unwrap_or_default();
            let slash = memchr::memrchr(b'/', parent).ok_or(PathError::AboveRoot)?;
            normal.truncate(slash + 1);
        }
        Some(b"") if start > 0 => {}
        _ if matches!(closing, Closing::WithSlash) => normal.push(b'/'),
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: Result<&str, PathError>) {
        let mut normal = Vec::new();
        let actual = normalize(path.as_bytes(), &mut normal).map(|form| match form {
            PathForm::AsReceived => path.to_owned(),
            PathForm::Rewritten => String::from_utf8(normal).expect("test paths are UTF-8"),
        });
        assert_eq!(actual.as_deref(), expected.as_ref().copied(), "{path}");
    }

    #[test]
    fn decoded_resolved_and_merged() {
        check("/", Ok("/"));
        check("/a/b", Ok("/a/b"));
        check("/a.b/.c", Ok("/a.b/.c"));
        check("//a///b//", Ok("/a/b/"));
        check("/a/./b/.", Ok("/a/b/"));
        check("/a/../b", Ok("/b"));
        check("/a/b/..", Ok("/a/"));
        check("/%61%2Fb", Ok("/a/b"));
        check("/a/%2e%2E/b", Ok("/b"));
        check("/a%20b", Ok("/a b"));
        check("/...", Ok("/..."));
    }

    #[test]
    fn what_has_no_normal_form_is_an_error() {
        check("", Err(PathError::NotAbsolute));
        check("a", Err(PathError::NotAbsolute));
        check("/%", Err(PathError::BadEscape));
        check("/%g1", Err(PathError::BadEscape));
        check("/%00", Err(PathError::Nul));
        check("/\0", Err(PathError::Nul));
        check("/a/\0/%41", Err(PathError::Nul));
        check("/..", Err(PathError::AboveRoot));
        check("/a/../../b", Err(PathError::AboveRoot));
        check("/%2e%2e/", Err(PathError::AboveRoot));
    }

    #[test]
    fn encoding_is_undone_by_normalizing() {
        let decoded = b"/a b%?#[]\xc3\xa9\n";
        let mut target = Vec::new();
        encode(decoded, &mut target);
        assert_eq!(target, b"/a%20b%25%3F%23%5B%5D%C3%A9%0A");
        let mut normal = Vec::new();
        assert_eq!(normalize(&target, &mut normal), Ok(PathForm::Rewritten));
        assert_eq!(normal, decoded);
    }
}
