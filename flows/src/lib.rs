//! What the conductor runs, as pure functions: no I/O, no clock, no Postgres.
//!
//! A [`Definition`] (TOML or JSON) expands with a [`Launch`] into a [`Plan`] and the texts that it
//! pins ([`expand()`]); the database walks the plan by the rules of [`advance`]; prompts are completed
//! when a task is claimed ([`resolve()`]); [`fold()`] and [`report`] turn outputs into documents.
//!
//! | module | what it holds |
//! |---|---|
//! | [`name`] | bands, categories, contracts, the form of ids |
//! | [`error`] | one error type: file, field, value, cure |
//! | [`persona`] | personas and their front matter |
//! | [`definition`] | flows as they are written, and every check on them |
//! | [`command`] | a launch as people type it |
//! | [`catalog`] | the built-in flows and personas, nearest names |
//! | [`plan`], [`expand`](mod@expand) | plans, waves, from a definition to a plan |
//! | [`advance`] | the rules by which a run goes on: reference model of the SQL |
//! | [`prompt`], [`resolve`](mod@resolve) | prompt templates, and outputs put into them |
//! | [`fold`](mod@fold), [`qualify`](mod@qualify) | joined outputs, finding ids made unique |
//! | [`fields`] | fields of outputs that `when` and `foreach` read |
//! | [`findings`] | findings of reviewers: read, joined, judged |
//! | [`citation`] | citations of lines in what models write |
//! | [`reply`] | whether a reply is a result |
//! | [`report`] | the report as Markdown, JSON and HTML |
//! | [`graph`] | the steps as Mermaid and SVG |
//! | [`frame`] | what a run tells its listeners |
//! | [`text`], [`markup`] | control characters, cuts; fences, list markers, code spans |

pub mod advance;
pub mod catalog;
pub mod citation;
pub mod command;
pub mod definition;
pub mod error;
mod escape;
pub mod expand;
pub mod fields;
pub mod findings;
pub mod fold;
pub mod frame;
pub mod graph;
pub mod markup;
pub mod name;
pub mod persona;
pub mod plan;
pub mod prompt;
pub mod qualify;
pub mod reply;
pub mod report;
pub mod resolve;
pub mod text;

pub use catalog::{
    BuiltinPersonas, builtin_flow, builtin_flows, builtin_personas, builtin_problems, nearest,
};
pub use definition::Definition;
pub use error::{ErrorKind, FlowError};
pub use expand::expand;
pub use fields::field;
pub use fold::fold;
pub use name::{Band, Category, Contract};
pub use persona::{Persona, Personas};
pub use plan::{Document, Expansion, Join, Kind, Launch, Plan, PlanStep, Role, waves};
pub use prompt::quoted_steps;
pub use qualify::qualify;
pub use report::{ReportData, ReportRun, ReportStep};
pub use resolve::{Material, Upstream, resolve};
