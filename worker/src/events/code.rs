//! Where Markdown text is code: fenced blocks, indented lines, back-ticks.

/// Follows a text character by character.
#[derive(Debug, Clone)]
pub(super) struct CodeSpans {
    fence: Option<(char, usize)>,
    inline: Option<usize>,
    run: Option<(char, usize)>,
    /// Only white space and marks of lists and quotes so far on this line.
    at_line_start: bool,
    indent: usize,
    /// The run that is being read began a line.
    run_at_line_start: bool,
    /// Only white space since a run that may close the fence.
    closing: bool,
}

impl Default for CodeSpans {
    fn default() -> Self {
        Self {
            fence: None,
            inline: None,
            run: None,
            at_line_start: true,
            indent: 0,
            run_at_line_start: false,
            closing: false,
        }
    }
}

impl CodeSpans {
    /// Whether a character that comes next would be code.
    pub fn is_code(&mut self) -> bool {
        self.end_run(' ');
        self.fence.is_some() || self.inline.is_some() || (self.at_line_start && self.indent >= 4)
    }

    /// Takes the next character.
    pub fn push(&mut self, c: char) {
        match (c, self.run) {
            ('`' | '~', Some((mark, n))) if mark == c => {
                self.run = Some((mark, n + 1));
                return;
            }
            ('`' | '~', _) => {
                self.end_run(c);
                self.run_at_line_start = self.at_line_start;
                self.run = Some((c, 1));
                self.at_line_start = false;
                self.closing = false;
                return;
            }
            _ => self.end_run(c),
        }
        match c {
            '\n' => {
                if self.closing {
                    self.fence = None;
                }
                // A code span rarely crosses a line; a stray back-tick must not hide the rest.
                self.inline = None;
                self.closing = false;
                self.at_line_start = true;
                self.indent = 0;
            }
            ' ' => self.indent += usize::from(self.at_line_start),
            '\t' => self.indent += if self.at_line_start { 4 } else { 0 },
            '>' | '-' | '*' | '+' | '.' | ')' | '0'..='9' if self.at_line_start => self.indent = 0,
            _ => {
                self.at_line_start = false;
                self.closing = false;
            }
        }
    }

    /// A run of marks is over, `next` follows it.
    fn end_run(&mut self, next: char) {
        let Some((mark, n)) = self.run.take() else {
            return;
        };
        let begins = self.run_at_line_start && n >= 3;
        match self.fence {
            Some((open, len)) => {
                self.closing = begins && mark == open && n >= len && next.is_whitespace()
            }
            None if begins => self.fence = Some((mark, n)),
            None if mark == '`' => match self.inline {
                Some(open) if open == n => self.inline = None,
                Some(_) => {}
                None => self.inline = Some(n),
            },
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The characters `X` that are code, as a string of y and n.
    fn marks(text: &str) -> String {
        let mut code = CodeSpans::default();
        let mut marks = String::new();
        for c in text.chars() {
            if c == 'X' {
                marks.push(if code.is_code() { 'y' } else { 'n' });
            }
            code.push(c);
        }
        marks
    }

    #[test]
    fn back_ticks_make_code_until_they_close_or_the_line_ends() {
        assert_eq!(marks("X `X` X ``X`X`` X"), "nynyyn");
        assert_eq!(marks("a ` stray X\nX"), "yn");
    }

    #[test]
    fn fences_make_code_until_they_close() {
        assert_eq!(marks("X\n```rust\nX\n```\nX"), "nyn");
        assert_eq!(marks("~~~~\nX\n~~~\nX\n~~~~  \nX"), "yyn");
        assert_eq!(marks("- ```\n  X\n  ```\n> ```\n> X"), "yy");
        assert_eq!(marks("```\n```not closed\nX"), "y");
        assert_eq!(marks("text ``` X"), "y");
    }

    #[test]
    fn deep_indentation_makes_code() {
        assert_eq!(marks("    X\n   X\n\tX\nword     X"), "ynyn");
    }
}
