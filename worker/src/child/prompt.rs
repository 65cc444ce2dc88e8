//! How a prompt reaches the model as it was built.
//!
//! Read from standard input, a prompt is an interactive line to qwen: `@path` is replaced by the file, `me@example.com`
//! gets a space, a first `/` is a command. Only the text that a command of the user's own submits is passed on as it
//! is. So the child's HOME holds one command whose template is `{{args}}`, and the prompt is its argument. Two things
//! happen on that way and are undone here: the argument is trimmed (the outer white space goes into the template) and
//! it is put in by `String.replaceAll`, for which `$` is special (doubled).

use super::PROMPT_COMMAND;

/// What JavaScript's `trim` takes away.
fn is_js_space(c: char) -> bool {
    matches!(
        c,
        '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200a}'
                | '\u{2028}'
                | '\u{2029}'
                | '\u{202f}'
                | '\u{205f}'
                | '\u{3000}'
                | '\u{feff}'
    )
}

/// A prompt, split into what is read from standard input and the command that passes it on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Passed {
    /// Standard input.
    pub stdin: String,
    /// `commands/NAME.toml` of the child's HOME.
    pub command: String,
}

/// None when there is nothing but white space.
pub(super) fn pass(prompt: &str) -> Option<Passed> {
    let core = prompt.trim_matches(is_js_space);
    if core.is_empty() {
        return None;
    }
    let start = prompt.len() - prompt.trim_start_matches(is_js_space).len();
    let (before, after) = (&prompt[..start], &prompt[start + core.len()..]);
    let stdin = format!("/{PROMPT_COMMAND} {}", core.replace('$', "$$"));
    let command = format!(
        "prompt = \"{}{{{{args}}}}{}\"\n",
        escape(before),
        escape(after)
    );
    Some(Passed { stdin, command })
}

/// White space as it stands in a TOML string.
fn escape(space: &str) -> String {
    space
        .chars()
        .map(|c| format!("\\u{:04X}", u32::from(c)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outer_white_space_moves_into_the_template() {
        let passed = pass("\n\u{feff} a b\t").unwrap();
        assert_eq!(passed.stdin, "/conductor-prompt a b");
        assert_eq!(
            passed.command,
            "prompt = \"\\u000A\\uFEFF\\u0020{{args}}\\u0009\"\n"
        );
    }

    #[test]
    fn dollars_are_doubled() {
        assert_eq!(
            pass("$& costs $1").unwrap().stdin,
            "/conductor-prompt $$& costs $$1"
        );
    }

    #[test]
    fn a_blank_prompt_is_none() {
        assert_eq!(pass(" \n\u{3000}"), None);
    }
}
