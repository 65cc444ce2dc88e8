//! The chart for people: how fast each workload runs, as a part of the floor.

use std::fmt::Write;

use super::figure::{Figure, Section};

/// What the figures that are drawn end in.
const DRAWN: &str = ": steps/s";
const WIDTH: f64 = 760.0;
/// Where bars begin, and how long one of the floor's length is.
const LEFT: f64 = 190.0;
const FLOOR: f64 = 500.0;
const ROW: f64 = 24.0;
const TOP: f64 = 64.0;

/// An SVG of steps/s beside the floor's, one bar for each workload and number of clients; in light and dark.
pub fn svg(sections: &[Section]) -> String {
    let figures: Vec<(&Figure, &str)> = sections
        .iter()
        .flat_map(|section| &section.figures)
        .filter_map(|figure| Some((figure, figure.name.strip_suffix(DRAWN)?)))
        .collect();
    let height = TOP + ROW * figures.len() as f64 + 40.0;
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif" font-size="13" role="img" aria-label="Steps per second as a part of the floor's">
<style>
text {{ fill: #24292f }} .quiet {{ fill: #6e7781 }} .bar {{ fill: #2f6f9f }} .low {{ fill: #b35900 }}
.line {{ stroke: #8c959f; stroke-width: 1 }} .spread {{ stroke: #24292f; stroke-width: 1.5 }}
@media (prefers-color-scheme: dark) {{
text {{ fill: #e6edf3 }} .quiet {{ fill: #8d96a0 }} .bar {{ fill: #58a6d6 }} .low {{ fill: #e0883a }} .spread {{ stroke: #e6edf3 }}
}}
</style>
<text x="16" y="24" font-size="15" font-weight="600">Steps per second, as a part of the same row writes issued by hand</text>
<text x="16" y="43" class="quiet">the line at 0.6 is the target at 1 and 4 clients; whiskers: smallest and largest of the repeats</text>
"#
    );
    let at = |ratio: f64| LEFT + FLOOR * ratio.clamp(0.0, 1.0);
    let bottom = TOP + ROW * figures.len() as f64;
    for mark in [0.0, 0.2, 0.4, 0.6, 0.8, 1.0] {
        let dashes = if mark == 0.6 {
            ""
        } else {
            r#" stroke-dasharray="2 4""#
        };
        let x = at(mark);
        let _ = writeln!(
            svg,
            r#"<line class="line" x1="{x:.1}" y1="{TOP}" x2="{x:.1}" y2="{bottom}"{dashes}/><text class="quiet" x="{x:.1}" y="{:.1}" text-anchor="middle">{mark}</text>"#,
            bottom + 18.0
        );
    }
    for (row, (figure, name)) in figures.iter().enumerate() {
        let Some(ratio) = figure.ratio() else {
            continue;
        };
        let (median, (low, high)) = (ratio.median(), ratio.spread());
        let y = TOP + ROW * row as f64;
        let class = if figure.met() == Some(false) {
            "low"
        } else {
            "bar"
        };
        let middle = y + ROW / 2.0;
        let _ = writeln!(
            svg,
            r#"<text x="{:.1}" y="{:.1}" text-anchor="end">{name}</text><rect class="{class}" x="{LEFT}" y="{:.1}" width="{:.1}" height="{:.1}" rx="2"/><line class="spread" x1="{:.1}" y1="{middle:.1}" x2="{:.1}" y2="{middle:.1}"/><text x="{:.1}" y="{:.1}">{median:.2}</text>"#,
            LEFT - 10.0,
            middle + 4.5,
            y + 5.0,
            at(median) - LEFT,
            ROW - 10.0,
            at(low),
            at(high),
            at(high.max(median)) + 6.0,
            middle + 4.5,
        );
    }
    svg.push_str("</svg>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figure::Target;

    #[test]
    fn draws_a_bar_for_each_rate_and_marks_what_misses_its_target() {
        let mut section = Section::new("Throughput");
        let rate = |name: &str, ours: f64| {
            Figure::beside(name, "1/s", &[(ours, 100.0)]).target(Target::AtLeast(0.6))
        };
        section.figures.push(rate("chain, 1 client: steps/s", 70.0));
        section
            .figures
            .push(rate("chain, 4 clients: steps/s", 40.0));
        section.figures.push(rate("chain, 1 client: runs/s", 40.0));
        let svg = svg(&[section]);
        assert_eq!(svg.matches("<rect").count(), 2, "{svg}");
        assert_eq!(svg.matches("class=\"low\"").count(), 1, "{svg}");
        assert!(svg.contains(">chain, 4 clients<") && svg.ends_with("</svg>\n"));
    }
}
