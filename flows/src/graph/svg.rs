//! Graphs as SVG.

use std::fmt::Write as _;

use super::layout::{HEIGHT, Layout, WIDTH, layout};
use super::{Graph, Node, State};
use crate::escape::escaped;
use crate::plan::Plan;
use crate::report::{ReportData, put};
use crate::text::one_line;

/// Colours and fonts, for light and dark. A page that holds a drawing has them among its own.
pub(crate) const STYLE: &str = include_str!("graph.css");

/// The steps of a run, with outcome and time, as an SVG file.
pub fn svg(data: &ReportData) -> String {
    drawing(&Graph::of_run(data), true)
}

/// The steps of a plan that nobody has launched, as an SVG file.
pub fn svg_of_plan(plan: &Plan) -> String {
    drawing(&Graph::of_plan(plan), true)
}

/// The steps of a run as an element of a page that has [`STYLE`].
pub(crate) fn inline(data: &ReportData) -> String {
    drawing(&Graph::of_run(data), false)
}

fn drawing(graph: &Graph, alone: bool) -> String {
    let Layout {
        width,
        height,
        boxes,
        lines,
    } = layout(graph);
    let mut out = String::with_capacity(1024 + graph.nodes.len() * 1024);
    let (name_space, style) = if alone {
        (
            " xmlns=\"http://www.w3.org/2000/svg\"",
            format!("<style>\n{STYLE}</style>\n"),
        )
    } else {
        ("", String::new())
    };
    put!(
        out,
        "<svg{name_space} class=\"flow-graph\" role=\"img\" aria-labelledby=\"graph-title graph-words\" \
         width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">"
    );
    put!(
        out,
        "<title id=\"graph-title\">{}</title>",
        escaped(&one_line(&graph.title, 120))
    );
    let words = escaped(&one_line(&graph.in_words(), 8000));
    put!(out, "<desc id=\"graph-words\">{words}</desc>");
    out.push_str(&style);
    out.push_str("<g class=\"edges\">\n");
    for line in &lines {
        put!(out, "<path d=\"{}\"/>", way(line));
    }
    out.push_str("</g>\n");
    for (node, at) in graph.nodes.iter().zip(&boxes) {
        draw(&mut out, node, *at);
    }
    out.push_str("</svg>\n");
    out
}

/// A curve from column to column and a straight line past each column between; an arrow head at the
/// end.
fn way(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    let last = points.len().saturating_sub(1);
    for (number, (x, y)) in points.iter().enumerate() {
        let written = match number {
            0 => write!(path, "M{x} {y}"),
            _ if number % 2 == 0 => write!(path, "H{x}"),
            _ => {
                let (from, level) = points[number - 1];
                // The head needs its room before the box.
                let x = if number == last { *x - 2.0 } else { *x };
                let middle = (from + x) / 2.0;
                write!(path, "C{middle} {level} {middle} {y} {x} {y}")
            }
        };
        written.expect("a string takes everything");
        if number == last {
            let (back, up, down) = (x - 8.0, y - 4.0, y + 4.0);
            let tip = x - 2.0;
            write!(path, "M{back} {up}L{tip} {y}L{back} {down}")
                .expect("a string takes everything");
        }
    }
    path
}

fn draw(out: &mut String, node: &Node, (x, y): (f64, f64)) {
    let kind = match (node.many, node.agent) {
        (true, _) => "many",
        (false, true) => "agent",
        (false, false) => "code",
    };
    let state = node.state.word();
    put!(
        out,
        "<g class=\"node {kind} {state}\" transform=\"translate({x} {y})\">"
    );
    let whole = format!(
        "{} ({}), {}: {}",
        node.label,
        node.id,
        node.by,
        node.words()
    );
    put!(out, "<title>{}</title>", escaped(&one_line(&whole, 400)));
    if node.many {
        put!(
            out,
            "<rect class=\"back\" x=\"4\" y=\"-4\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"5\"/>"
        );
    }
    let round = if kind == "code" { 20 } else { 5 };
    put!(
        out,
        "<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"{round}\"/>"
    );
    mark(out, node.state);
    let line = |out: &mut String, class: &str, y: u32, text: &str, most: usize| {
        let text = escaped(&fit(text, most));
        put!(
            out,
            "<text class=\"{class}\" x=\"36\" y=\"{y}\">{text}</text>"
        );
    };
    line(out, "label", 22, &node.label, 19);
    let second = if node.state == State::Planned {
        node.id.as_str()
    } else {
        node.by.as_str()
    };
    line(out, "by", 37, second, 24);
    line(out, "outcome", 52, &node.words(), 24);
    out.push_str("</g>\n");
}

/// A mark of its own form for each state, so that colour is never all that tells them apart.
fn mark(out: &mut String, state: State) {
    let form = match state {
        State::Completed => {
            "<circle cx=\"19\" cy=\"18\" r=\"8\"/><path d=\"M15 18.5l3 3l5.5 -6.5\"/>"
        }
        State::Failed => {
            "<path class=\"solid\" d=\"M15.7 10h6.6l4.7 4.7v6.6l-4.7 4.7h-6.6l-4.7 -4.7v-6.6z\"/>\
             <path d=\"M16 15l6 6M22 15l-6 6\"/>"
        }
        State::Cancelled => "<circle cx=\"19\" cy=\"18\" r=\"8\"/><path d=\"M13.5 23.5l11 -11\"/>",
        State::Skipped => "<path d=\"M12 18h14M21 13l5 5l-5 5\"/>",
        State::Running => {
            "<circle cx=\"19\" cy=\"18\" r=\"8\"/><path class=\"solid\" d=\"M16.5 14v8l6 -4z\"/>"
        }
        State::Pending | State::Planned => "<circle cx=\"19\" cy=\"18\" r=\"8\"/>",
    };
    put!(out, "<g class=\"mark\">{form}</g>");
}

/// At most so many columns of text, with `…` where it was cut; wide characters count twice.
fn fit(text: &str, most: usize) -> String {
    let text = one_line(text, 400);
    let wide = |c: char| if u32::from(c) >= 0x1100 { 2 } else { 1 };
    let whole: usize = text.chars().map(wide).sum();
    if whole <= most {
        return text;
    }
    let mut used = 1;
    let mut cut: String = text
        .chars()
        .take_while(|c| {
            used += wide(*c);
            used <= most
        })
        .collect();
    cut.truncate(cut.trim_end().len());
    cut.push('…');
    cut
}
