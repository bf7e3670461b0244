//! Durations as people write them, in configuration, annotations and files of apps alike.

use std::time::Duration;

/// Parses `200ms`, `5s`, `15m`, `1h`, `30d`, or a sum such as `1m30s`; a number without its unit is none.
pub fn parse(text: &str) -> Option<Duration> {
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
            "d" => Duration::from_secs(24 * 3600),
            _ => return None,
        };
        total = total.checked_add(unit.checked_mul(number)?)?;
        rest = tail;
    }
    Some(total)
}

/// The text that [`parse`] reads as this duration, to the millisecond: `0s`, `200ms`, `1m30s`.
pub fn render(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let parts = [
        (seconds / 3600, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
        (u64::from(duration.subsec_millis()), "ms"),
    ];
    let text: String = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_carry_their_unit() {
        let check = |text: &str, millis: Option<u64>| {
            assert_eq!(parse(text), millis.map(Duration::from_millis), "{text:?}");
        };
        check("200ms", Some(200));
        check("5s", Some(5_000));
        check(" 15m ", Some(900_000));
        check("1m30s", Some(90_000));
        check("1h", Some(3_600_000));
        check("1d12h", Some(36 * 3_600_000));
        for bad in ["", "5", "s", "5 s", "-5s", "5sec", "1.5s", "99999999999999s", "5s!"] {
            check(bad, None);
        }
    }

    #[test]
    fn what_is_rendered_is_read_again() {
        let check = |millis: u64, text: &str| {
            let duration = Duration::from_millis(millis);
            assert_eq!((render(duration).as_str(), parse(text)), (text, Some(duration)));
        };
        check(0, "0s");
        check(200, "200ms");
        check(90_000, "1m30s");
        check(900_000, "15m");
        check(3_661_500, "1h1m1s500ms");
        check(8_760 * 3_600_000, "8760h");
    }
}
