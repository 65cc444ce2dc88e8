//! Output of models as part of a larger document: its headings nest below the document's own, and
//! nothing that it leaves open reaches beyond its end.

use crate::markup::{Fences, Line, code_spans, indent, list_marker};

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
/// Underlined headings become marked ones, HTML is escaped, a fence that is left open is closed. Fenced code stays as it is. Ends with a line end unless empty.
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
            push_line(&mut out, paragraph, shift);
        }
        match (state, heading(line)) {
            (Line::Outside, Some((level, rest))) => push_heading(&mut out, level + shift, rest),
            (Line::Outside, None) if is_paragraph(line) => waiting = Some(line),
            (Line::Outside, None) => push_line(&mut out, line, shift),
            _ => out.push_str(line),
        }
    }
    if let Some(paragraph) = waiting {
        push_line(&mut out, paragraph, shift);
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
    push_text(out, rest);
    if !rest.ends_with('\n') {
        out.push('\n');
    }
}

/// A line that is no heading of its own. One behind the marker of a list or a quotation moves down
/// with the others; HTML, which could swallow or dress up the rest of the document, becomes text.
fn push_line(out: &mut String, line: &str, shift: usize) {
    let text = &line[markers(line)..];
    out.push_str(&line[..line.len() - text.len()]);
    if text.len() < line.len()
        && let Some((level, rest)) = heading(text)
    {
        return push_heading(out, level + shift, rest);
    }
    push_text(out, text);
}

/// The length of the markers of lists and quotations that a line begins with.
fn markers(line: &str) -> usize {
    let mut at = 0;
    for _ in 0..16 {
        let text = &line[at..];
        let quoted = || {
            let start = indent(text)?;
            let rest = text[start..].strip_prefix('>')?;
            Some(start + 1 + usize::from(rest.starts_with(' ')))
        };
        match list_marker(text).or_else(quoted) {
            Some(length) => at += length,
            None => break,
        }
    }
    at
}

/// A text with its HTML escaped, but for code spans, links in pointed brackets, and what is escaped.
fn push_text(out: &mut String, text: &str) {
    if !text.contains('<') {
        return out.push_str(text);
    }
    let mut plain = 0;
    for span in code_spans(text) {
        push_plain(out, &text[plain..span.outer.start]);
        out.push_str(&text[span.outer.clone()]);
        plain = span.outer.end;
    }
    push_plain(out, &text[plain..]);
}

fn push_plain(out: &mut String, text: &str) {
    let mut copied = 0;
    for (at, _) in text.match_indices('<') {
        let rest = &text[at + 1..];
        let html =
            rest.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?'));
        let link = rest.starts_with("http://") || rest.starts_with("https://");
        let before = text[..at].bytes().rev().take(64);
        let escaped = before.take_while(|byte| *byte == b'\\').count() % 2 == 1;
        if html && !link && !escaped {
            out.push_str(&text[copied..at]);
            out.push('\\');
            copied = at;
        }
    }
    out.push_str(&text[copied..]);
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
            "\\<!-- open\n\\</div>\na \\<b>\n"
        );
        assert_eq!(nest("< 3 and <- x", 3), "< 3 and <- x\n");
        for (text, wanted) in [
            ("x <details><summary>y", "x \\<details>\\<summary>y"),
            ("`Vec<T>` and Vec<T>", "`Vec<T>` and Vec\\<T>"),
            ("\\<b> \\\\<b>", "\\<b> \\\\\\<b>"),
            ("<https://a.b> <a@b.c>", "<https://a.b> \\<a@b.c>"),
            ("# a <b>", "### a \\<b>"),
            ("- <style>", "- \\<style>"),
        ] {
            assert_eq!(nest(text, 3), format!("{wanted}\n"));
        }
    }

    #[test]
    fn headings_behind_markers_move_as_well() {
        assert_eq!(
            nest(
                "# A\n- # Validation\n> ## All confirmed\n> - ### x\n- text # y\n",
                3
            ),
            "### A\n- ### Validation\n> #### All confirmed\n> - ##### x\n- text # y\n"
        );
        assert_eq!(
            nest("- ```rust\n  # code\n  ```\n\n# Validation\n## Roster\n", 4),
            "- ```rust\n  # code\n  ```\n\n#### Validation\n##### Roster\n"
        );
    }

    #[test]
    fn nothing_stays_nothing() {
        assert_eq!(nest("", 3), "");
    }
}
