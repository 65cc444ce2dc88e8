//! A scripted model: an OpenAI-compatible server on loopback that plays scripts instead of thinking.
//!
//! | module | holds |
//! |---|---|
//! | [`server`] | the listener, the routes, one handler a request |
//! | [`control`] | what is shared: script, record of requests, holds |
//! | [`script`] | the form of a script: rules, replies, parts |
//! | [`conversation`] | a chat request as the scripted model understands it |
//! | [`player`] | turns a reply into what goes over the wire |
//! | [`wire`] | chunks in the OpenAI form, escaped by hand where bytes must be broken |
//! | [`clocked`] | tokens at an even pace, each with the time at which it was said |
//! | [`flood`] | more than anybody may take in, of any kind, for as long as the client listens |
//! | [`huge`] | a very large, deterministic, deliberately damaged text |
//! | [`roles`] | recognises a persona by its system prompt |
//! | [`analyst`] | what it does without a script: read real files, then answer |
//! | [`question`] | the question of a prompt, and what it is about |
//! | [`context`] | what the brief points at in `_context`, and what was changed |
//! | [`choice`] | which files are most worth reading |
//! | [`evidence`] | what was really read, out of the tool results of a conversation |
//! | [`upstream`] | items of earlier steps that a prompt quotes, and the element of a fan-out |
//! | [`attacks`] | what a validator or verifier says of each of them |
//! | [`asides`] | provided documents, the log, what is disputed, what nobody needs |
//! | [`phrases`] | what it says where a form asks for words |
//! | [`form`] | the reply form that a persona shows |
//! | [`answer`] | fills that form with what was read |

pub mod analyst;
pub mod answer;
pub mod asides;
pub mod attacks;
pub mod choice;
pub mod clocked;
pub mod context;
pub mod control;
pub mod conversation;
pub mod evidence;
pub mod flood;
pub mod form;
pub mod huge;
pub mod phrases;
pub mod player;
pub mod question;
pub mod roles;
pub mod script;
pub mod server;
pub mod upstream;
pub mod wire;

pub use control::{Control, Outcome, Record};
pub use script::{Part, Reply, Rule, Script, ToolCall};
pub use server::{Options, ScriptedModel};

/// The name under which the scripted model lists itself.
pub const MODEL_NAME: &str = "scripted-model";

/// The name that an answer carries: what was asked for if that already says `scripted`, else our own.
pub fn reported_name(asked: &str) -> &str {
    if asked.contains("scripted") {
        asked
    } else {
        MODEL_NAME
    }
}
