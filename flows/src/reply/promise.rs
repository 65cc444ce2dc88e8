//! Replies that only say what their author is going to do.
//!
//! Every sentence has to be such an announcement, or a courtesy; one sentence of anything else makes a reply an answer.

use super::phrases::{COURTESIES, DELAYS, LANGUAGES, Language};

/// A reply that is longer is no mere promise, in bytes.
const LONGEST: usize = 1500;
/// How far behind its opener the verb of an announcement stands, in bytes.
const REACH: usize = 90;

/// Whether a reply holds announcements and nothing else.
pub(super) fn is_all(text: &str) -> bool {
    if text.len() > LONGEST || has_substance(text) {
        return false;
    }
    let mut promises = 0;
    let mut planning = false;
    for line in &paragraphs(text) {
        let (line, mut item) = without_marker(line);
        let line = normal(line);
        for sentence in sentences(&line) {
            let (bare, numbered) = without_marker(sentence);
            item |= numbered;
            match judge(bare, planning && item) {
                Sort::Nothing => item |= bare.is_empty() || is_number(bare),
                Sort::Promise => promises += 1,
                Sort::Plan => {
                    planning = true;
                    promises += 1;
                }
                Sort::Other => return false,
            }
        }
    }
    promises > 0
}

enum Sort {
    /// A courtesy, or the number of an item.
    Nothing,
    Promise,
    /// An announcement of a list of things to do.
    Plan,
    Other,
}

/// Headings, code, tables, JSON, finding ids and cited lines are what results are made of.
fn has_substance(text: &str) -> bool {
    let of_line = |line: &str| {
        let line = line.trim_start();
        line.starts_with(['#', '|', '{', '[']) || line.starts_with("```") || line.starts_with("~~~")
    };
    text.lines().any(of_line) || text.split_whitespace().any(is_reference)
}

/// `S1`, `RA12`, or a text with `:` before a number, as in `src/a.rs:12`.
fn is_reference(word: &str) -> bool {
    let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
    let letters = bare.bytes().take_while(u8::is_ascii_uppercase).count();
    let digits = bare.len() - letters;
    let id = (1..=4).contains(&letters)
        && digits > 0
        && bare.bytes().skip(letters).all(|byte| byte.is_ascii_digit());
    let line = |(at, _): (usize, &str)| {
        word[..at].ends_with(|c: char| c.is_alphanumeric())
            && word[at + 1..].starts_with(|c: char| c.is_ascii_digit())
    };
    id || word.match_indices(':').any(line)
}

/// The lines of a text, those joined to one that break off in the midst of a sentence.
fn paragraphs(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines().map(str::trim) {
        match lines.last_mut() {
            Some(last)
                if line.starts_with(char::is_lowercase)
                    && last.ends_with(|c: char| c.is_alphanumeric() || c == ',') =>
            {
                last.push(' ');
                last.push_str(line);
            }
            _ => lines.push(line.to_owned()),
        }
    }
    lines
}

