//! What two versions of a text have in common, found at the speed of memory.

/// How many bytes two texts have in common at the front, and behind that at the back.
pub(crate) fn common_ends(a: &[u8], b: &[u8]) -> (usize, usize) {
    let shorter = a.len().min(b.len());
    let front = common(shorter, |from, to| a.get(from..to) == b.get(from..to));
    let from_back = |text: &'_ [u8], from: usize, to: usize| (text.len() - to)..(text.len() - from);
    let back = common(shorter - front, |from, to| a.get(from_back(a, from, to)) == b.get(from_back(b, from, to)));
    (front, back)
}

/// How far two texts agree, up to `limit`: by blocks, which compare at the speed of memory, then by halves of a block.
fn common(limit: usize, agree: impl Fn(usize, usize) -> bool) -> usize {
    let mut at = 0;
    let mut step = 4096;
    while step > 0 {
        while at + step <= limit && agree(at, at + step) {
            at += step;
        }
        step /= 2;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_never_overlap() {
        let check = |a: &str, b: &str, expected| assert_eq!(common_ends(a.as_bytes(), b.as_bytes()), expected);
        check("", "", (0, 0));
        check("abc", "abc", (3, 0));
        check("aa", "aaa", (2, 0));
        check("abXcd", "abYYcd", (2, 2));
        check("x", "y", (0, 0));
        let long = "l".repeat(10_001);
        check(&format!("{long}1{long}"), &format!("{long}22{long}"), (10_001, 10_001));
    }
}
