//! The words of findings: severities and labels, as models write them.

use super::Severity;
pub(super) use crate::text::plain_words as plain;

/// The severity that a word in lower case means.
pub(super) fn severity(word: &str) -> Option<Severity> {
    Some(match word {
        "critical"
        | "criticals"
        | "crit"
        | "blocker"
        | "blockers"
        | "blocking"
        | "high"
        | "highest"
        | "error"
        | "errors"
        | "severe"
        | "fatal"
        | "p0"
        | "p1"
        | "sev1"
        | "s0"
        | "kritisch"
        | "hoch"
        | "crítico"
        | "crítica"
        | "critico"
        | "critica"
        | "alto"
        | "alta"
        | "critique"
        | "élevé"
        | "élevée"
        | "критический"
        | "критическая"
        | "критично"
        | "критическое"
        | "высокий"
        | "высокая"
        | "严重"
        | "严重问题"
        | "致命"
        | "高"
        | "高危"
        | "重大"
        | "深刻"
        | "심각"
        | "높음" => Severity::Critical,
        "warning"
        | "warnings"
        | "warn"
        | "medium"
        | "med"
        | "major"
        | "majors"
        | "moderate"
        | "p2"
        | "sev2"
        | "important"
        | "wichtig"
        | "warnung"
        | "mittel"
        | "advertencia"
        | "medio"
        | "media"
        | "avertissement"
        | "moyen"
        | "moyenne"
        | "majeur"
        | "majeure"
        | "предупреждение"
        | "средний"
        | "средняя"
        | "警告"
        | "中"
        | "中等"
        | "中危"
        | "重要"
        | "주의"
        | "중간" => Severity::Warning,
        "suggestion"
        | "suggestions"
        | "low"
        | "lowest"
        | "minor"
        | "minors"
        | "nit"
        | "nits"
        | "nitpick"
        | "nitpicks"
        | "info"
        | "informational"
        | "trivial"
        | "p3"
        | "p4"
        | "sev3"
        | "niedrig"
        | "gering"
        | "vorschlag"
        | "hinweis"
        | "sugerencia"
        | "bajo"
        | "baja"
        | "faible"
        | "mineur"
        | "mineure"
        | "низкий"
        | "низкая"
        | "предложение"
        | "建议"
        | "低"
        | "低危"
        | "轻微"
        | "提案"
        | "軽微"
        | "제안"
        | "낮음" => Severity::Suggestion,
        _ => return None,
    })
}

/// The severity that a coloured mark means.
pub(super) fn mark(c: char) -> Option<Severity> {
    Some(match c {
        '🔴' | '🚨' | '⛔' | '🛑' | '❌' | '🟥' => Severity::Critical,
        '🟠' | '🟡' | '⚠' | '🟧' | '🟨' => Severity::Warning,
        '🟢' | '🔵' | '💡' | 'ℹ' | '🟩' | '🟦' => Severity::Suggestion,
        _ => return None,
    })
}

const BESIDE_SEVERITY: [&str; 25] = [
    "severity",
    "sev",
    "priority",
    "prio",
    "level",
    "rating",
    "risk",
    "impact",
    "issue",
    "issues",
    "finding",
    "findings",
    "problem",
    "problems",
    "bug",
    "bugs",
    "defect",
    "defects",
    "item",
    "items",
    "concerns",
    "schweregrad",
    "priorität",
    "严重性",
    "严重程度",
];

/// The severity of a text that says nothing else: `High severity`, `🔴 Critical issues (2)`.
///
/// All three of them are the form that was to be filled in, not a severity.
pub(super) fn rating(text: &str) -> Option<Severity> {
    if text.len() > 120 {
        return None;
    }
    let words = plain(text);
    let mut found: Vec<Severity> = Vec::new();
    for word in words.split_whitespace() {
        match severity(word) {
            Some(it) => found.push(it),
            None if BESIDE_SEVERITY.contains(&word) => {}
            None if word.bytes().all(|byte| byte.is_ascii_digit()) => {}
            None => return None,
        }
    }
    if Severity::ALL.iter().all(|it| found.contains(it)) {
        return None;
    }
    let named = found.into_iter().min();
    named.or_else(|| text.chars().find_map(mark))
}

/// Whether a line says that there is nothing to find; `titled` below a heading for findings.
pub(super) fn nothing(line: &str, titled: bool) -> bool {
    if line.len() > 120 {
        return false;
    }
    match plain(line).as_str() {
        "no findings"
        | "no finding"
        | "no findings found"
        | "there are no findings"
        | "findings no findings"
        | "no issues found"
        | "no issues"
        | "no findings to report" => true,
        "none" | "nothing" | "nothing found" | "none found" | "n a" | "keine" | "无" => titled,
        _ => false,
    }
}

/// What the value behind a label, or below the head of a column, is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    Id,
    Severity,
    /// A file with its line.
    Place,
    File,
    Line,
    LastLine,
    /// What is wrong; the lower, the more surely.
    Claim(u8),
    Outcome,
    /// Something else that findings have.
    Detail,
}

