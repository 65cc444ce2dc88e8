//! The sections of a reply: which lines can hold findings, and which are notes on what nobody needs.

use super::head::head;
use super::lines::{BOLD, Row, State, entry, heading};
use super::names::Names;
use super::titles::kind;
use super::words::rating;

/// What a line stands under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    /// No heading, or one that says nothing about findings.
    Other,
    Summary,
    Findings,
    /// What was done well, what comes next, what it comes to.
    Closing,
    Yagni,
}

/// The section of each row; `None` for the headings of sections. Also whether there is one for
/// findings at all.
pub(super) fn sections(rows: &[Row], names: &Names) -> (Vec<Option<Section>>, bool) {
    let mut out = Vec::with_capacity(rows.len());
    let mut titled = false;
    let mut section = Section::Other;
    // The level at which a heading ends the section.
    let mut level = BOLD;
    // The level of the heading for findings.
    let mut base: Option<usize> = None;
    // The level of the heading of a finding: what is deeper belongs to it.
    let mut finding: Option<usize> = None;
    for row in rows {
        let found = match row.state {
            State::Text => title(row.text),
            _ => None,
        };
        let Some((at, words)) = found else {
            out.push(Some(section));
            continue;
        };
        let head = head(words, names);
        let outside = |named: &Section| {
            // Notes on what nobody needs are no part of a finding.
            *named == Section::Yagni || finding.is_none_or(|own| at <= own)
        };
        let named = kind(words, at < BOLD).filter(outside);
        if let Some(named) = named.filter(|_| head.id.is_none()) {
            (section, level, finding) = (named, at, None);
            if named == Section::Findings {
                (titled, base) = (true, Some(at));
            } else if base.is_some_and(|own| at <= own) {
                base = None;
            }
            out.push(None);
            continue;
        }
        // What stood among the findings and was none has ended.
        let aside = matches!(
            section,
            Section::Summary | Section::Closing | Section::Yagni
        );
        if let Some(own) = base.filter(|own| aside && *own < at && at <= level) {
            (section, level) = (Section::Findings, own);
        }
        let strong = head.id.is_some() || head.severity.is_some();
        let group = rating(words).is_some() && head.id.is_none();
        let within = at > level;
        match section {
            Section::Yagni if within => {}
            Section::Summary | Section::Closing
                if within && (head.id.is_none() || head.severity.is_none()) => {}
            Section::Findings if within && !strong => {}
            _ if strong || group => {
                let opened = !matches!(section, Section::Findings);
                if titled {
                    section = Section::Findings;
                } else {
                    section = Section::Other;
                }
                level = if opened { at } else { level };
            }
            _ => (section, level) = (Section::Other, at),
        }
        if section != Section::Yagni {
            let inside = finding.is_some_and(|own| own < at);
            finding = match (strong && !group, inside) {
                (true, false) => Some(at),
                (false, false) => None,
                _ => finding,
            };
        }
        out.push(Some(section));
    }
    (out, titled)
}

/// A heading, or a line that is one but for its marks: `Findings:`.
fn title(line: &str) -> Option<(usize, &str)> {
    heading(line).or_else(|| {
        let text = line.trim().strip_suffix([':', '：'])?;
        let plain = text.len() < 40 && entry(line).is_none();
        (plain && kind(text, false).is_some()).then_some((BOLD, text))
    })
}
