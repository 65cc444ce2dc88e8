//! The report for people.

use std::fmt::Write;

use super::figure::{Figure, Sample, Section};

/// All sections as text, with one line for each figure.
pub fn text(sections: &[Section]) -> String {
    let mut out = String::new();
    for section in sections {
        let _ = writeln!(
            out,
            "\n{}\n{}",
            section.title,
            "-".repeat(section.title.chars().count())
        );
        for note in &section.notes {
            let _ = writeln!(out, "  {note}");
        }
        let width = section
            .figures
            .iter()
            .map(|figure| figure.name.chars().count())
            .max()
            .unwrap_or(0);
        let _ = writeln!(
            out,
            "  {:width$}  {:>22}  {:>22}  {:>18}  {:>8}",
            "", "ours", "floor", "ratio", "target"
        );
        for figure in &section.figures {
            let _ = writeln!(out, "  {}", line(figure, width));
        }
    }
    let judged: Vec<bool> = sections
        .iter()
        .flat_map(|section| &section.figures)
        .filter_map(Figure::met)
        .collect();
    let met = judged.iter().filter(|met| **met).count();
    let _ = writeln!(
        out,
        "\n{met} of {} targets met. Medians, with the smallest and largest of the repeats.",
        judged.len()
    );
    out
}

fn line(figure: &Figure, width: usize) -> String {
    let sample = |sample: &Sample, unit: &str| {
        let (low, high) = sample.spread();
        let unit = if unit.is_empty() {
            String::new()
        } else {
            format!(" {unit}")
        };
        format!(
            "{}{unit} ({}–{})",
            number(sample.median()),
            number(low),
            number(high)
        )
    };
    let ratio = figure.ratio();
    format!(
        "{:width$}  {:>22}  {:>22}  {:>18}  {:>8} {}",
        figure.name,
        sample(&figure.ours, figure.unit),
        figure
            .floor
            .as_ref()
            .map(|floor| sample(floor, ""))
            .unwrap_or_default(),
        ratio.map(|ratio| sample(&ratio, "")).unwrap_or_default(),
        figure
            .target
            .map(|target| target.to_string())
            .unwrap_or_default(),
        match figure.met() {
            Some(true) => "met",
            Some(false) => "NOT MET",
            None => "",
        },
    )
}

/// A number with about three digits that matter.
pub fn number(value: f64) -> String {
    match value.abs() {
        size if !size.is_finite() => "?".to_owned(),
        0.0 => "0".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figure::Target;

    #[test]
    fn a_target_that_is_missed_is_called_so() {
        let mut section = Section::new("Speed");
        section
            .figures
            .push(Figure::beside("a", "ms", &[(4.0, 2.0)]).target(Target::AtMost(1.5)));
        section
            .figures
            .push(Figure::alone("b", "MB", vec![1.0]).target(Target::AtMost(1.5)));
        let text = text(&[section]);
        assert!(
            text.contains("NOT MET") && text.contains("1 of 2 targets met"),
            "{text}"
        );
    }

    #[test]
    fn numbers_show_what_matters() {
        assert_eq!(
            [0.0, 0.00123, 0.25, 1.234, 12.34, 1234.5].map(number),
            ["0", "0.0012", "0.25", "1.23", "12.3", "1234"]
        );
    }
}
