//! What a run tells its listeners. Frames are JSON objects with a `type`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::plan::Kind;

/// A step as frames announce it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrameStep {
    /// The step's id.
    pub step_id: String,
    /// Its persona, if an agent runs it.
    pub persona: Option<String>,
    /// Who runs it.
    pub kind: Kind,
    /// The chat of its stream, once there is one.
    pub chat_id: Option<i64>,
    /// What people read.
    pub label: String,
}

/// A frame about the run as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum RunFrame {
    /// The run and its steps.
    FlowRunStarted {
        /// The run.
        run_id: i64,
        /// Its flow.
        flow_name: String,
        /// Its band.
        band: String,
        /// All steps that have a row.
        steps: Vec<FrameStep>,
    },
    /// One step has a new status; the last one brings the run's and the report.
    FlowRunStepUpdated {
        /// The run.
        run_id: i64,
        /// The step.
        step_id: String,
        /// Its status now.
        status: String,
        /// The run's status, when it has changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run_status: Option<String>,
        /// The report, put in when the frame is read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        report: Option<String>,
        /// Steps that this one brought into being.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        added: Vec<FrameStep>,
    },
}

/// An event of a child's stream, as the worker hands it to `task_stream`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum StreamEvent {
    /// A model turn begins; what this chat streamed before is void.
    MessageStarted {
        /// Which turn, from 1.
        turn: i64,
        /// Why it begins again: `retry`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// More text.
    Delta {
        /// Where it belongs, in Unicode code points since `message_started`.
        offset: i64,
        /// The text.
        text: String,
    },
    /// More of what the model thinks.
    ReasoningDelta {
        /// The text.
        text: String,
    },
    /// The model called a tool, or wrote something that looks like a call.
    ToolCall {
        /// The call's id.
        #[serde(default)]
        id: Option<String>,
        /// The tool.
        name: String,
        /// Its arguments.
        #[serde(default)]
        input: Value,
        /// False for a call that was emitted as plain text.
        executed: bool,
    },
    /// What a tool returned.
    ToolResult {
        /// The call's id.
        #[serde(default)]
        id: Option<String>,
        /// Whether the tool failed.
        is_error: bool,
        /// The beginning of what it returned.
        content: String,
        /// How long all of it was, in bytes.
        bytes: i64,
    },
    /// Tokens so far.
    Usage(Usage),
    /// Something went wrong; the attempt may go on.
    Error {
        /// What.
        message: String,
    },
    /// The message of the chat has its final status.
    MessageComplete {
        /// complete, cancelled or failed.
        status: String,
    },
}

/// Tokens of an attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Tokens that the model read.
    pub input_tokens: i64,
    /// Tokens that the model wrote.
    pub output_tokens: i64,
    /// Tokens that were read from a cache.
    pub cache_read_input_tokens: i64,
    /// All of them.
    pub total_tokens: i64,
    /// Model turns.
    pub turns: i64,
}

/// A stream event with the chat that it belongs to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StreamFrame {
    /// The chat of the step.
    pub chat_id: i64,
    /// What happened.
    #[serde(flatten)]
    pub event: StreamEvent,
}

/// Any frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Frame {
    /// About the run.
    Run(RunFrame),
    /// About one chat.
    Stream(StreamFrame),
}

/// What a NOTIFY carries: that there is something to read, never what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doorbell {
    /// The type of the newest frame.
    #[serde(rename = "type")]
    pub frame_type: String,
    /// The run.
    pub run_id: i64,
    /// The newest frame's number.
    #[serde(default)]
    pub seq: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn frames_read_back_as_they_were_written() {
        for value in [
            json!({"type": "flow_run_started", "run_id": 1, "flow_name": "research", "band": "small",
                "steps": [{"step_id": "a", "persona": null, "kind": "code", "chat_id": null, "label": "A"}]}),
            json!({"type": "flow_run_step_updated", "run_id": 1, "step_id": "a", "status": "completed"}),
            json!({"type": "message_started", "chat_id": 7, "turn": 2, "reason": "retry"}),
            json!({"type": "delta", "chat_id": 7, "offset": 3, "text": "é"}),
            json!({"type": "tool_call", "chat_id": 7, "id": "c1", "name": "glob", "input": {"a": 1}, "executed": true}),
            json!({"type": "usage", "chat_id": 7, "input_tokens": 1, "output_tokens": 2,
                "cache_read_input_tokens": 0, "total_tokens": 3, "turns": 1}),
            json!({"type": "error", "chat_id": 7, "message": "x"}),
        ] {
            let frame: Frame = serde_json::from_value(value.clone()).unwrap();
            assert_eq!(serde_json::to_value(&frame).unwrap(), value);
        }
    }

    #[test]
    fn a_doorbell_carries_no_content() {
        let bell: Doorbell =
            serde_json::from_value(json!({"type": "delta", "run_id": 3, "seq": 9})).unwrap();
        assert_eq!((bell.run_id, bell.seq), (3, Some(9)));
    }
}
