//! The sections of a reply: which lines can hold findings, and which are notes on what nobody needs.

use super::head::head;
use super::lines::{BOLD, Row, State, heading};
use super::names::Names;
use super::words::{plain, rating};

/// What a line stands under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    /// No heading, or one that says nothing about findings.
    Other,
    Summary,
    Findings,
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
        let named = kind(words).filter(|_| finding.is_none_or(|own| at <= own));
        if let Some(named) = named {
            (section, level, finding) = (named, at, None);
            titled |= named == Section::Findings;
            out.push(None);
            continue;
        }
        let head = head(words, names);
        let strong = head.id.is_some() || head.severity.is_some();
        let group = rating(words).is_some() && head.id.is_none();
        let within = at > level;
        match section {
            Section::Yagni if within => {}
            Section::Summary if within && (head.id.is_none() || head.severity.is_none()) => {}
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
        let text = line.trim().strip_suffix(':')?;
        (text.len() < 40 && kind(text).is_some()).then_some((BOLD, text))
    })
}

fn kind(title: &str) -> Option<Section> {
    if title.len() > 120 {
        return None;
    }
    let words = plain(title);
    let words = words
        .trim_start_matches(|c: char| c.is_ascii_digit())
        .trim();
    let words = words.trim_end_matches(|c: char| c.is_ascii_digit()).trim();
    Some(match words {
        _ if words.split(' ').any(|word| word == "yagni") || words.contains("yagni") => {
            Section::Yagni
        }
        "summary" | "overview" | "executive summary" | "tl dr" | "zusammenfassung" | "resumen"
        | "résumé" | "резюме" | "итог" | "摘要" | "总结" | "概要" | "要約" | "요약" => {
            Section::Summary
        }
        "findings"
        | "the findings"
        | "review findings"
        | "code review findings"
        | "all findings"
        | "detailed findings"
        | "key findings"
        | "main findings"
        | "list of findings"
        | "issues"
        | "issues found"
        | "problems"
        | "problems found"
        | "defects"
        | "detailed issues"
        | "befunde"
        | "feststellungen"
        | "hallazgos"
        | "constats"
        | "constatations"
        | "находки"
        | "замечания"
        | "发现"
        | "发现的问题"
        | "问题"
        | "问题列表"
        | "指摘事項"
        | "検出事項"
        | "発見事項"
        | "발견 사항"
        | "발견사항" => Section::Findings,
        _ => return None,
    })
}
