//! What headings announce: findings, a summary, closing words, notes on what nobody needs.

use super::sections::Section;
use super::words::plain;

/// The section that a title opens; `marked` when it has the marks of a heading, not only bold words
/// or a colon.
pub(super) fn kind(title: &str, marked: bool) -> Option<Section> {
    if title.len() > 120 {
        return None;
    }
    let words = plain(title);
    let words = words
        .trim_start_matches(|c: char| c.is_ascii_digit())
        .trim();
    if yagni(words) {
        return Some(Section::Yagni);
    }
    let words = words.trim_end_matches(|c: char| c.is_ascii_digit()).trim();
    Some(match words {
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
        _ if CLOSING.contains(&words) || marked && CLOSING_IF_MARKED.contains(&words) => {
            Section::Closing
        }
        _ => return None,
    })
}

/// Whether a title announces notes on what nobody needs, and does not only speak of them.
fn yagni(words: &str) -> bool {
    let Some(rest) = words.strip_prefix("yagni") else {
        let known = ["deferred yagni", "notes on yagni", "advisory yagni"];
        return known.iter().any(|it| words.starts_with(it));
    };
    let rest = rest.trim_start();
    let noted = [
        "note",
        "advi",
        "observation",
        "remark",
        "candidate",
        "section",
        "hinweis",
        "notiz",
        "anmerkung",
    ];
    let short = rest.chars().count() <= 6 && !rest.is_ascii();
    rest.is_empty() || short || noted.iter().any(|it| rest.starts_with(it))
}

/// What stands below these is not what is wrong.
const CLOSING: [&str; 61] = [
    "strengths",
    "positives",
    "positive",
    "positive observations",
    "positive aspects",
    "positive notes",
    "positive findings",
    "positive highlights",
    "what is done well",
    "what s done well",
    "what was done well",
    "what is good",
    "what s good",
    "what went well",
    "what works well",
    "done well",
    "good practices",
    "good points",
    "next steps",
    "recommended next steps",
    "suggested next steps",
    "conclusion",
    "conclusions",
    "concluding remarks",
    "closing remarks",
    "final remarks",
    "final thoughts",
    "overall assessment",
    "final assessment",
    "final verdict",
    "overall verdict",
    "fazit",
    "schlussfolgerung",
    "stärken",
    "positive feedback",
    "was gut ist",
    "nächste schritte",
    "gesamturteil",
    "gesamteindruck",
    "conclusión",
    "conclusiones",
    "fortalezas",
    "próximos pasos",
    "points forts",
    "prochaines étapes",
    "заключение",
    "вывод",
    "выводы",
    "结论",
    "優點",
    "优点",
    "亮点",
    "下一步",
    "总体评价",
    "后续步骤",
    "结语",
    "結論",
    "まとめ",
    "良い点",
    "결론",
    "장점",
];

/// What is a label of a finding as well, unless it is a heading.
const CLOSING_IF_MARKED: [&str; 15] = [
    "recommendation",
    "recommendations",
    "general recommendations",
    "further recommendations",
    "overall recommendations",
    "highlights",
    "verdict",
    "assessment",
    "empfehlung",
    "empfehlungen",
    "urteil",
    "recomendaciones",
    "recommandations",
    "рекомендации",
    "推奨事項",
];

/// Whether a heading says no more than that findings follow.
pub(super) fn is_title(title: &str) -> bool {
    const FILLING: [&str; 22] = [
        "code",
        "review",
        "report",
        "reviews",
        "findings",
        "issues",
        "problems",
        "analysis",
        "results",
        "detailed",
        "details",
        "list",
        "of",
        "the",
        "all",
        "correctness",
        "structure",
        "security",
        "resilience",
        "concurrency",
        "tests",
        "found",
    ];
    let words = plain(title);
    words
        .split(' ')
        .all(|word| FILLING.contains(&word) || word.bytes().all(|it| it.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_open_sections_and_claims_do_not() {
        use Section::{Closing, Findings, Summary, Yagni};
        for (title, marked, wanted) in [
            ("YAGNI notes", true, Some(Yagni)),
            ("5. Yagni", true, Some(Yagni)),
            ("Deferred (YAGNI)", true, Some(Yagni)),
            ("YAGNI 备注", true, Some(Yagni)),
            ("B1. critical: the YAGNI gate is bypassed", true, None),
            ("YAGNI gate is bypassed", true, None),
            ("Findings (3)", true, Some(Findings)),
            ("Summary", false, Some(Summary)),
            ("✅ Strengths", true, Some(Closing)),
            ("Fazit", false, Some(Closing)),
            ("结论", true, Some(Closing)),
            ("Recommendation", true, Some(Closing)),
            ("Recommendation", false, None),
            ("The strengths of the lock are lost", true, None),
        ] {
            assert_eq!(kind(title, marked), wanted, "{title}");
        }
    }
}