/// Lower case, plain apostrophes, no emphasis, single blanks.
fn normal(line: &str) -> String {
    let line: String = line
        .chars()
        .filter(|c| !matches!(c, '*' | '_' | '`' | '>' | '"' | '“' | '”'))
        .map(|c| if c == '’' { '\'' } else { c })
        .collect();
    let words: Vec<&str> = line.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

/// A line without the bullet or number that makes it an item.
fn without_marker(line: &str) -> (&str, bool) {
    let line = line.trim();
    if let Some(rest) = line.strip_prefix(['-', '*', '•', '+'])
        && rest.starts_with(' ')
    {
        return (rest.trim_start(), true);
    }
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let rest = &line[digits..];
    match rest.strip_prefix(['.', ')', '、', '．']) {
        Some(rest) if (1..=2).contains(&digits) => (rest.trim_start(), true),
        _ => (line, false),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What stands between marks that end a sentence or, as a colon does, announce the next.
fn sentences(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.char_indices().find_map(|(at, c)| {
            let next = &rest[at + c.len_utf8()..];
            let ends = match c {
                '。' | '！' | '？' | '；' | '：' => true,
                '.' | '!' | '?' | ':' | ';' => next.is_empty() || next.starts_with(' '),
                _ => false,
            };
            ends.then(|| at + c.len_utf8())
        });
        let (sentence, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after.trim_start();
        Some(sentence.trim())
    })
}

fn judge(sentence: &str, in_plan: bool) -> Sort {
    let ended = sentence.ends_with("...") || sentence.ends_with('…');
    let announcing = sentence.ends_with([':', '：']);
    let bare = sentence.trim_matches(|c: char| !c.is_alphanumeric());
    if bare.is_empty() || is_number(bare) || COURTESIES.iter().any(|phrase| begins(bare, phrase)) {
        return Sort::Nothing;
    }
    if DELAYS.iter().any(|phrase| begins(bare, phrase)) {
        return Sort::Promise;
    }
    let mut courteous = false;
    for language in LANGUAGES.iter() {
        let rest = language.without_lead(bare);
        if rest.is_empty() {
            courteous = true;
        } else if language.denies(rest) {
            continue;
        } else if let Some(after) = language.plan(rest) {
            if !after.is_empty() && !announcing {
                if language.has_verb(after) {
                    return Sort::Promise;
                }
                continue;
            }
            return Sort::Plan;
        } else if language.announces(rest)
            || in_plan && language.is_task(rest)
            || ended && language.is_under_way(rest)
        {
            return Sort::Promise;
        }
    }
    if courteous {
        Sort::Nothing
    } else {
        Sort::Other
    }
}

impl Language {
    /// A sentence without `sure,`, `first,` and the like, and without `to answer this,`.
    fn without_lead<'a>(&self, sentence: &'a str) -> &'a str {
        let mut rest = sentence;
        loop {
            let before = rest;
            for lead in &self.leads {
                if begins(rest, lead) {
                    rest = rest[lead.len()..].trim_start_matches(|c: char| !c.is_alphanumeric());
                }
            }
            for aim in &self.aims {
                if begins(rest, aim)
                    && let Some((_, after)) = rest.split_once([',', '，'])
                {
                    rest = after.trim_start();
                }
            }
            if rest == before {
                return rest;
            }
        }
    }

    /// Words by which a sentence says more than what will be done.
    fn denies(&self, sentence: &str) -> bool {
        if !self.spaced {
            return self.denials.iter().any(|word| sentence.contains(word));
        }
        let parted = sentence.contains([',', '–', '—', '(']);
        let mut words = sentence.split(|c: char| !(c.is_alphanumeric() || c == '\''));
        words.any(|word| {
            self.denials.contains(&word)
                || word.ends_with("n't")
                || word.starts_with("n'")
                || parted && self.claims.contains(&word)
        })
    }

    /// What follows the words that announce a plan.
    fn plan<'a>(&self, sentence: &'a str) -> Option<&'a str> {
        let plan = self.plans.iter().find(|phrase| begins(sentence, phrase))?;
        Some(sentence[plan.len()..].trim())
    }

    /// An opener, and soon after it a verb of looking or telling.
    fn announces(&self, sentence: &str) -> bool {
        self.openers.iter().any(|opener| {
            let opened = if self.spaced {
                begins(sentence, opener)
            } else {
                sentence.starts_with(opener)
            };
            // The opener itself may hold the verb: `commençons`.
            opened && self.has_verb(crate::text::cut_at_char(sentence, opener.len() + REACH))
        })
    }

    fn has_verb(&self, text: &str) -> bool {
        self.verbs.iter().any(|verb| {
            let found = text.match_indices(verb);
            found.into_iter().any(|(at, _)| {
                !self.spaced
                    || !text[..at].ends_with(|c: char| c.is_alphanumeric())
                        && self.fits(&text[at..], verb)
            })
        })
    }

    /// A long verb may be inflected, a short one would begin other words too.
    fn fits(&self, text: &str, verb: &str) -> bool {
        !self.spaced || verb.chars().count() >= 5 && !verb.contains(' ') || begins(text, verb)
    }

    /// An item of a plan: it begins with what is to be done.
    fn is_task(&self, sentence: &str) -> bool {
        let mut verbs = self.verbs.iter().chain(&self.tasks);
        let begun = |verb: &&str| sentence.starts_with(*verb) && self.fits(sentence, verb);
        sentence.len() <= 160 && verbs.any(begun)
    }

    /// `analyzing the code…`.
    fn is_under_way(&self, sentence: &str) -> bool {
        self.under_way.iter().any(|verb| begins(sentence, verb))
    }
}

/// Whether a text begins with these whole words.
fn begins(text: &str, words: &str) -> bool {
    text.strip_prefix(words).is_some_and(|rest| {
        !rest.starts_with(|c: char| c.is_alphanumeric() && c.is_ascii() || c.is_lowercase())
    })
}
