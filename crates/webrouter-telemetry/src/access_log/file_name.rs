//! The file names: `<host>___<upstream>.access.log`, safe whatever the configured names are.

/// The file of requests that no route took.
pub(super) fn unrouted() -> String {
    file_name("unknown", "none")
}

/// The file of a route: no separator, no leading dot, no more than a file name can carry.
pub(super) fn file_name(host: &str, upstream: &str) -> String {
    let mut stem = format!("{host}___{upstream}");
    let hash = fnv1a(stem.as_bytes());
    stem = stem.chars().map(|c| if is_safe(c) { c } else { '_' }).collect();
    if stem.starts_with('.') {
        stem.replace_range(..1, "_");
    }
    if stem.len() > MAX_STEM {
        stem.truncate(MAX_STEM - 17);
        stem.push_str(&format!("_{hash:016x}"));
    }
    stem + SUFFIX
}

fn is_safe(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// The same on every machine and in every run: the name must be found again.
fn fnv1a(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

const SUFFIX: &str = ".access.log";
const MAX_STEM: usize = 255 - SUFFIX.len();

#[cfg(test)]
mod tests {
    use super::{file_name, unrouted};

    fn check(host: &str, upstream: &str, expected: &str) {
        assert_eq!(file_name(host, upstream), expected);
    }

    #[test]
    fn names_stay_inside_the_directory() {
        check("demo.lain.local", "demo__upstream__web", "demo.lain.local___demo__upstream__web.access.log");
        check("../../etc/passwd", "a\nb", "_._.._etc_passwd___a_b.access.log");
        check("", "", "___.access.log");
        assert_eq!(unrouted(), "unknown___none.access.log");
    }

    #[test]
    fn names_that_are_too_long_stay_apart() {
        let (one, two) = (file_name(&"h".repeat(250), &"a".repeat(200)), file_name(&"h".repeat(250), &"b".repeat(200)));
        assert_ne!(one, two);
        assert_eq!((one.len(), two.len()), (255, 255));
    }
}