/// What a label, in plain words, announces.
pub(super) fn label(words: &str) -> Option<Label> {
    Some(match words {
        "id" | "ids" | "no" | "nr" | "number" | "ref" | "finding id" | "issue id" | "item"
        | "编号" | "番号" | "номер" => Label::Id,
        "severity"
        | "priority"
        | "level"
        | "rating"
        | "sev"
        | "criticality"
        | "severity level"
        | "schweregrad"
        | "schwere"
        | "priorität"
        | "severidad"
        | "gravedad"
        | "sévérité"
        | "gravité"
        | "серьёзность"
        | "серьезность"
        | "важность"
        | "严重性"
        | "严重程度"
        | "级别"
        | "等级"
        | "优先级"
        | "重大度"
        | "優先度"
        | "深刻度"
        | "심각도" => Label::Severity,
        "where" | "location" | "locations" | "place" | "places" | "file line" | "file and line"
        | "path line" | "position" | "code location" | "file lines" | "ort" | "fundstelle"
        | "stelle" | "dónde" | "ubicación" | "où" | "emplacement" | "где" | "место" | "位置"
        | "场所" | "場所" | "위치" => Label::Place,
        "file" | "files" | "path" | "filename" | "file name" | "file path" | "filepath"
        | "datei" | "archivo" | "fichier" | "файл" | "文件" | "ファイル" | "파일" => {
            Label::File
        }
        "line" | "lines" | "line s" | "line number" | "line numbers" | "linenumber"
        | "line start" | "start line" | "startline" | "first line" | "zeile" | "zeilen"
        | "línea" | "ligne" | "строка" | "行" | "行号" | "行番号" => Label::Line,
        "line end" | "end line" | "endline" | "last line" => Label::LastLine,
        "claim" | "behauptung" | "утверждение" | "主张" | "断言" => Label::Claim(0),
        "finding" | "issue" | "problem" | "title" | "defect" | "bug" | "name" | "headline"
        | "befund" | "titel" | "problema" | "hallazgo" | "título" | "problème" | "constat"
        | "titre" | "проблема" | "问题" | "标题" | "发现" | "問題" | "指摘" | "문제" => {
            Label::Claim(1)
        }
        "description" | "details" | "detail" | "message" | "what" | "comment" | "summary"
        | "explanation" | "text" | "beschreibung" | "descripción" | "описание" | "描述"
        | "说明" | "説明" | "내용" | "설명" => Label::Claim(2),
        "verdict" | "outcome" | "status" | "result" | "judgement" | "judgment" | "conclusion"
        | "decision" | "assessment" | "ruling" | "urteil" | "ergebnis" | "veredicto"
        | "résultat" | "вердикт" | "结论" | "判定" | "결과" => Label::Outcome,
        "consequence"
        | "consequences"
        | "impact"
        | "effect"
        | "fix"
        | "fixes"
        | "suggested fix"
        | "proposed fix"
        | "recommendation"
        | "recommended fix"
        | "remedy"
        | "solution"
        | "mitigation"
        | "category"
        | "type"
        | "confidence"
        | "why"
        | "reason"
        | "rationale"
        | "code"
        | "reproduction"
        | "scenario"
        | "risk"
        | "folge"
        | "behebung"
        | "auswirkung"
        | "consecuencia"
        | "conséquence"
        | "correction"
        | "последствия"
        | "исправление"
        | "证据"
        | "后果"
        | "影响"
        | "修复"
        | "修正"
        | "証拠" => Label::Detail,
        _ if ["evidence", "beleg", "evidencia", "preuve"]
            .contains(&words.split(' ').next().unwrap_or("")) =>
        {
            Label::Detail
        }
        _ => return None,
    })
}

/// A line that is a label with its value: `- **Severity:** high`.
pub(super) fn field(line: &str) -> Option<(Label, &str)> {
    let text = super::lines::unmarked(line);
    let text = text.trim_start_matches(['*', '_', ' ', '`']);
    let end = text
        .char_indices()
        .take(60)
        .find(|(_, c)| matches!(c, ':' | '：'));
    let (at, colon) = end?;
    let value = &text[at + colon.len_utf8()..];
    let found = label(&plain(&text[..at]))?;
    Some((
        found,
        value.trim_matches(|c: char| c.is_whitespace() || "*_".contains(c)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn synonyms_mean_one_of_three() {
        use Severity::{Critical, Suggestion, Warning};
        for (text, wanted) in [
            ("critical", Some(Critical)),
            ("**HIGH**", Some(Critical)),
            ("Blocker", Some(Critical)),
            ("🔴 Critical issues (2)", Some(Critical)),
            ("Severity: Medium", Some(Warning)),
            ("major", Some(Warning)),
            ("🟡", Some(Warning)),
            ("High / Medium", Some(Critical)),
            ("nit", Some(Suggestion)),
            ("低", Some(Suggestion)),
            ("critical|warning|suggestion", None),
            ("Error handling", None),
            ("", None),
            ("3 findings", None),
        ] {
            assert_eq!(rating(text), wanted, "{text}");
        }
    }

    #[test]
    fn labels_are_read_in_many_dresses() {
        for (line, wanted) in [
            ("- Where: `a.rs:1`", Some((Label::Place, "`a.rs:1`"))),
            ("**Severity:** High", Some((Label::Severity, "High"))),
            ("  * **Severity**: High", Some((Label::Severity, "High"))),
            ("严重性：高", Some((Label::Severity, "高"))),
            ("Evidence (codebase): x", Some((Label::Detail, "x"))),
            ("Something else: x", None),
            ("no colon", None),
        ] {
            assert_eq!(field(line), wanted, "{line}");
        }
    }
}
