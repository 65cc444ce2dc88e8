//! The child's protocol, followed line by line.

use conductor_flows::text::{cut_at_char, one_line};

use super::cleaned::{clean_input, clean_raw_input, clean_text, result_text, without_nul};
use super::message::{Answer, MessageText, Out};
use super::outcome::{Outcome, Verdict, of_error, of_exit};
use super::parser::ParserOptions;
use super::wire::{self, Block, Line, Tokens};
use super::{Event, Exit, MAX_BLOCKS, MAX_ERROR_BYTES, MAX_QUOTED, Usage, counted_calls};
use crate::child::{PROMPT_COMMAND, TOOLS};
use crate::text::{Relative, Tail};

#[derive(Debug)]
pub(super) struct Session {
    pub options: ParserOptions,
    relative: Relative,
    reasoning: Relative,
    message: MessageText,
    turn: u64,
    /// A message was started and nothing of it seen yet.
    fresh: bool,
    /// The next content belongs to a new turn.
    turn_over: bool,
    /// Text of the block that is being written came in deltas.
    in_deltas: bool,
    pub streaming: bool,
    started: bool,
    calls_written: u64,
    usage: Usage,
    ended: Option<Result<Answer, Verdict>>,
    pub violation: Option<String>,
    garbage: Tail,
    garbage_lines: u64,
    pub events: Vec<Event>,
}

impl Session {
    pub fn new(options: ParserOptions) -> Self {
        let dir = options
            .snapshot
            .as_deref()
            .map(|p| p.to_string_lossy().into_owned());
        let relative = Relative::new(&dir.unwrap_or_default());
        Self {
            reasoning: relative.clone(),
            message: MessageText::new(&relative),
            relative,
            options,
            turn: 0,
            fresh: false,
            turn_over: false,
            in_deltas: false,
            streaming: false,
            started: false,
            calls_written: 0,
            usage: Usage::default(),
            ended: None,
            violation: None,
            garbage: Tail::new(2048),
            garbage_lines: 0,
            events: Vec::new(),
        }
    }

    /// Takes one line of output.
    pub fn line(&mut self, bytes: &[u8]) {
        if self.violation.is_some() || bytes.trim_ascii().is_empty() {
            return;
        }
        let text = String::from_utf8_lossy(bytes);
        let Some(line) = wire::read(&text) else {
            self.garbage_lines += 1;
            self.garbage.push(bytes);
            self.garbage.push(b"\n");
            return;
        };
        // Sub-agents are denied; should one speak, its words are not the step's.
        if line.parent_tool_use_id.is_some() {
            return;
        }
        match (line.kind.as_str(), line.subtype.as_str()) {
            ("system", "init") => self.init(&line),
            // What has not said what it may do is not heard; why it could not start is.
            ("stream_event" | "assistant" | "user", _) if !self.started => self.unannounced(),
            ("result", "success") if !self.started => self.unannounced(),
            ("system", "retry") => self.retry(line.data.preserve_text),
            ("stream_event", _) => self.stream_event(line),
            ("assistant", _) => self.assistant(line),
            ("user", _) => self.user(line),
            ("result", _) => self.result(line),
            _ => {}
        }
    }

    /// What the last turn has written so far.
    pub fn text(&self) -> &str {
        match &self.ended {
            Some(Ok(answer)) => &answer.text,
            _ => self.message.text(),
        }
    }

    pub fn violate(&mut self, message: String) {
        self.violation.get_or_insert(message);
    }

    fn unannounced(&mut self) {
        self.violate("the child did not say which tools it offers".to_owned());
    }

    fn init(&mut self, line: &Line) {
        let surplus: Vec<&str> = line
            .tools
            .iter()
            .map(String::as_str)
            .filter(|t| !TOOLS.contains(t))
            .collect();
        if line.tools.is_empty() {
            self.unannounced();
        } else if !surplus.is_empty() {
            self.violate(format!(
                "the child offers tools that it must not: {}",
                one_line(&surplus.join(", "), MAX_QUOTED)
            ));
        } else if line.permission_mode != "plan" {
            self.violate(format!(
                "the child is in mode {:?}, not in plan mode",
                one_line(&line.permission_mode, MAX_QUOTED)
            ));
        } else if !line.slash_commands.iter().any(|c| c == PROMPT_COMMAND) {
            self.violate("the child did not find the command that passes the prompt on".to_owned());
        } else {
            self.started = true;
            self.start_message(None);
        }
    }

