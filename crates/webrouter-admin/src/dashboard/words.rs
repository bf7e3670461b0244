//! Numbers and times as people read them, and links.

use std::fmt::Write;

use maud::{Markup, html};
use webrouter_admin_api::{Breaker, EndpointState};

/// A length of time in its largest two units.
pub(super) fn span(seconds: f64) -> String {
    // Negative after a clock was set back; saturates.
    let whole = seconds.max(0.0) as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        3600..86_400 => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3600),
    }
}

/// How long ago, with the moment itself for those who point at it.
pub(super) fn ago(at: &str, age_s: f64) -> Markup {
    html! { time datetime=(at) title=(at) { (span(age_s)) " ago" } }
}

/// A short time, of a request.
pub(super) fn latency(seconds: Option<f64>) -> String {
    match seconds {
        None => "–".to_owned(),
        Some(seconds) if seconds < 0.001 => format!("{:.0} µs", seconds * 1e6),
        Some(seconds) if seconds < 0.01 => format!("{:.1} ms", seconds * 1e3),
        Some(seconds) if seconds < 1.0 => format!("{:.0} ms", seconds * 1e3),
        Some(seconds) => format!("{seconds:.1} s"),
    }
}

/// Requests a second.
pub(super) fn rate(per_second: f64) -> String {
    match per_second {
        0.0 => "0".to_owned(),
        rate if rate < 10.0 => format!("{rate:.1}"),
        rate if rate < 10_000.0 => format!("{rate:.0}"),
        rate => format!("{:.1} k", rate / 1000.0),
    }
}

/// A share of 1.
pub(super) fn percent(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0 %".to_owned(),
        percent if percent < 0.1 => "< 0.1 %".to_owned(),
        percent if percent < 10.0 => format!("{percent:.1} %"),
        percent => format!("{percent:.0} %"),
    }
}

/// A number with its thousands apart.
pub(super) fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            // Narrow and not to be broken.
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// One, or several, of a thing.
pub(super) fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// The address of an app's page.
pub(super) fn app_path(app: &str) -> String {
    format!("/apps/{}", escaped(app))
}

/// A text as a part of a URL.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => escaped.push(char::from(byte)),
            // Writing to a String does not fail.
            other => _ = write!(escaped, "%{other:02X}"),
        }
    }
    escaped
}

/// The word of a state, the sign beside it (colour alone does not reach everybody), and how it looks.
pub(super) fn state(state: EndpointState) -> (&'static str, &'static str, &'static str) {
    match state {
        EndpointState::Up => ("up", "●", "good"),
        EndpointState::Unproven => ("unproven", "○", "dim"),
        EndpointState::Down => ("down", "✕", "bad"),
        EndpointState::Ejected => ("ejected", "✕", "bad"),
        EndpointState::Draining => ("draining", "◐", "warn"),
        EndpointState::Leaving => ("leaving", "◐", "warn"),
    }
}

/// What a circuit breaker does, where it does anything.
pub(super) fn breaker(breaker: Breaker) -> Option<&'static str> {
    match breaker {
        Breaker::Closed => None,
        Breaker::Open => Some("circuit breaker open: requests are refused"),
        Breaker::HalfOpen => Some("circuit breaker half-open: a few requests are let through to try"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let check = |text: String, expected: &str| assert_eq!(text, expected);
        check(span(-1.0), "0 s");
        check(span(61.5), "1 min 1 s");
        check(span(90_000.0), "1 d 1 h");
        check(latency(None), "–");
        check(latency(Some(0.000_42)), "420 µs");
        check(latency(Some(0.0042)), "4.2 ms");
        check(latency(Some(0.42)), "420 ms");
        check(latency(Some(4.2)), "4.2 s");
        check(rate(0.0), "0");
        check(rate(1.25), "1.2");
        check(rate(1250.0), "1250");
        check(rate(12_500.0), "12.5 k");
        check(percent(0.0004), "< 0.1 %");
        check(percent(0.042), "4.2 %");
        check(percent(1.0), "100 %");
        check(count(1_234_567), "1\u{202f}234\u{202f}567");
        check(counted(1, "route", "routes"), "1 route");
    }

    #[test]
    fn a_name_stays_within_its_part_of_a_path() {
        assert_eq!(app_path("a/../b?c#é"), "/apps/a%2F..%2Fb%3Fc%23%C3%A9");
    }
}
