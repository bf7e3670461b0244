//! Medians and ratios out of interleaved rounds, as a table or as JSON.

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::origin;
use crate::proxies::Kind;
use crate::scenario::{Sample, Scenario};

/// All rounds of one scenario: a row of samples per round, in the order of the proxies.
pub(crate) struct Rounds {
    /// The proxies, in the order they took turns.
    pub(crate) kinds: Vec<Kind>,
    /// The samples, `rounds[round][proxy]`.
    pub(crate) rounds: Vec<Vec<Sample>>,
}

/// What is reported of a scenario.
#[derive(Serialize)]
pub(crate) struct Report {
    scenario: &'static str,
    title: &'static str,
    rounds: usize,
    best_peer: Option<&'static str>,
    proxies: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    proxy: &'static str,
    /// Median CPU microseconds per request, with the least and the most seen.
    cpu_micros: f64,
    cpu_micros_least: f64,
    cpu_micros_most: f64,
    /// Median body bytes per CPU second, in MiB, where bodies are what costs.
    mib_per_cpu_second: Option<f64>,
    requests_per_second: f64,
    rss_mib: f64,
    pss_mib: f64,
    /// Median over rounds of this proxy's CPU per request divided by the other's in the same round.
    ratios: Vec<Ratio>,
}

#[derive(Serialize)]
struct Ratio {
    against: &'static str,
    ratio: f64,
    least: f64,
    most: f64,
}

impl Report {
    /// Computes medians over the rounds.
    pub(crate) fn of(scenario: Scenario, rounds: &Rounds) -> Self {
        let cost = |column: usize| rounds.median(column, Sample::micros_per_request);
        let peers = || rounds.kinds.iter().enumerate().filter(|(_, kind)| kind.is_peer());
        let best = peers().min_by(|(a, _), (b, _)| cost(*a).total_cmp(&cost(*b)));
        let proxies = rounds
            .kinds
            .iter()
            .enumerate()
            .map(|(column, kind)| {
                let micros = rounds.column(column, Sample::micros_per_request);
                let cpu_micros = median(micros.clone());
                Line {
                    proxy: kind.name(),
                    cpu_micros,
                    cpu_micros_least: least(&micros),
                    cpu_micros_most: most(&micros),
                    mib_per_cpu_second: (scenario.body() >= origin::MEDIUM)
                        .then(|| scenario.body() as f64 / cpu_micros * 1e6 / MIB),
                    requests_per_second: rounds.median(column, Sample::rate),
                    rss_mib: rounds.median(column, |sample| sample.rss_kib as f64 / 1024.0),
                    pss_mib: rounds.median(column, |sample| sample.pss_kib as f64 / 1024.0),
                    ratios: rounds
                        .kinds
                        .iter()
                        .enumerate()
                        .filter(|(other, _)| *other != column)
                        .map(|(other, against)| rounds.ratio(column, other, against.name()))
                        .collect(),
                }
            })
            .collect();
        Self {
            scenario: scenario.name(),
            title: scenario.title(),
            rounds: rounds.rounds.len(),
            best_peer: best.map(|(_, kind)| kind.name()),
            proxies,
        }
    }

