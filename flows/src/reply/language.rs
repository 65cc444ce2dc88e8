//! Whether a reply is in another language than its question.
//!
//! Said only when it is plain: both texts are long enough, and what is not prose (code, paths, names, quotes, headings)
//! does not count.

use std::sync::LazyLock;

use whatlang::{Detector, Lang, Script};

use crate::markup::{Fences, Line};

/// Letters of prose that are looked at.
const SAMPLE: usize = 6000;
/// Letters that a text needs so that letter statistics tell its language.
const ENOUGH: usize = 60;
/// The same for a reply, about which a note is written.
const ENOUGH_OF_REPLY: usize = 150;
/// Signs that a reply needs in a script whose signs are syllables or words.
const ENOUGH_SIGNS: usize = 30;
/// Letters that tell the script of a question.
const ENOUGH_OF_SCRIPT: usize = 6;

static DETECTOR: LazyLock<Detector> = LazyLock::new(|| {
    use Lang::{
        Ara, Ces, Cmn, Dan, Deu, Ell, Eng, Fin, Fra, Heb, Hin, Hun, Ind, Ita, Jpn, Kor, Nld, Pol,
        Por, Ron, Rus, Spa, Swe, Tha, Tur, Ukr, Vie,
    };
    Detector::with_allowlist(vec![
        Ara, Ces, Cmn, Dan, Deu, Ell, Eng, Fin, Fra, Heb, Hin, Hun, Ind, Ita, Jpn, Kor, Nld, Pol,
        Por, Ron, Rus, Spa, Swe, Tha, Tur, Ukr, Vie,
    ])
});

/// Short common words, which tell a language even where there is little text.
const COMMON: &[(Lang, &[&str])] = &[
    (
        Lang::Eng,
        &[
            "the", "is", "are", "of", "to", "and", "in", "how", "does", "do", "what", "which",
            "why", "where", "when", "this", "that", "it", "for", "with", "be", "can", "should",
            "from", "by",
        ],
    ),
    (
        Lang::Deu,
        &[
            "der", "die", "das", "und", "ist", "sind", "wie", "was", "welche", "warum", "wo",
            "wann", "ein", "eine", "nicht", "mit", "für", "zu", "den", "dem", "im", "wird",
            "werden", "auf", "von",
        ],
    ),
    (
        Lang::Fra,
        &[
            "le", "la", "les", "des", "et", "est", "sont", "comment", "quel", "quelle", "pourquoi",
            "où", "quand", "un", "une", "pas", "avec", "pour", "du", "que", "dans", "ce", "cette",
            "sur", "par",
        ],
    ),
    (
        Lang::Spa,
        &[
            "el", "la", "los", "las", "y", "es", "son", "cómo", "qué", "cuál", "dónde", "cuándo",
            "un", "una", "no", "con", "para", "del", "que", "en", "este", "esta", "por", "se",
            "lo",
        ],
    ),
    (
        Lang::Ita,
        &[
            "il", "lo", "gli", "e", "è", "sono", "come", "cosa", "quale", "perché", "dove",
            "quando", "un", "una", "non", "con", "per", "del", "che", "nel", "questo", "questa",
            "della", "di", "si",
        ],
    ),
    (
        Lang::Por,
        &[
            "o", "os", "as", "e", "é", "são", "como", "que", "qual", "onde", "quando", "um", "uma",
            "não", "com", "para", "do", "da", "em", "este", "esta", "por", "se", "no", "na",
        ],
    ),
];

/// `the reply is in German, the question in English`, when that is so.
pub(super) fn differs(question: &str, output: &str) -> Option<String> {
    let reply = Prose::of(output);
    let asked = Prose::of(question);
    let (script, language) = reply.language_of_reply()?;
    let name = name(language);
    let asked_script =
        whatlang::detect_script(&asked.text).filter(|_| asked.letters >= ENOUGH_OF_SCRIPT)?;
    let asked_language = asked.language();
    if family(script) != family(asked_script) {
        return Some(match asked_language {
            Some(asked) => format!(
                "the reply is in {name}, the question in {}",
                self::name(asked)
            ),
            None => format!("the reply is in {name}, the question is not"),
        });
    }
    let asked_language = asked_language.filter(|asked| *asked != language)?;
    let strange = reply.common(asked_language) < reply.common(language).max(0.04);
    strange.then(|| {
        format!(
            "the reply is in {name}, the question in {}",
            self::name(asked_language)
        )
    })
}

fn name(language: Lang) -> &'static str {
    match language {
        Lang::Cmn => "Chinese",
        other => other.eng_name(),
    }
}

/// Scripts that are written together count as one: Japanese has three.
fn family(script: Script) -> Script {
    match script {
        Script::Hiragana | Script::Katakana | Script::Mandarin => Script::Mandarin,
        other => other,
    }
}

/// What of a text is prose.
struct Prose {
    text: String,
    letters: usize,
}

impl Prose {
    fn of(text: &str) -> Self {
        let mut prose = Prose {
            text: String::new(),
            letters: 0,
        };
        let mut fences = Fences::default();
        for line in text.lines() {
            let bare = line.trim_start();
            if fences.line(line) == Line::Outside
                && !bare.starts_with(['#', '>', '|', '<', '{', '['])
            {
                prose.add(bare);
            }
            if prose.letters >= SAMPLE {
                break;
            }
        }
        prose
    }

