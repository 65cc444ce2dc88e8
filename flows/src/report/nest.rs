//! Output of models as part of a larger document: its headings nest below the document's own, and
//! nothing that it leaves open reaches beyond its end.

use crate::text::{Fences, Line, indent};

/// The level of an ATX heading and the text behind its marks.
pub(super) fn heading(line: &str) -> Option<(usize, &str)> {
    let text = &line[indent(line)?..];
    let level = text.bytes().take_while(|byte| *byte == b'#').count();
    let rest = &text[level..];
    let separate = rest.is_empty() || rest.starts_with([' ', '\t', '\n', '\r']);
    ((1..=6).contains(&level) && separate).then_some((level, rest))
}

/// The level of a heading that this line underlines, if the line before is a paragraph.
fn underline(line: &str) -> Option<usize> {
    let marks = line[indent(line)?..].trim_end();
    let all = |mark: u8| !marks.is_empty() && marks.bytes().all(|byte| byte == mark);
    match (all(b'='), all(b'-')) {
        (true, _) => Some(1),
        (_, true) => Some(2),
        _ => None,
    }
}

/// Whether a line can be (the last line of) a paragraph that becomes a heading.
fn is_paragraph(line: &str) -> bool {
    let text = line.trim_start();
    let listed = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let item = text.starts_with(['-', '*', '+']) && text[1..].starts_with([' ', '\t', '\n', '\r'])
        || listed.len() < text.len() && listed.starts_with(['.', ')']);
    let indented = line.len() - text.len() > 3 || line.starts_with('\t');
    !text.is_empty() && !indented && !item && !text.starts_with(['>', '|'])
}

/// The text with its highest heading at level `top` (1 to 6) and the others below it.
///
/// Underlined headings become marked ones, HTML at the beginning of a line is escaped, a fence that
/// is left open is closed. Fenced code stays as it is. Ends with a line end unless empty.
pub(super) fn nest(text: &str, top: usize) -> String {
    let shift = top.saturating_sub(highest(text));
    let mut out = String::with_capacity(text.len() + text.len() / 32 + 16);
    let mut fences = Fences::default();
    // The last line of a paragraph waits, because the next line may make it a heading.
    let mut waiting: Option<&str> = None;
    for line in text.split_inclusive('\n') {
        let state = fences.line(line);
        if state == Line::Outside
            && let (Some(title), Some(level)) = (waiting, underline(line))
        {
            waiting = None;
            push_heading(&mut out, level + shift, &format!(" {}", title.trim_start()));
            continue;
        }
        if let Some(paragraph) = waiting.take() {
            push_line(&mut out, paragraph);
        }
        match (state, heading(line)) {
            (Line::Outside, Some((level, rest))) => push_heading(&mut out, level + shift, rest),
            (Line::Outside, None) if is_paragraph(line) => waiting = Some(line),
            (Line::Outside, None) => push_line(&mut out, line),
            _ => out.push_str(line),
        }
    }
    if let Some(paragraph) = waiting {
        push_line(&mut out, paragraph);
    }
    if !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
    if let Some(fence) = fences.closing() {
        out.push_str(&fence);
        out.push('\n');
    }
    out
}

fn highest(text: &str) -> usize {
    let mut fences = Fences::default();
    let mut highest = 6;
    let mut paragraph = false;
    for line in text.split_inclusive('\n') {
        let outside = fences.line(line) == Line::Outside;
        let found = match heading(line) {
            Some((level, _)) => Some(level),
            None if paragraph => underline(line),
            None => None,
        };
        highest = found
            .filter(|_| outside)
            .map_or(highest, |level| highest.min(level));
        paragraph = outside && found.is_none() && is_paragraph(line);
    }
    highest
}

fn push_heading(out: &mut String, level: usize, rest: &str) {
    out.push_str(&"######"[..level.clamp(1, 6)]);
    out.push_str(rest);
    if !rest.ends_with('\n') {
        out.push('\n');
    }
}

/// HTML that begins a line could swallow the rest of the document.
fn push_line(out: &mut String, line: &str) {
    let start = indent(line).unwrap_or(0);
    let text = &line[start..];
    let html = text.strip_prefix('<').is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?'))
    });
    if html {
        out.push_str(&line[..start]);
        out.push('\\');
        out.push_str(text);
    } else {
        out.push_str(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_move_below_the_documents_own() {
        assert_eq!(
            nest("# A\n\ntext\n## B\n###### F\n", 4),
            "#### A\n\ntext\n##### B\n###### F\n"
        );
        assert_eq!(nest("### A\n#### B", 4), "#### A\n##### B\n");
        assert_eq!(nest("#### A\n", 3), "#### A\n");
        assert_eq!(nest("#no heading\n", 3), "#no heading\n");
    }

    #[test]
    fn underlined_headings_are_headings_too() {
        assert_eq!(nest("Title\n=====\nSub\n---\n", 3), "### Title\n#### Sub\n");
        assert_eq!(
            nest("text\n\n---\n\n- item\n---\n", 3),
            "text\n\n---\n\n- item\n---\n"
        );
        assert_eq!(nest("a | b\n--- | ---\n", 3), "a | b\n--- | ---\n");
    }

    #[test]
    fn fenced_code_stays_as_it_is_and_is_closed() {
        let text = "```md\n# not a heading\n<b>\nTitle\n===\n```\n";
        assert_eq!(nest(text, 4), text);
        assert_eq!(nest("~~~~\ncode", 4), "~~~~\ncode\n~~~~\n");
    }

    #[test]
    fn html_cannot_swallow_what_follows() {
        assert_eq!(
            nest("<!-- open\n</div>\na <b>\n", 3),
            "\\<!-- open\n\\</div>\na <b>\n"
        );
        assert_eq!(nest("< 3 and <- x", 3), "< 3 and <- x\n");
    }

    #[test]
    fn nothing_stays_nothing() {
        assert_eq!(nest("", 3), "");
    }
}