    /// The first message of the next turn, or the same turn's again.
    fn start_message(&mut self, reason: Option<&'static str>) {
        self.finish_message();
        if reason.is_none() || self.turn == 0 {
            self.turn += 1;
        }
        self.message = MessageText::new(&self.relative);
        self.fresh = true;
        self.turn_over = false;
        self.in_deltas = false;
        self.streaming = false;
        self.events.push(Event::MessageStarted {
            turn: self.turn,
            reason,
        });
    }

    /// Before content: a message is under way.
    fn open_message(&mut self) {
        if self.turn == 0 || self.turn_over {
            self.start_message(None);
        }
    }

    pub fn finish_message(&mut self) {
        let out = self.message.finish();
        self.let_out(out);
        let mut held = String::new();
        self.reasoning.finish(&mut held);
        self.reason(held);
    }

    fn retry(&mut self, preserve_text: bool) {
        self.streaming = false;
        // With its text preserved the model goes on where it was cut off.
        if !preserve_text && !self.fresh {
            self.start_message(Some("retry"));
        }
    }

    fn stream_event(&mut self, line: Line<'_>) {
        match line.event.kind.as_str() {
            "message_start" if !self.fresh => self.start_message(None),
            "content_block_delta" => {
                self.open_message();
                self.fresh = false;
                self.streaming = true;
                match line.event.delta.kind.as_str() {
                    "text_delta" => {
                        self.in_deltas = true;
                        self.write(&line.event.delta.text);
                    }
                    "thinking_delta" => self.think(&line.event.delta.thinking),
                    _ => {}
                }
            }
            "message_stop" => {
                self.streaming = false;
                self.finish_message();
                self.turn_over = true;
            }
            _ => {}
        }
    }

    /// A finished block; its text is news only when it did not come in deltas.
    fn assistant(&mut self, line: Line<'_>) {
        for block in self.blocks(&line) {
            match block.kind.as_str() {
                "text" if std::mem::take(&mut self.in_deltas) => {}
                "text" => {
                    self.open_message();
                    self.fresh = false;
                    block.text.pieces().for_each(|piece| self.write(&piece));
                }
                "tool_use" => {
                    self.open_message();
                    self.fresh = false;
                    let input = clean_raw_input(&self.relative, block.input);
                    self.events.push(Event::ToolCall {
                        id: without_nul(block.id),
                        name: without_nul(block.name),
                        input,
                        executed: true,
                    });
                }
                _ => {}
            }
        }
        self.count(line.message.usage);
    }

