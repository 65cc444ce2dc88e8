//! What stands beside findings and is none: courtesies, introductions, and what was looked at.

use super::head::head;
use super::lines::{entry, heading};
use super::names::Names;
use super::phrases::{
    COURTESIES, DEFECTS, DEFECTS_UNPARTED, DEFECTS_WIDELY, LOOKED, LOOKED_UNPARTED, WIDELY_UNPARTED,
};
use super::place::first;
use super::words::plain;

/// The longest remark, in characters.
const LONGEST_REMARK: usize = 100;
/// The longest account of what was looked at, in bytes; what is longer is not read.
const LONGEST_TRAIL: usize = 20_000;

/// Whether a text that is not read as a finding may be one all the same.
fn doubtful(text: &str, names: &Names) -> bool {
    marked(text, names) || first(text).is_some()
}

fn marked(text: &str, names: &Names) -> bool {
    let marked = |line: &str| {
        let head = head(line, names);
        head.id.is_some() || head.severity.is_some() || line.contains("```")
    };
    text.lines().any(marked)
}

/// Whether a stretch that could not be read is only a remark, such as "Here is my review:": one short
/// line that introduces something or is a courtesy, and names no defect.
pub(super) fn is_remark(text: &str, names: &Names) -> bool {
    let text = text.trim();
    let short = text.len() <= 4 * LONGEST_REMARK && text.chars().count() <= LONGEST_REMARK;
    let plain_line = short
        && !text.contains('\n')
        && !text.starts_with(['#', '>', '|'])
        && heading(text).is_none()
        && entry(text).is_none();
    plain_line
        && (text.ends_with([':', '：']) || is_courtesy(text))
        && !names_defect(text, false)
        && !doubtful(text, names)
}

fn is_courtesy(text: &str) -> bool {
    let words = plain(text);
    COURTESIES.iter().any(|it| {
        let rest = words.strip_prefix(it);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' ') || !it.is_ascii())
    })
}

/// Whether texts that stand behind "NO FINDINGS" only say what was looked at, and name no defect.
pub(super) fn is_trail(texts: &[&str], names: &Names) -> bool {
    let length: usize = texts.iter().map(|text| text.len()).sum();
    // "I read" is said of the reviewer, "is read" of the code.
    let looked = |text: &&str| {
        let before = std::iter::once(String::new()).chain(words(text));
        before.zip(words(text)).any(|(before, word)| {
            let own = ["i", "have", "we", "ve"].contains(&before.as_str());
            LOOKED.contains(&word.as_str()) || word == "read" && own
        })
    };
    let in_chinese = |text: &&str| LOOKED_UNPARTED.iter().any(|it| text.contains(it));
    length <= LONGEST_TRAIL
        && texts.iter().all(|text| is_harmless(text, names))
        && (texts.is_empty() || texts.iter().any(looked) || texts.iter().any(in_chinese))
}

/// Whether a text has nothing in it that a finding has, and names no defect.
pub(super) fn is_harmless(text: &str, names: &Names) -> bool {
    text.len() <= LONGEST_TRAIL && !names_defect(text, true) && !marked(text, names)
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

/// Whether a text has a word of doubt or of what goes wrong; `widely` also one that introductions
/// have. What is denied counts as well as what is not, except for "no bug".
fn names_defect(text: &str, widely: bool) -> bool {
    let mut denied = false;
    for word in words(text) {
        let word = word.as_str();
        let defect = DEFECTS.contains(&word) || widely && DEFECTS_WIDELY.contains(&word);
        if defect && !denied {
            return true;
        }
        denied = ["no", "kein", "keine", "keinen"].contains(&word);
    }
    let unparted = |list: &[&str]| list.iter().any(|it| text.contains(it));
    unparted(&DEFECTS_UNPARTED) || widely && unparted(&WIDELY_UNPARTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: Names = Names {
        step: "correctness",
        prefix: "B",
    };

    #[test]
    fn remarks_are_short_and_name_no_defect() {
        for text in [
            "Here is my review of the change:",
            "I found the following problems:",
            "Hope this helps!",
            "Let me know if you have any questions.",
            "Hier sind die Befunde:",
            "以下是我的审查结果：",
            "如有问题，请告诉我。",
        ] {
            assert!(is_remark(text, &NAMES), "{text}");
        }
        for text in [
            "### The pool is closed twice",
            "- Here is the list:",
            "The connection pool is never closed on shutdown:",
            "Nobody drains the pool, so the process hangs.",
            "Let me know how `src/a.rs:3` can work.",
            "Here is one more.\nIt has two lines.",
            "Sure, but the lock is lost.",
            "希望修复，但锁丢失了。",
        ] {
            assert!(!is_remark(text, &NAMES), "{text}");
        }
    }

    #[test]
    fn a_trail_says_what_was_looked_at_and_names_no_defect() {
        let trail = |text: &str| is_trail(&[text], &NAMES);
        for text in [
            "I traced the queue; the line that catches it is `src/queue.rs:14`.",
            "- Checked: no bug in `src/a.rs:3`",
            "I have read the whole change.",
            "检查了队列",
        ] {
            assert!(trail(text), "{text}");
        }
        for text in [
            "However, `src/queue.rs` reads the row before it checks.",
            "I read `src/queue.rs`: claims go without a lock.",
            "- B1: I checked it again.",
            "The row is read before the lock.",
            "我检查了，但锁丢失了",
            "Ich habe alles gelesen, aber die Sperre fehlt.",
        ] {
            assert!(!trail(text), "{text}");
        }
        assert!(is_trail(&[], &NAMES));
        assert!(is_trail(
            &["Paths traced:", "- `a.rs:1` ends at `a.rs:9`"],
            &NAMES
        ));
    }
}
