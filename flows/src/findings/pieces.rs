//! What the part of a reply that holds findings is taken apart into.

use super::lines::BOLD;
use super::{Place, Severity};

/// A finding as it was read; its id is not qualified, if it has one at all.
#[derive(Debug, Default)]
pub(super) struct Item {
    pub id: Option<String>,
    pub severity: Option<Severity>,
    pub place: Option<Place>,
    pub claim: String,
    pub text: String,
    /// Whether it is the row of a table.
    pub row: bool,
}

impl Item {
    /// Whether it has an id or a severity.
    pub fn stated(&self) -> bool {
        self.id.is_some() || self.severity.is_some()
    }
}

/// A stretch of the part that holds findings.
#[derive(Debug)]
pub(super) enum Piece {
    Item(Item),
    Raw(String),
    /// What follows the words that there are no findings, and is none itself.
    Trail(String),
}

/// What a region holds.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub pieces: Vec<Piece>,
    /// Whether it says that there are no findings.
    pub none: bool,
    pub yagni: Vec<String>,
    /// Summaries: no findings, unless they take back that there are none.
    pub aside: Vec<String>,
}

/// The pieces that begin with a heading: where each stands, the level of its heading, and for what is
/// no finding by itself how it would be read as one.
#[derive(Debug, Default)]
pub(super) struct Headed(Vec<(usize, usize, Option<Item>)>);

impl Headed {
    pub fn note(&mut self, at: usize, level: usize, unlike: Option<Item>) {
        self.0.push((at, level, unlike));
    }

    /// A heading with words between findings with headings of its level is a finding like them.
    pub fn promote(self, pieces: &mut [Piece]) {
        let mut left = [0_usize; BOLD + 1];
        let mut seen = [false; BOLD + 1];
        for (_, level, _) in self.0.iter().filter(|it| it.2.is_none()) {
            left[*level] += 1;
        }
        for (at, level, item) in self.0 {
            match item {
                None => {
                    seen[level] = true;
                    left[level] -= 1;
                }
                Some(item) if seen[level] && left[level] > 0 => pieces[at] = Piece::Item(item),
                Some(_) => {}
            }
        }
    }
}
