//! Sizes as people write them; durations are read by `webrouter_routing::duration`.

/// Parses `64KiB`, `1MiB`, `2GiB`, `512B`, or a plain number of bytes.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let unit: u64 = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_binary() {
        let check = |text: &str, bytes: Option<u64>| assert_eq!(parse_size(text), bytes, "{text:?}");
        check("64KiB", Some(65_536));
        check("1 MiB", Some(1_048_576));
        check("512", Some(512));
        check("512B", Some(512));
        for bad in ["", "64KB", "-1", "x", "99999999999GiB"] {
            check(bad, None);
        }
    }
}