    /// The table for people.
    pub(crate) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        let mut header = vec![
            "proxy".to_owned(),
            "CPU µs/request".to_owned(),
            "least–most".to_owned(),
            "MiB/CPU s".to_owned(),
            "requests/s".to_owned(),
            "RSS MiB".to_owned(),
            "PSS MiB".to_owned(),
        ];
        header.extend(self.proxies.iter().map(|line| format!("÷ {}", line.proxy)));
        header.push("÷ best peer".to_owned());
        let columns = header.len();
        table.set_header(header);
        for line in &self.proxies {
            let against = |name: &str| line.ratios.iter().find(|ratio| ratio.against == name);
            let short = |name: &str| against(name).map_or_else(|| "–".to_owned(), |it| format!("{:.2}", it.ratio));
            let long = |name: &str| {
                against(name)
                    .map_or_else(|| "–".to_owned(), |it| format!("{:.2} ({:.2}–{:.2})", it.ratio, it.least, it.most))
            };
            let mut row = vec![
                line.proxy.to_owned(),
                format!("{:.1}", line.cpu_micros),
                format!("{:.1}–{:.1}", line.cpu_micros_least, line.cpu_micros_most),
                line.mib_per_cpu_second.map_or_else(|| "–".to_owned(), |mib| format!("{mib:.0}")),
                format!("{:.0}", line.requests_per_second),
                format!("{:.0}", line.rss_mib),
                format!("{:.0}", line.pss_mib),
            ];
            row.extend(self.proxies.iter().map(|other| short(other.proxy)));
            row.push(self.best_peer.map_or_else(|| "–".to_owned(), long));
            table.add_row(row);
        }
        for column in 1..columns {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        format!("{}: {}; medians of {} interleaved rounds\n\n{table}\n", self.scenario, self.title, self.rounds)
    }
}

impl Rounds {
    fn column(&self, column: usize, figure: impl Fn(&Sample) -> f64) -> Vec<f64> {
        self.rounds.iter().filter_map(|round| round.get(column).map(&figure)).collect()
    }

    fn median(&self, column: usize, figure: impl Fn(&Sample) -> f64) -> f64 {
        median(self.column(column, figure))
    }

    /// Neighbours in time are compared, so that what slows a whole round down cancels out.
    fn ratio(&self, of: usize, to: usize, against: &'static str) -> Ratio {
        let (of, to) = (self.column(of, Sample::micros_per_request), self.column(to, Sample::micros_per_request));
        let ratios: Vec<f64> = of.iter().zip(&to).map(|(a, b)| a / b).collect();
        Ratio { against, least: least(&ratios), most: most(&ratios), ratio: median(ratios) }
    }
}

const MIB: f64 = 1024.0 * 1024.0;

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn most(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

/// The middle value, of an even number the mean of the middle two; NaN of none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle.wrapping_sub(1)), values.get(middle)) {
        (Some(low), Some(high)) if values.len().is_multiple_of(2) => (low + high) / 2.0,
        (_, Some(high)) => *high,
        _ => f64::NAN,
    }
}

/// The smallest value that `percent` of the values do not exceed; NaN of none.
pub(crate) fn percentile(mut values: Vec<f64>, percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() * percent).div_ceil(100).max(1);
    values.get(rank - 1).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Report, Rounds, median, percentile};
    use crate::proxies::Kind;
    use crate::scenario::{Sample, Scenario};

    #[test]
    fn medians_and_percentiles() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(vec![7.0]), 7.0);
        assert!(median(vec![]).is_nan());
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(hundred.clone(), 99), 99.0);
        assert_eq!(percentile(hundred, 100), 100.0);
        assert_eq!(percentile(vec![5.0], 99), 5.0);
    }

    #[test]
    fn a_ratio_is_the_median_of_the_rounds_ratios_and_the_relay_is_no_peer() {
        let sample = |micros: u64| Sample {
            requests: 1,
            elapsed: Duration::from_secs(1),
            cpu: Duration::from_micros(micros),
            rss_kib: 1024,
            pss_kib: 512,
        };
        // The second round ran on a machine twice as slow.
        let rounds = Rounds {
            kinds: vec![Kind::Nginx, Kind::Webrouter, Kind::Relay],
            rounds: vec![vec![sample(20), sample(10), sample(5)], vec![sample(40), sample(20), sample(10)]],
        };
        assert_eq!(rounds.ratio(1, 0, "nginx").ratio, 0.5);
        let report = Report::of(Scenario::Small, &rounds);
        assert_eq!(report.best_peer, Some("nginx"));
        assert!(report.table().contains("0.50"));
    }
}
