//! The part of a reply that holds findings, taken apart into findings and what cannot be read.

use std::ops::Range;

use super::body::finding;
use super::head::{Head, head};
use super::lines::{BOLD, Row, State, entry, heading, is_json, is_ruler};
use super::names::Names;
use super::pieces::{Found, Headed, Piece};
use super::titles::is_title;
use super::words::{Label, field, nothing, rating};
use super::{Severity, object, table};

/// Where findings stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Region<'t, 'n> {
    pub text: &'t str,
    pub names: &'n Names<'n>,
    /// Whether it stands below a heading for findings.
    pub titled: bool,
    /// Whether the reply has said before that there are none.
    pub none: bool,
}

/// Takes the rows of a region apart. Every row with words on it is in a finding or raw, but
/// headings that only say what the others are.
pub(super) fn items(region: Region, rows: &[Row]) -> Found {
    let mut reader = Reader {
        region,
        rows,
        found: Found::default(),
        hint: None,
        open: None,
        raw: None,
        blank: false,
        nothing: region.none,
        headed: Headed::default(),
    };
    let mut at = 0;
    while at < rows.len() {
        at = reader.row(at);
    }
    reader.close(rows.len());
    reader.flush(rows.len());
    reader.headed.promote(&mut reader.found.pieces);
    reader.found
}

/// In which form an open finding began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Heading(usize),
    Entry(usize),
    Paragraph,
}

#[derive(Debug)]
struct Open {
    form: Form,
    head: Head,
    start: usize,
    /// The label that its first line has: its return begins the next one.
    first: Option<Label>,
    /// Whether its first line begins with a number.
    numbered: bool,
}

impl Open {
    /// Whether it is surely a finding.
    fn sure(&self) -> bool {
        self.head.id.is_some() || self.head.severity.is_some()
    }
}

struct Reader<'t, 'r> {
    region: Region<'t, 'r>,
    rows: &'r [Row<'t>],
    found: Found,
    /// The severity of the heading above, and its level.
    hint: Option<(usize, Severity)>,
    open: Option<Open>,
    /// Where text begins that belongs to no finding.
    raw: Option<usize>,
    /// Whether the row before is blank.
    blank: bool,
    /// Whether it was said that there are no findings: then only what has an id or a severity is one.
    nothing: bool,
    headed: Headed,
}

