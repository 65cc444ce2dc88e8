//! The report: header, validation, answer, deferred, roster, next. Markdown and JSON show the same
//! data in the same order.
//!
//! A run that did not complete gives a partial report, which says so at the top and presents
//! nothing as an answer.

/// Writes one line to a text.
macro_rules! put {
    ($out:expr, $($format:tt)*) => {
        writeln!($out, $($format)*).expect("a string takes everything")
    };
}

pub(crate) use put;

mod citations;
mod data;
mod extract;
mod findings;
mod format;
mod header;
mod html;
mod json;
mod markdown;
mod nest;
mod parts;
mod review;

pub use citations::{Broken, Citations};
pub use data::{ProvidedDocument, ReportData, ReportRun, ReportStep};
pub(crate) use format::duration;
pub use html::html;
pub use json::json;
pub use markdown::markdown;
