//! Outputs put into prompts, when a task is claimed.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::markup::quotable;
use crate::name::parent_of_child;
use crate::plan::Document;
use crate::prompt::{Piece, SNAPSHOT, fair_shares, pieces};
use crate::qualify::qualify;
use crate::text::{cut_at_line, one_line, strip_controls, strip_marks};

/// A step that came before, and what it put out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Upstream {
    /// Its id, `verify/2` for a child of a fan-out.
    pub step_id: String,
    /// What people read.
    #[serde(default)]
    pub label: String,
    /// The letters before its finding numbers.
    #[serde(default)]
    pub prefix: Option<String>,
    /// Its status: completed, failed …
    #[serde(default)]
    pub status: String,
    /// Why it failed.
    #[serde(default)]
    pub error: Option<String>,
    /// Its full output.
    #[serde(default)]
    pub output: Option<String>,
    /// What the check of its citations found, in the form that [`crate::report::Citations`] reads.
    #[serde(default)]
    pub citations: Option<Value>,
}

impl Upstream {
    /// Its output, if it has one that says anything.
    pub fn said(&self) -> Option<&str> {
        self.output
            .as_deref()
            .filter(|output| !output.trim().is_empty())
    }

    /// How it ended, in one line: `failed: connection refused`.
    pub(crate) fn ending(&self) -> String {
        let status = match one_line(&self.status, 40) {
            status if status.is_empty() => "unknown".to_owned(),
            status => status,
        };
        match self.error.as_deref().map(|error| one_line(error, 300)) {
            Some(error) if !error.is_empty() => format!("{status}: {error}"),
            _ => status,
        }
    }

    /// Why there is no output, in one line: `no output (failed: connection refused)`.
    pub(crate) fn silence(&self) -> String {
        match self.ending() {
            ending if ending == "completed" => "completed with an empty output".to_owned(),
            ending => format!("no output ({ending})"),
        }
    }
}

/// A stretch of the prompt under construction.
enum Stretch<'a> {
    Fixed(std::borrow::Cow<'a, str>),
    Quoted {
        head: String,
        text: String,
        /// Where all of it can be read, for the note on a cut; may be empty.
        whole: String,
    },
}

/// What a template's marks are replaced with.
#[derive(Debug, Clone, Copy, Default)]
pub struct Material<'a> {
    /// The steps that are quoted; may hold the children of a quoted fan-out.
    pub upstream: &'a [Upstream],
    /// The element of a fan-out's child.
    pub element: Option<&'a Value>,
    /// What the launcher provided.
    pub documents: &'a [Document],
}

/// Completes a template: puts in the outputs that it quotes, provided documents and the element of a
/// fan-out's child. The snapshot's mark stays for the worker.
///
/// The prompt has at most `max_bytes` bytes if its fixed part leaves room for that: outputs,
/// documents and element are cut to fair shares of what is left, at line boundaries, and say so;
/// persona, question and contracts are never cut. Never panics, whatever it is given.
pub fn resolve(template: &str, material: &Material, max_bytes: usize) -> String {
    let project = template.contains(SNAPSHOT);
    let mut stretches = Vec::new();
    for piece in pieces(template) {
        match piece {
            Piece::Text(text) => stretches.push(Stretch::Fixed(text.into())),
            Piece::Element => stretches.push(element_stretch(material.element)),
            Piece::Output(step) => quote(&mut stretches, step, material.upstream),
            Piece::Document(number) => {
                let document = material.documents.get(number);
                stretches.push(document_stretch(document, project));
            }
        }
    }
    assemble(stretches, max_bytes)
}

fn element_stretch(element: Option<&Value>) -> Stretch<'static> {
    let text = match element {
        None => return Stretch::Fixed("(no element was given)".into()),
        Some(Value::String(text)) => text.clone(),
        Some(value) => format!("{value:#}"),
    };
    let text = quotable(&strip_marks(&text)).0.into_owned();
    Stretch::Quoted {
        head: String::new(),
        text,
        whole: String::new(),
    }
}

fn document_stretch(document: Option<&Document>, project: bool) -> Stretch<'static> {
    let Some(document) = document else {
        return Stretch::Fixed("(this document is not there any more)".into());
    };
    let whole = if project {
        format!("all of it is in {SNAPSHOT}/_context/documents")
    } else {
        String::new()
    };
    let text = strip_controls(&document.text);
    Stretch::Quoted {
        head: format!(
            "Document `{}`:\n\n",
            strip_controls(&one_line(&document.name, 200)).replace('`', "'")
        ),
        text: quotable(text.trim_end_matches('\n')).0.into_owned(),
        whole,
    }
}