    /// Adds a line without what it quotes.
    fn add(&mut self, line: &str) {
        let mut rest = line;
        while let Some(at) = rest.find(['`', '"', '“', '„', '«', '「']) {
            self.add_words(&rest[..at]);
            let mark = rest[at..].chars().next().expect("it was found there");
            let closers: &[char] = match mark {
                '“' => &['”'],
                '„' => &['“', '”', '"'],
                '«' => &['»'],
                '「' => &['」'],
                _ => &[mark],
            };
            rest = &rest[at + mark.len_utf8()..];
            if let Some(end) = rest.find(closers) {
                rest = &rest[end..];
                rest = &rest[rest.chars().next().map_or(0, char::len_utf8)..];
            } else {
                // A mark that nothing closes: whether the rest is quoted is not known.
                return;
            }
            if self.letters >= SAMPLE {
                return;
            }
        }
        self.add_words(rest);
    }

    fn add_words(&mut self, text: &str) {
        for word in text.split_whitespace() {
            if self.letters >= SAMPLE {
                return;
            }
            let word = word.trim_matches(|c: char| !c.is_alphabetic());
            let mut previous_lower = false;
            let plain = word.chars().all(|c| {
                let camel = previous_lower && c.is_uppercase();
                previous_lower = c.is_lowercase();
                !camel && (c.is_alphabetic() || matches!(c, '\'' | '’' | '-'))
            });
            let shouted = word.chars().count() > 1 && word.chars().all(char::is_uppercase);
            let mut letters = 0;
            if plain && !shouted {
                self.text.push_str(word);
                letters = word.chars().filter(|c| c.is_alphabetic()).count();
            } else {
                // A name in the midst of signs that are not parted by blanks.
                let signs = word
                    .chars()
                    .filter(|c| c.is_alphabetic() && *c >= '\u{2e80}');
                for sign in signs.take(SAMPLE) {
                    self.text.push(sign);
                    letters += 1;
                }
            }
            if letters > 0 {
                self.text.push(' ');
            }
            self.letters += letters;
        }
    }

    /// Script and language of a text that is long enough for a note about it.
    fn language_of_reply(&self) -> Option<(Script, Lang)> {
        let info = DETECTOR.detect(&self.text)?;
        let of_signs = matches!(
            info.script(),
            Script::Mandarin | Script::Hiragana | Script::Katakana | Script::Hangul
        );
        let enough = if of_signs {
            ENOUGH_SIGNS
        } else {
            ENOUGH_OF_REPLY
        };
        let clear = info.is_reliable() && info.confidence() > 0.9;
        (self.letters >= enough && clear && self.mostly(info.script()))
            .then(|| (info.script(), info.lang()))
    }

    /// Whether at least two letters of three are of this script.
    fn mostly(&self, script: Script) -> bool {
        let latin = self
            .text
            .chars()
            .filter(|c| c.is_alphabetic() && *c < '\u{250}')
            .count();
        let of_script = if script == Script::Latin {
            latin
        } else {
            self.letters.saturating_sub(latin)
        };
        of_script * 3 >= self.letters * 2
    }

    /// The language of a question, which may be short.
    fn language(&self) -> Option<Lang> {
        if let Some(info) = DETECTOR.detect(&self.text)
            && (info.script() != Script::Latin
                || self.letters >= ENOUGH && info.is_reliable() && info.confidence() > 0.9)
        {
            return Some(info.lang());
        }
        let mut counts: Vec<(usize, Lang)> = COMMON
            .iter()
            .map(|(lang, _)| (self.hits(*lang), *lang))
            .collect();
        counts.sort_unstable_by_key(|(count, _)| std::cmp::Reverse(*count));
        let (first, language) = counts[0];
        (first >= 2 && first > counts[1].0).then_some(language)
    }

    /// How many of its words are common ones of this language, of one.
    fn common(&self, language: Lang) -> f64 {
        let words = self.text.split(' ').count().max(1);
        self.hits(language) as f64 / words as f64
    }

    fn hits(&self, language: Lang) -> usize {
        let Some((_, common)) = COMMON.iter().find(|(lang, _)| *lang == language) else {
            return 0;
        };
        let words = self.text.split(' ');
        words
            .filter(|word| common.contains(&word.to_lowercase().as_str()))
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_what_people_say() {
        let text = "# Heading\nThe file `src/a.rs:3` holds \"quoted words\" of TaskRunner and task_claim in NO case.\n\
                    ```\ncode\n```\n> cited\n| table |\nSee https://example.org/x now";
        let prose = Prose::of(text);
        assert_eq!(prose.text.trim(), "The file holds of and in case See now");
        assert_eq!(
            Prose::of("函数src/main.rs返回`x`空值").text.trim(),
            "函数返回 空值"
        );
    }

    #[test]
    fn short_questions_are_told_by_their_common_words() {
        for (text, language) in [
            ("How does a lease work?", Some(Lang::Eng)),
            (
                "Wie funktioniert ein Lease und was ist er?",
                Some(Lang::Deu),
            ),
            ("Lease?", None),
            ("retry path", None),
        ] {
            assert_eq!(Prose::of(text).language(), language, "{text}");
        }
    }
}
