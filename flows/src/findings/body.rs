//! The rows of one finding: its labels, its place, and what it claims.

use super::Severity;
use super::head::{Head, tidy};
use super::lines::{Row, State, unmarked};
use super::names::Names;
use super::pieces::Item;
use super::place::Spot;
use super::words::{Label, field, rating};

/// The finding that begins with `head` and has these rows, which are `text`, and whether it is one.
///
/// `listed` is an item of a list below a heading for findings; `hint` the severity of the heading
/// above.
pub(super) fn finding(
    head: Head,
    rows: &[Row],
    text: &str,
    listed: bool,
    hint: Option<Severity>,
    names: &Names,
) -> (Item, bool) {
    let text = text.trim_end();
    let first_label = rows.first().and_then(|row| field(row.text));
    let mut spot = Spot::default();
    let mut severity = head.severity;
    let mut claim: Option<(u8, &str)> = None;
    let mut first_words = None;
    let mut labelled = false;
    let mut id = head.id;
    for (at, row) in rows.iter().enumerate() {
        if row.state != State::Text {
            continue;
        }
        match field(row.text) {
            Some((Label::Severity, value)) => {
                severity = severity.or_else(|| {
                    let clause = value.split([',', '(', '—', '.']).next()?;
                    rating(value).or_else(|| rating(clause))
                });
                labelled = true;
            }
            Some((Label::Claim(rank), value)) if !value.is_empty() => {
                claim = claim.filter(|it| it.0 <= rank).or(Some((rank, value)));
                labelled = true;
            }
            Some((Label::Id, value)) => {
                id = id.or_else(|| Some(names.id(value)?.0));
            }
            Some((label, value)) => {
                spot.note(label, value);
                labelled |= label != Label::Outcome;
            }
            None if at > 0 => {
                let words = unmarked(row.text);
                let alone = rating(words);
                if alone.is_some() && severity.is_none() {
                    severity = alone;
                } else if first_words.is_none() && words.chars().any(char::is_alphanumeric) {
                    first_words = Some(words);
                }
            }
            None => {}
        }
    }
    let severity = severity.or(hint);
    let place = spot.place(text);
    let stated = id.is_some() || severity.is_some() || place.is_some();
    let fits = stated || listed || labelled || head.numbered && rows.len() > 1;
    let own = head.claim;
    let titled = first_label.is_none() && own.chars().any(char::is_alphanumeric);
    let claim = match (titled, claim, first_words) {
        (true, _, _) => own,
        (false, Some((_, value)), _) => tidy(value),
        (false, None, Some(words)) => tidy(words),
        (false, None, None) => tidy(text),
    };
    let text = text.to_owned();
    let item = Item {
        id,
        severity,
        place,
        claim,
        text,
        row: false,
    };
    (item, fits)
}
