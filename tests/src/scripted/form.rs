//! The reply form that a persona's text shows: the fenced block below its `## Reply form`.

/// One piece of a reply form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// `## Heading`.
    Heading(String),
    /// `### S1. …` and the lines below it: comes once for each finding.
    Item { title: String, fields: Vec<String> },
    /// A row of a table after its head.
    Row(String),
    /// Any other line: head of a table, bullet, paragraph.
    Line(String),
}

/// Used where a persona shows no form of its own.
const PLAIN: &str = "## Summary\n<what was read and what it says>\n\n## Findings\n### F1. <one fact>\n\
    - Evidence (codebase): `<path>:<line>` \"<words of that line>\"\n- Consequence: <what follows>\n\n\
    ## Open\n- <what is not settled>\n";

/// The pieces of the form in this text, or of a plain one.
pub fn parse(persona: &str) -> Vec<Piece> {
    let shown = persona
        .split_once("## Reply form")
        .and_then(|(_, rest)| rest.split_once("```"))
        .and_then(|(_, rest)| rest.split_once("```"))
        .and_then(|(form, _)| form.split_once('\n'))
        .map(|(_, form)| form);
    pieces(shown.unwrap_or(PLAIN))
}

fn pieces(form: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut in_table = false;
    for line in form.lines().map(str::trim_end) {
        let row = line.starts_with('|');
        if let Some(title) = line.strip_prefix("### ") {
            pieces.push(Piece::Item {
                title: title.into(),
                fields: Vec::new(),
            });
        } else if line.starts_with("## ") {
            pieces.push(Piece::Heading(line.into()));
        } else if row && in_table {
            pieces.push(Piece::Row(line.into()));
        } else if let (Some(Piece::Item { fields, .. }), true) =
            (pieces.last_mut(), line.starts_with("- "))
        {
            fields.push(line.into());
        } else {
            pieces.push(Piece::Line(line.into()));
        }
        in_table = (row && in_table) || line.starts_with("|---");
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_headings_items_and_tables_from_a_persona() {
        let persona = "You are.\n## Reply form\n```\n## Map\n| a | b |\n|---|---|\n| <x> | `<path>:<line>` |\n\n\
            ## Findings\n### D1. <fact>\n- Evidence (codebase): `<path>:<line>`\n- Consequence: <c>\n```\nmore";
        let pieces = parse(persona);
        assert_eq!(pieces[0], Piece::Heading("## Map".into()));
        assert!(pieces.contains(&Piece::Row("| <x> | `<path>:<line>` |".into())));
        let Some(Piece::Item { title, fields }) = pieces.last() else {
            panic!("no item in {pieces:?}");
        };
        assert_eq!(title, "D1. <fact>");
        assert_eq!(fields.len(), 2);
    }

    #[test]
    fn a_persona_without_a_form_gets_a_plain_one() {
        let pieces = parse("You keep the shop.");
        assert_eq!(pieces[0], Piece::Heading("## Summary".into()));
    }
}
