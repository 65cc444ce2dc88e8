//! A launch as people type it: `/flow NAME [--band B] [--fast] focus…`.

use std::fmt;

use crate::text::one_line;

/// What a line asks for. Everything is a part of the line, byte for byte; whether flow and band exist is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command<'t> {
    /// The flow's name.
    pub flow: &'t str,
    /// The band, if one is given; the last one wins.
    pub band: Option<&'t str>,
    /// Whether `--fast` stands there.
    pub fast: bool,
    /// All that follows, without blanks around it; empty when nothing does.
    pub question: &'t str,
}

/// Why a line is no such command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoCommand<'t> {
    /// It does not begin with `/flow`.
    Other(&'t str),
    /// No name follows.
    NoName,
    /// `--band` is the last word.
    NoBand,
    /// An option that does not exist.
    UnknownOption(&'t str),
}

/// How much of what a person typed is quoted, in characters.
const QUOTED: usize = 200;

impl fmt::Display for NoCommand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(line) => write!(f, "command: {}", one_line(line, QUOTED)),
            Self::NoName => f.write_str("the name of a flow is missing"),
            Self::NoBand => f.write_str("--band needs a value"),
            Self::UnknownOption(option) => {
                write!(f, "unknown option: {}", one_line(option, QUOTED))
            }
        }
    }
}

impl<'t> Command<'t> {
    /// Parses a line. Options stand between name and focus; whatever follows a lone `--` is the focus, dashes or not.
    ///
    /// # Errors
    /// When it is no such command.
    pub fn parse(line: &'t str) -> Result<Self, NoCommand<'t>> {
        let mut rest = line.trim();
        if word(&mut rest) != "/flow" {
            return Err(NoCommand::Other(line));
        }
        let flow = word(&mut rest);
        if flow.is_empty() || flow.starts_with("--") {
            return Err(NoCommand::NoName);
        }
        let (mut band, mut fast) = (None, false);
        while rest.starts_with("--") {
            match word(&mut rest) {
                "--fast" => fast = true,
                "--band" if !rest.is_empty() => band = Some(word(&mut rest)),
                "--band" => return Err(NoCommand::NoBand),
                "--" => break,
                option => return Err(NoCommand::UnknownOption(option)),
            }
        }
        Ok(Self {
            flow,
            band,
            fast,
            question: rest,
        })
    }
}

/// Takes the next word off a text.
fn word<'t>(rest: &mut &'t str) -> &'t str {
    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let (first, left) = rest.split_at(end);
    *rest = left.trim_start();
    first
}
