//! Findings in the rows of a table, with or without a head, columns in any order.

use super::Place;
use super::head::{head, tidy};
use super::lines::{Row, cells, is_ruler};
use super::names::Names;
use super::pieces::{Item, Piece};
use super::place::Spot;
use super::words::{Label, label, nothing, plain, rating};

/// Longer heads are not repeated in the text of each row.
const LONGEST_HEAD: usize = 400;

/// The pieces of a table that begins with these rows, and whether it says that there are none.
pub(super) fn table(rows: &[Row], names: &Names) -> (Vec<Piece>, bool) {
    let ruled = rows.get(1).is_some_and(|row| is_ruler(row.text));
    let columns: Vec<Option<Label>> = match (ruled, rows.first()) {
        (true, Some(first)) => cells(first.text).into_iter().map(column).collect(),
        _ => Vec::new(),
    };
    let known = columns.iter().flatten().count() >= 2;
    let titles: String = rows[..if ruled { 2 } else { 0 }]
        .iter()
        .map(|row| format!("{}\n", row.text.trim()))
        .collect();
    let repeated = titles.len() <= LONGEST_HEAD;
    let mut pieces = Vec::new();
    let mut none = false;
    if !repeated {
        pieces.push(Piece::Raw(titles.clone()));
    }
    let mut shown = !repeated;
    for row in &rows[if ruled { 2 } else { 0 }..] {
        if is_ruler(row.text) {
            continue;
        }
        let cells = cells(row.text);
        if cells.iter().any(|cell| nothing(cell, false)) {
            none = true;
            continue;
        }
        let columns = if known { &columns[..] } else { &[] };
        match finding(&cells, columns, names) {
            Some(mut item) => {
                let head = if repeated { titles.as_str() } else { "" };
                item.text = format!("{head}{}", row.text.trim());
                pieces.push(Piece::Item(item));
                shown = true;
            }
            None => pieces.push(Piece::Raw(row.text.to_owned())),
        }
    }
    if !shown && !pieces.is_empty() {
        pieces.insert(0, Piece::Raw(titles));
    }
    (pieces, none)
}

fn column(title: &str) -> Option<Label> {
    match title.trim_matches(['*', '`', ' ']) {
        "#" => Some(Label::Id),
        title => label(&plain(title)),
    }
}

/// The finding of one row.
fn finding(cells: &[&str], columns: &[Option<Label>], names: &Names) -> Option<Item> {
    let mut item = Item::default();
    let mut spot = Spot::default();
    let mut claim: Option<(u8, &str)> = None;
    for (at, cell) in cells.iter().enumerate() {
        let bare = cell.trim_matches(|c: char| "*_`[]() ".contains(c));
        let id = names.id(bare).filter(|(_, length)| *length == bare.len());
        let kind = columns.get(at).copied().flatten();
        match kind {
            _ if item.id.is_none() && id.is_some() => item.id = id.map(|(id, _)| id),
            Some(Label::Severity) => item.severity = item.severity.or_else(|| rating(cell)),
            Some(Label::Claim(rank)) if !cell.is_empty() => {
                claim = claim.filter(|it| it.0 <= rank).or(Some((rank, cell)));
            }
            Some(label) => spot.note(label, cell),
            None if item.severity.is_none() && rating(cell).is_some() => {
                item.severity = rating(cell);
            }
            None => {}
        }
    }
    if claim.is_none() {
        claim = longest(cells, columns).map(|cell| (9, cell));
    }
    let claim = claim.map_or("", |it| it.1).replace("\\|", "|");
    let claim = claim.as_str();
    if claim
        .trim_matches(|c: char| !c.is_alphanumeric())
        .is_empty()
        && item.id.is_none()
    {
        return None;
    }
    let place: Option<Place> = spot.place(&cells.join(" | "));
    let begun = head(claim, names);
    item.severity = item.severity.or(begun.severity);
    item.id = item.id.or(begun.id);
    item.claim = match begun.claim.is_empty() {
        true if claim.is_empty() => tidy(&cells.join(" ")),
        true => tidy(claim),
        false => begun.claim,
    };
    let named = columns
        .iter()
        .flatten()
        .any(|it| matches!(it, Label::Claim(_)));
    let fits = item.id.is_some() || item.severity.is_some() || place.is_some() || named;
    item.place = place;
    item.row = true;
    fits.then_some(item)
}

/// The longest cell that is not known to be something else.
fn longest<'t>(cells: &[&'t str], columns: &[Option<Label>]) -> Option<&'t str> {
    let free = |at: usize| columns.get(at).copied().flatten().is_none();
    let open = cells.iter().enumerate().filter(|(at, _)| free(*at));
    open.map(|(_, cell)| *cell)
        .filter(|cell| rating(cell).is_none())
        .max_by_key(|cell| cell.len())
}
