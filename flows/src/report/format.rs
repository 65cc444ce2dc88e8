//! Numbers, times and cells as people read them.

use crate::text::one_line;

/// `1234567` → `1,234,567`.
pub(super) fn number(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut out = String::new();
    if value < 0 {
        out.push('-');
    }
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `0.4 s`, `3 min 12 s`, `2 h 5 min`; empty when nothing is known.
pub(crate) fn duration(seconds: Option<f64>) -> String {
    let Some(seconds) = seconds.filter(|seconds| seconds.is_finite() && *seconds >= 0.0) else {
        return String::new();
    };
    if seconds < 59.95 {
        return format!("{seconds:.1} s");
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked above"
    )]
    let whole = seconds.round() as u64;
    if whole < 3600 {
        format!("{} min {} s", whole / 60, whole % 60)
    } else {
        format!("{} h {} min", whole / 3600, whole % 3600 / 60)
    }
}

/// `2026-01-02T03:04:05.678+00:00` → `2026-01-02 03:04:05 UTC`; anything else as it is.
pub(super) fn moment(text: &str) -> String {
    let text = one_line(text, 64);
    let bytes = text.as_bytes();
    let iso = text.is_ascii() && bytes.len() >= 19 && matches!(bytes[10], b'T' | b' ');
    if !iso || bytes[4] != b'-' || bytes[13] != b':' {
        return text;
    }
    let rest = text[19..].trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let zone = match rest.trim() {
        "" => String::new(),
        "Z" | "+00:00" | "+00" => " UTC".to_owned(),
        zone => format!(" {zone}"),
    };
    format!("{} {}{zone}", &text[..10], &text[11..19])
}

/// A text as the cell of a table.
pub(super) fn cell(text: &str) -> String {
    one_line(text, 300)
        .replace('\\', "\\\\")
        .replace('|', "\\|")
        .replace('<', "\\<")
}

/// A text in the running text of the report, on one line.
pub(super) fn inline(text: &str, max: usize) -> String {
    one_line(text, max).replace('<', "\\<")
}

/// A text as a code span, whatever back-ticks it holds.
pub(super) fn code(text: &str) -> String {
    let text = one_line(text, 300);
    if text.contains('`') {
        format!("`` {text} ``")
    } else {
        format!("`{text}`")
    }
}

/// `plural(1, "step")` → `1 step`.
pub(super) fn plural(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_durations_and_moments_read_well() {
        assert_eq!(number(0), "0");
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(number(-1234), "-1,234");
        assert_eq!(duration(Some(0.44)), "0.4 s");
        assert_eq!(duration(Some(59.97)), "1 min 0 s");
        assert_eq!(duration(Some(7500.0)), "2 h 5 min");
        assert_eq!(duration(Some(f64::NAN)), "");
        assert_eq!(
            moment("2026-01-02T03:04:05.678+00:00"),
            "2026-01-02 03:04:05 UTC"
        );
        assert_eq!(moment("2026-01-02 03:04:05+02"), "2026-01-02 03:04:05 +02");
        assert_eq!(moment("yesterday"), "yesterday");
    }

    #[test]
    fn cells_stay_in_their_column() {
        assert_eq!(cell("a|b\nc"), "a\\|b c");
        assert_eq!(code("a`b"), "`` a`b ``");
    }
}
