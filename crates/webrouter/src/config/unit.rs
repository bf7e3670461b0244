//! Durations and sizes as people write them.

use std::time::Duration;

/// Parses `200ms`, `5s`, `15m`, `1h`, or a sum such as `1m30s`.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at_checked(digits)?;
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at_checked(letters)?;
        let number: u32 = number.parse().ok()?;
        let unit = match unit {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3600),
            _ => return None,
        };
        total = total.checked_add(unit.checked_mul(number)?)?;
        rest = tail;
    }
    Some(total)
}

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
    fn durations_carry_their_unit() {
        let check = |text: &str, millis: Option<u64>| {
            assert_eq!(parse_duration(text), millis.map(Duration::from_millis), "{text:?}");
        };
        check("200ms", Some(200));
        check("5s", Some(5_000));
        check(" 15m ", Some(900_000));
        check("1m30s", Some(90_000));
        check("1h", Some(3_600_000));
        for bad in ["", "5", "s", "5 s", "-5s", "5sec", "1.5s", "99999999999999s", "5s!"] {
            check(bad, None);
        }
    }

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