    /// The blocks of a message. What is none is counted as what is no event.
    fn blocks<'a>(&mut self, line: &Line<'a>) -> Vec<Block<'a>> {
        let mut found = Vec::new();
        for block in wire::blocks(line.blocks.unwrap_or_default()) {
            if found.len() == MAX_BLOCKS {
                self.violate(format!(
                    "the child printed a message of more than {MAX_BLOCKS} blocks"
                ));
                break;
            }
            match block {
                Some(block) => found.push(block),
                None => self.garbage_lines += 1,
            }
        }
        found
    }

    fn count(&mut self, tokens: Tokens) {
        if tokens.is_zero() {
            return;
        }
        self.usage = tokens.after(self.usage, self.turn);
        self.events.push(Event::Usage(self.usage));
    }

    fn user(&mut self, line: Line<'_>) {
        self.streaming = false;
        self.finish_message();
        self.turn_over = true;
        let blocks = self.blocks(&line);
        for block in blocks.into_iter().filter(|b| b.kind == "tool_result") {
            let (content, bytes) = result_text(&self.relative, block.content);
            self.events.push(Event::ToolResult {
                id: without_nul(block.tool_use_id),
                is_error: block.is_error,
                content,
                bytes,
            });
        }
    }

    fn result(&mut self, line: Line<'_>) {
        self.streaming = false;
        self.finish_message();
        if !line.usage.is_zero() {
            // The child's own sum, which counts what its attempts cost besides.
            self.usage = line.usage.after(Usage::default(), self.turn);
            self.events.push(Event::Usage(self.usage));
        }
        if line.is_error || line.subtype != "success" {
            let error = clean_text(
                &self.relative,
                cut_at_char(&line.error.message, MAX_ERROR_BYTES),
            );
            self.ended = Some(Err(of_error(&error)));
            return;
        }
        let Some(result) = line.result else {
            let message = std::mem::replace(&mut self.message, MessageText::new(&self.relative));
            self.ended = Some(Ok(message.into_answer()));
            return;
        };
        // The same text once more: it may be huge, and is never held twice.
        self.message.forget();
        let mut whole = MessageText::new(&self.relative);
        let max = self.options.max_output_bytes;
        for piece in result.pieces() {
            whole.push(&piece);
            if whole.text().len() > max {
                break;
            }
        }
        whole.finish();
        if whole.text().len() > max {
            self.violate(format!(
                "the answer is longer than {max} bytes (max_output_bytes)"
            ));
            return;
        }
        self.ended = Some(Ok(whole.into_answer()));
    }

    /// The model writes.
    fn write(&mut self, text: &str) {
        let out = self.message.push(text);
        self.let_out(out);
        if self.message.text().len() > self.options.max_output_bytes {
            let max = self.options.max_output_bytes;
            self.violate(format!(
                "the answer is longer than {max} bytes (max_output_bytes)"
            ));
        }
    }

    fn let_out(&mut self, out: Out) {
        if !out.text.is_empty() {
            self.events.push(Event::Delta {
                offset: out.offset,
                text: out.text,
            });
        }
        for call in out.calls {
            self.calls_written += 1;
            tracing::debug!(name = call.name, "tool call written as text");
            let id = format!("written-{}", self.calls_written);
            let input = clean_input(&self.relative, call.input);
            self.events.push(Event::ToolCall {
                id,
                name: call.name,
                input,
                executed: false,
            });
        }
    }

    /// The model thinks.
    fn think(&mut self, text: &str) {
        let mut out = String::new();
        self.reasoning.push(&text.replace('\0', ""), &mut out);
        self.reason(out);
    }

    fn reason(&mut self, text: String) {
        if !text.is_empty() {
            self.events.push(Event::ReasoningDelta { text });
        }
    }

    /// Judges the attempt by its result, else by how it ended.
    pub fn outcome(&mut self, exit: &Exit) -> Outcome {
        let usage = self.usage;
        let failure = |verdict: Verdict| Outcome::Failure {
            message: verdict.message,
            retryable: verdict.retryable,
            ours: verdict.ours,
            usage,
        };
        if let Some(message) = self.violation.take() {
            return failure(Verdict::new(message, false));
        }
        match self.ended.take() {
            Some(Ok(answer)) if !answer.text.trim().is_empty() => Outcome::Success {
                output: answer.text,
                written_calls: answer.written_calls,
                usage,
            },
            Some(Ok(Answer {
                written_calls: 0, ..
            })) => failure(Verdict::new("the model's answer was empty", true)),
            Some(Ok(answer)) => failure(Verdict::new(
                format!(
                    "the reply held only {} written as text, which nothing executes",
                    counted_calls(answer.written_calls)
                ),
                true,
            )),
            Some(Err(verdict)) => failure(verdict),
            None => {
                let mut verdict = of_exit(exit, self.started);
                if self.garbage_lines > 0 {
                    let (count, tail) = (self.garbage_lines, self.garbage.text());
                    verdict.message = format!(
                        "{}; {count} lines were no events: {}",
                        verdict.message,
                        tail.trim()
                    );
                }
                failure(verdict)
            }
        }
    }
}
