//! Charts of the last minutes, drawn as SVG without text: the words stand beside it and do not stretch with it.

use std::fmt::Write;

use maud::{Markup, html};
use webrouter_admin_api::Rates;

use super::words::{latency, percent, rate};
use crate::traffic::Series;

/// Requests, with the errors among them.
pub(super) fn requests(series: &Series) -> Markup {
    let highest = series.points.iter().map(|point| point.requests_per_s).fold(0.0, f64::max);
    let top = round_up(highest);
    let canvas = Canvas { series, top };
    let errors: f64 = series.points.iter().map(|point| point.errors_per_s).sum();
    let all: f64 = series.points.iter().map(|point| point.requests_per_s).sum();
    let share = if all > 0.0 { errors / all } else { 0.0 };
    let told = format!(
        "Requests per second in the last 5 minutes: at most {}, of which {} failed",
        rate(highest),
        percent(share)
    );
    figure(
        "Requests per second",
        &told,
        &rate(top),
        &html! {
            path.area d=(canvas.area(|point| point.requests_per_s)) {}
            path.line d=(canvas.line(|point| Some(point.requests_per_s))) {}
            path.area.errors d=(canvas.area(|point| point.errors_per_s)) {}
        },
        &[("requests", "requests"), ("errors", "errors")],
    )
}

/// How long requests took.
pub(super) fn latencies(series: &Series) -> Markup {
    let highest = series.points.iter().filter_map(|point| point.p99_s).fold(0.0, f64::max);
    let top = round_up(highest);
    let canvas = Canvas { series, top };
    let told = match highest {
        0.0 => "How long requests took in the last 5 minutes: there were none".to_owned(),
        highest => format!("How long requests took in the last 5 minutes: p99 at most {}", latency(Some(highest))),
    };
    figure(
        "Latency",
        &told,
        &latency(Some(top)),
        &html! {
            path.line.p99 d=(canvas.line(|point| point.p99_s)) {}
            path.line.p90 d=(canvas.line(|point| point.p90_s)) {}
            path.line.p50 d=(canvas.line(|point| point.p50_s)) {}
        },
        &[("p50", "p50"), ("p90", "p90"), ("p99", "p99")],
    )
}

fn figure(title: &str, told: &str, top: &str, drawing: &Markup, legend: &[(&str, &str)]) -> Markup {
    html! {
        figure.chart {
            figcaption {
                span { (title) }
                ul aria-hidden="true" { @for (class, name) in legend { li class=(class) { (name) } } }
            }
            div.plot {
                svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(told) {
                    @for quarter in 0..=4 {
                        path.grid d={ "M0 " (quarter * HEIGHT / 4) "H" (WIDTH) } {}
                    }
                    (drawing)
                }
                span.top aria-hidden="true" { (top) }
            }
            p.axis aria-hidden="true" { span { "5 min ago" } span { "now" } }
        }
    }
}

struct Canvas<'a> {
    series: &'a Series,
    top: f64,
}

impl Canvas<'_> {
    /// A line, broken where there is no value.
    fn line(&self, value: impl Fn(&Rates) -> Option<f64>) -> String {
        let mut path = String::new();
        let mut pen = 'M';
        for (point, x) in self.series.points.iter().zip(self.across()) {
            let Some(value) = value(point) else {
                pen = 'M';
                continue;
            };
            // Writing to a String does not fail.
            let _ = write!(path, "{pen}{x:.1} {:.1}", self.height(value));
            if pen == 'M' {
                // A point without a neighbour is a dot.
                path.push_str("h0");
                pen = 'L';
            }
        }
        path
    }

    /// What is below a line.
    fn area(&self, value: impl Fn(&Rates) -> f64) -> String {
        let line = self.line(|point| Some(value(point)));
        let (Some(first), Some(last)) = (self.across().next(), self.across().last()) else { return String::new() };
        if self.series.points.iter().all(|point| value(point) == 0.0) {
            return String::new();
        }
        format!("{line}L{last:.1} {HEIGHT}L{first:.1} {HEIGHT}Z")
    }

    /// Where each point is; the newest at the right edge.
    fn across(&self) -> impl Iterator<Item = f64> {
        let step = f64::from(WIDTH) * self.series.step.as_secs_f64() / SPAN_S;
        let count = self.series.points.len();
        (0..count).map(move |nth| f64::from(WIDTH) - (count - 1 - nth) as f64 * step)
    }

    fn height(&self, value: f64) -> f64 {
        f64::from(HEIGHT) * (1.0 - (value / self.top).clamp(0.0, 1.0))
    }
}

/// The next number of 1, 2 or 5 and zeros: the top of an axis.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let unit = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * unit).find(|top| *top >= value).unwrap_or(value)
}

const WIDTH: u32 = 600;
const HEIGHT: u32 = 120;
const SPAN_S: f64 = 300.0;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn series(values: &[Option<f64>]) -> Series {
        let point = |value: &Option<f64>| Rates {
            requests_per_s: value.unwrap_or_default(),
            p50_s: *value,
            ..Rates::default()
        };
        Series { step: Duration::from_secs(5), points: values.iter().map(point).collect() }
    }

    #[test]
    fn the_newest_is_at_the_right_and_a_line_breaks_where_nothing_was() {
        let check = |values: &[Option<f64>], expected: &str| {
            let series = series(values);
            assert_eq!(Canvas { series: &series, top: 10.0 }.line(|point| point.p50_s), expected);
        };
        check(&[], "");
        check(&[Some(10.0)], "M600.0 0.0h0");
        check(&[Some(0.0), Some(5.0)], "M590.0 120.0h0L600.0 60.0");
        check(&[Some(0.0), None, Some(99.0)], "M580.0 120.0h0M600.0 0.0h0");
    }

    #[test]
    fn an_area_is_closed() {
        let series = series(&[Some(5.0), Some(10.0)]);
        let canvas = Canvas { series: &series, top: 10.0 };
        assert_eq!(canvas.area(|point| point.requests_per_s), "M590.0 60.0h0L600.0 0.0L600.0 120L590.0 120Z");
        assert_eq!(canvas.area(|_| 0.0), "");
    }

    #[test]
    fn an_axis_ends_at_a_round_number() {
        let check =
            |value: f64, top: f64| assert!((round_up(value) - top).abs() < 1e-9, "{value}: {}", round_up(value));
        check(0.0, 1.0);
        check(0.003, 0.005);
        check(1.0, 1.0);
        check(130.0, 200.0);
        check(999.0, 1000.0);
    }
}