impl<'t> Reader<'t, '_> {
    /// Takes the row at a place and returns where to go on.
    fn row(&mut self, at: usize) -> usize {
        let row = &self.rows[at];
        let blank = std::mem::replace(&mut self.blank, row.text.trim().is_empty());
        if self.blank {
            return at + 1;
        }
        match row.state {
            State::Opens(info) => return self.fence(at, info),
            State::Fenced => return self.rest(at, blank),
            State::Wrap => return at + 1,
            State::Text => {}
        }
        if self.open.is_none() && nothing(row.text, self.region.titled || self.hint.is_some()) {
            self.flush(at);
            self.found.none = true;
            self.nothing = true;
            return at + 1;
        }
        if let Some((level, title)) = heading(row.text) {
            return self.heading(at, level, title);
        }
        if row.text.contains('|') && self.begins_table(at) {
            return self.table(at);
        }
        if let Some((indent, _)) = entry(row.text) {
            return self.entry(at, indent);
        }
        self.paragraph(at, blank)
    }

    fn begin(&mut self, at: usize, form: Form, head: Head) -> usize {
        self.close(at);
        self.flush(at);
        let text = self.rows[at].text;
        let first = field(text).map(|it| it.0);
        self.open = Some(Open {
            form,
            head,
            start: at,
            first,
            numbered: text.trim_start().starts_with(|c: char| c.is_ascii_digit()),
        });
        at + 1
    }

    /// A row that begins nothing: it belongs to the open finding, or cannot be read.
    fn rest(&mut self, at: usize, blank: bool) -> usize {
        let row = &self.rows[at];
        let inside = match self.open.as_ref().map(|it| it.form) {
            Some(Form::Entry(_)) => {
                !blank || row.state != State::Text || row.text.starts_with([' ', '\t', '>'])
            }
            Some(_) => true,
            None => false,
        };
        if !inside {
            self.close(at);
            self.raw.get_or_insert(at);
        }
        at + 1
    }

    fn heading(&mut self, at: usize, level: usize, title: &str) -> usize {
        let head = head(title, self.region.names);
        let rated = rating(title);
        let inside = match &self.open {
            Some(open) => match open.form {
                // Its severity may stand alone below a heading that has none.
                Form::Heading(own) => {
                    own < level && (open.sure() || rated.is_some() && self.is_next(open, at))
                }
                _ => level == BOLD && open.sure(),
            },
            None => false,
        };
        let own = head.id.is_some();
        if inside && !(own && (level == BOLD || head.severity.is_some())) {
            return self.rest(at, false);
        }
        if let Some(severity) = rated
            && !own
        {
            self.close(at);
            self.flush(at);
            self.hint = Some((level, severity));
            self.nothing = false;
            return at + 1;
        }
        if self.hint.is_some_and(|it| it.0 >= level) {
            self.close(at);
            self.flush(at);
            (self.hint, self.nothing) = (None, self.region.none);
        }
        if is_title(title) && !own && head.severity.is_none() {
            self.close(at);
            self.flush(at);
            return at + 1;
        }
        self.begin(at, Form::Heading(level), head)
    }

    /// Whether only blank rows stand between the beginning of a finding and a row.
    fn is_next(&self, open: &Open, at: usize) -> bool {
        let between = &self.rows[open.start + 1..at];
        between.len() < 3 && between.iter().all(|row| row.text.trim().is_empty())
    }

    fn entry(&mut self, at: usize, indent: usize) -> usize {
        let text = self.rows[at].text;
        let head = head(text, self.region.names);
        let label = field(text).map(|it| it.0);
        let number = text.trim_start().starts_with(|c: char| c.is_ascii_digit());
        let begins = match &self.open {
            None => true,
            Some(open) => match open.form {
                Form::Heading(_) if open.sure() => head.id.is_some() && head.severity.is_some(),
                Form::Heading(_) => head.id.is_some() || label.is_none() && head.severity.is_some(),
                Form::Entry(own) if indent > own => false,
                Form::Entry(own) if indent == own && open.numbered && !number => {
                    label.is_none() && (head.id.is_some() || head.severity.is_some())
                }
                Form::Entry(_) => label.is_none() || label == open.first,
                Form::Paragraph => {
                    indent == 0 && label.is_none() && (head.id.is_some() || head.severity.is_some())
                }
            },
        };
        match begins {
            true => self.begin(at, Form::Entry(indent), head),
            false => at + 1,
        }
    }

    fn paragraph(&mut self, at: usize, blank: bool) -> usize {
        let text = self.rows[at].text;
        let indented = text.starts_with([' ', '\t']);
        let head = head(text, self.region.names);
        let label = field(text).map(|it| it.0);
        let counted = head.numbered && !head.claim.is_empty();
        let rated = head.severity.is_some() && !head.shy && starts_rated(text);
        let begins = match &self.open {
            None => head.id.is_some() || rated || counted || label == Some(Label::Id),
            Some(open) if label.is_some() => label == Some(Label::Id) && open.first == label,
            Some(open) => match open.form {
                Form::Heading(_) if open.sure() => head.id.is_some() && head.severity.is_some(),
                Form::Entry(_) if indented => false,
                _ if open.head.id.is_some() => head.id.is_some() || counted && blank,
                _ => head.id.is_some() || rated || counted && open.form == Form::Paragraph,
            },
        };
        match begins {
            true => self.begin(at, Form::Paragraph, head),
            false => self.rest(at, blank),
        }
    }

    fn begins_table(&self, at: usize) -> bool {
        let inside = self.open.as_ref().is_some_and(|open| {
            let indented = self.rows[at].text.starts_with([' ', '\t']);
            open.sure() && (!matches!(open.form, Form::Entry(_)) || indented)
        });
        let ruled = self.rows.get(at + 1).is_some_and(|row| is_ruler(row.text));
        !inside && (ruled || self.rows[at].text.trim_start().starts_with('|'))
    }

    fn table(&mut self, at: usize) -> usize {
        let part = |row: &&Row| row.state == State::Text && row.text.contains('|');
        let end = at + self.rows[at..].iter().take_while(part).count();
        self.close(at);
        self.flush(at);
        let (pieces, none) = table::table(&self.rows[at..end], self.region.names);
        self.put(pieces);
        self.found.none |= none;
        end
    }

    /// Fenced code: findings as JSON, or a part of what stands around it.
    fn fence(&mut self, at: usize, info: &str) -> usize {
        let inside = |row: &&Row| row.state == State::Fenced;
        let end = at + 1 + self.rows[at + 1..].iter().take_while(inside).count();
        let sure = self.open.as_ref().is_some_and(Open::sure);
        if !sure && (is_json(info) || info.is_empty()) {
            let last = &self.rows[end - 1];
            let closed =
                end > at + 1 && last.text.trim().bytes().all(|it| it == b'`' || it == b'~');
            let body = self.rows[at].end..if closed { last.start } else { last.end };
            let body = &self.region.text[body.start.min(body.end)..body.end];
            let found = object::findings(body, self.region.names);
            if let Some(found) = found.filter(object::Found::says_something) {
                self.close(at);
                self.flush(at);
                self.put(found.pieces);
                self.found.none |= found.none;
                self.found.yagni.extend(found.yagni);
                self.found.aside.extend(found.aside);
                return end;
            }
        }
        self.rest(at, false);
        end
    }

    fn put(&mut self, pieces: Vec<Piece>) {
        for piece in pieces {
            self.found.pieces.push(match piece {
                Piece::Item(item) if self.nothing && !item.stated() => Piece::Trail(item.text),
                Piece::Item(mut item) => {
                    item.severity = item.severity.or(self.hint.map(|it| it.1));
                    Piece::Item(item)
                }
                Piece::Raw(text) if self.nothing => Piece::Trail(text),
                piece => piece,
            });
        }
    }

    fn slice(&self, rows: Range<usize>) -> &'t str {
        let start = self.rows[rows.start].start;
        &self.region.text[start..self.rows[rows.end - 1].end]
    }

    /// Ends what cannot be read.
    fn flush(&mut self, end: usize) {
        if let Some(start) = self.raw.take() {
            let text = self.slice(start..end).trim_end().to_owned();
            let piece = if self.nothing {
                Piece::Trail
            } else {
                Piece::Raw
            };
            self.found.pieces.push(piece(text));
        }
    }

    /// Ends the open finding before a row.
    fn close(&mut self, end: usize) {
        let Some(open) = self.open.take() else {
            return;
        };
        let start = open.start;
        let listed = matches!(open.form, Form::Entry(_)) && self.region.titled;
        let rows = &self.rows[start..end];
        let text = self.slice(start..end);
        let hint = self.hint.map(|it| it.1).filter(|_| !self.nothing);
        let (item, fits) = finding(open.head, rows, text, listed, hint, self.region.names);
        let fits = if self.nothing { item.stated() } else { fits };
        let words = |row: &Row| row.text.contains(char::is_alphanumeric);
        let pieces = &mut self.found.pieces;
        match open.form {
            Form::Heading(level) if fits => {
                self.headed.note(pieces.len(), level, None);
                pieces.push(Piece::Item(item));
            }
            _ if fits => pieces.push(Piece::Item(item)),
            Form::Heading(level)
                if self.region.titled && !self.nothing && rows[1..].iter().any(words) =>
            {
                self.headed.note(pieces.len(), level, Some(item));
                pieces.push(Piece::Raw(text.trim_end().to_owned()));
            }
            _ => self.raw = Some(start),
        }
    }
}

/// Whether a paragraph begins with its severity, so that it is no sentence about one.
fn starts_rated(text: &str) -> bool {
    let start = text.trim_start_matches([' ', '\t', '>']);
    start.starts_with(['[', '(', '*', '【', '（'])
        || start
            .chars()
            .next()
            .is_some_and(|c| super::words::mark(c).is_some())
        || start
            .split([':', '：'])
            .next()
            .is_some_and(|word| word.len() < start.len() && rating(word).is_some())
}
