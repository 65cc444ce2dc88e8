//! Citations in text, so that they can be seen and the broken ones stand out.

use crate::citation::find;
use crate::escape;
use crate::report::citations::MARK;

/// Appends running text with every citation as an element of its own.
pub(super) fn text(out: &mut String, text: &str) {
    cited(out, text, "code");
}

/// Appends a code span: a citation as a whole, or code that may hold some.
pub(super) fn code(out: &mut String, text: &str) {
    let (body, marked) = match text.strip_suffix(MARK) {
        Some(body) => (body, true),
        None => (text, false),
    };
    let whole = find(body, &mut |_| false)
        .next()
        .is_some_and(|citation| citation.span == (0..body.len()));
    if whole {
        citation(out, body, marked, "code");
    } else {
        out.push_str("<code>");
        cited(out, body, "span");
        out.push_str("</code>");
    }
    if marked {
        flag(out);
    }
}

/// What stands before a mark is looked at for itself: a mark ends every citation.
fn cited(out: &mut String, text: &str, element: &str) {
    let mut parts = text.split(MARK).peekable();
    while let Some(part) = parts.next() {
        let marked = parts.peek().is_some();
        let mut copied = 0;
        for found in find(part, &mut |_| false) {
            escape::push(out, &part[copied..found.span.start]);
            copied = found.span.end;
            let last = marked && copied == part.len();
            citation(out, &part[found.span], last, element);
        }
        escape::push(out, &part[copied..]);
        if marked {
            flag(out);
        }
    }
}

fn citation(out: &mut String, text: &str, marked: bool, element: &str) {
    let class = if marked { "cite broken" } else { "cite" };
    out.push_str(&format!("<{element} class=\"{class}\">"));
    escape::push(out, text);
    out.push_str(&format!("</{element}>"));
}

fn flag(out: &mut String) {
    out.push_str("<strong class=\"flag\">");
    out.push_str(MARK);
    out.push_str("</strong>");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(write: fn(&mut String, &str), text: &str) -> String {
        let mut out = String::new();
        write(&mut out, text);
        out
    }

    #[test]
    fn citations_are_elements_and_broken_ones_are_flagged() {
        assert_eq!(
            of(text, "see src/a.rs:9 & b"),
            "see <code class=\"cite\">src/a.rs:9</code> &amp; b"
        );
        let flag = "<strong class=\"flag\"> ⚠ broken citation</strong>";
        assert_eq!(
            of(text, "src/a.rs:9 ⚠ broken citation, x"),
            format!("<code class=\"cite broken\">src/a.rs:9</code>{flag}, x")
        );
        assert_eq!(
            of(text, "src/a.rs:9 ⚠ broken citation~~~src/b.rs:1"),
            format!("<code class=\"cite broken\">src/a.rs:9</code>{flag}~~~src/b.rs:1")
        );
        assert_eq!(
            of(text, ", line 7 ⚠ broken citation."),
            format!(", line 7{flag}.")
        );
    }

    #[test]
    fn code_spans_are_citations_or_hold_them() {
        assert_eq!(
            of(code, "src/a.rs:9 ⚠ broken citation"),
            "<code class=\"cite broken\">src/a.rs:9</code><strong class=\"flag\"> ⚠ broken citation</strong>"
        );
        assert_eq!(of(code, "a < b"), "<code>a &lt; b</code>");
        assert_eq!(
            of(code, "grep x src/a.rs:9"),
            "<code>grep x <span class=\"cite\">src/a.rs:9</span></code>"
        );
    }
}
