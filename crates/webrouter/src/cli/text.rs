//! Words and tables for people.

use comfy_table::{ContentArrangement, Table, presets};

/// A table of aligned columns without lines; wide cells are not wrapped, so that it can be searched by line.
pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.to_vec());
    table
}

/// The table's lines without the padding at their ends.
pub(super) fn lines(table: &Table) -> String {
    table.to_string().lines().map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line).trim_end())).collect()
}

/// A length of time in its largest two units.
pub(super) fn span(seconds: f64) -> String {
    // Negative after a clock was set back; saturates.
    let whole = seconds.max(0.0) as u64;
    match whole {
        0 => format!("{:.0}ms", seconds.max(0.0) * 1000.0),
        1..60 => format!("{whole}s"),
        60..3600 => format!("{}m {}s", whole / 60, whole % 60),
        3600..86_400 => format!("{}h {}m", whole / 3600, whole % 3600 / 60),
        _ => format!("{}d {}h", whole / 86_400, whole % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_two_units() {
        let check = |seconds, text: &str| assert_eq!(span(seconds), text);
        check(-1.0, "0ms");
        check(0.25, "250ms");
        check(59.9, "59s");
        check(61.0, "1m 1s");
        check(3660.0, "1h 1m");
        check(90_000.0, "1d 1h");
    }
}