fn quote(stretches: &mut Vec<Stretch>, step: &str, upstream: &[Upstream]) {
    let mine = |up: &&Upstream| up.step_id == step || parent_of_child(&up.step_id) == Some(step);
    let mut found: Vec<&Upstream> = upstream.iter().filter(mine).collect();
    let number = |up: &&Upstream| {
        let number = up
            .step_id
            .strip_prefix(step)
            .and_then(|rest| rest.strip_prefix('/'));
        number.map(|number| (number.len(), number.to_owned()))
    };
    found.sort_by_key(number);
    // A fan-out itself puts nothing out: its children speak for it.
    if found.iter().any(|up| up.step_id != step) {
        found.retain(|up| up.step_id != step || up.said().is_some());
    }
    if found.is_empty() {
        stretches.push(Stretch::Fixed(
            format!("## {step}: no output was recorded").into(),
        ));
    }
    for (i, up) in found.into_iter().enumerate() {
        if i > 0 {
            stretches.push(Stretch::Fixed("\n\n".into()));
        }
        stretches.push(upstream_stretch(up));
    }
}

fn upstream_stretch(up: &Upstream) -> Stretch<'static> {
    let id = one_line(&up.step_id, 80);
    let label = one_line(&up.label, 120);
    let title = if label.is_empty() {
        format!("## {id}")
    } else {
        format!("## {id} ({label})")
    };
    let Some(output) = up.said() else {
        return Stretch::Fixed(format!("{title}: {}", up.silence()).into());
    };
    let mut head = title;
    if up.status != "completed" {
        head.push_str(&format!(", incomplete: ({})", up.ending()));
    }
    let broken = up
        .citations
        .as_ref()
        .map(crate::report::Citations::read)
        .unwrap_or_default();
    if !broken.broken.is_empty() {
        let list: Vec<String> = broken
            .broken
            .iter()
            .take(50)
            .map(|it| one_line(&it.cited, 200))
            .collect();
        head.push_str(&format!(
            "\n\nChecked by machine: {} of its {} citations are broken: {}",
            broken.broken.len(),
            broken.total,
            list.join(", ")
        ));
    }
    head.push_str("\n\n");
    let clean = strip_marks(output);
    let body = clean.trim_start_matches(['\n', '\r']).trim_end();
    let text = qualify(&up.step_id, up.prefix.as_deref().unwrap_or(""), body);
    let text = quotable(&text).0.into_owned();
    Stretch::Quoted {
        head: strip_marks(&head).into_owned(),
        text,
        whole: format!("the full text: flow_step_output(run, '{id}')"),
    }
}

/// Room for the fence lines and line ends around a quoted text.
const FRAME: usize = 2 * 16 + 4;

fn assemble(stretches: Vec<Stretch>, max_bytes: usize) -> String {
    let mut fixed = 0;
    let mut notes = 0;
    let mut sizes = Vec::new();
    for stretch in &stretches {
        match stretch {
            Stretch::Fixed(text) => fixed += text.len(),
            Stretch::Quoted { head, text, whole } => {
                fixed += head.len() + FRAME;
                notes += note(text.len(), text.len(), whole).len();
                sizes.push(text.len());
            }
        }
    }
    let fits = fixed + sizes.iter().sum::<usize>() <= max_bytes;
    let budget = if fits {
        usize::MAX
    } else {
        max_bytes.saturating_sub(fixed + notes)
    };
    let mut shares = fair_shares(&sizes, budget).into_iter();
    let mut out = String::with_capacity(fixed + notes + sizes.iter().sum::<usize>().min(budget));
    for stretch in stretches {
        match stretch {
            Stretch::Fixed(text) => out.push_str(&text),
            Stretch::Quoted { head, text, whole } => {
                let shown = cut_at_line(&text, shares.next().unwrap_or(0));
                let (_, fence) = quotable(shown);
                out.push_str(&head);
                out.push_str(&fence);
                out.push('\n');
                out.push_str(shown);
                if !shown.ends_with('\n') {
                    out.push('\n');
                }
                out.push_str(&fence);
                if shown.len() < text.len() {
                    out.push_str(&note(text.len() - shown.len(), text.len(), &whole));
                }
            }
        }
    }
    out
}

fn note(left: usize, all: usize, whole: &str) -> String {
    let separator = if whole.is_empty() { "" } else { "; " };
    format!("\n[{left} of {all} bytes are left out here{separator}{whole}]")
}
