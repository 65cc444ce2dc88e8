//! What the library brings, as rows.

use conductor_flows::{builtin_flows, builtin_personas};
use pgrx::JsonB;
use pgrx::prelude::*;

/// The built-in flows, in the launcher's order.
#[pg_extern(name = "_builtin_flows", immutable)]
fn flows() -> TableIterator<
    'static,
    (
        name!(name, String),
        name!(category, String),
        name!(description, String),
        name!(definition, JsonB),
    ),
> {
    TableIterator::new(builtin_flows().iter().map(|flow| {
        let head = flow.head();
        (
            head.name.clone(),
            head.category.to_string(),
            head.description.clone(),
            JsonB(flow.to_json()),
        )
    }))
}

/// The built-in personas, by name.
#[pg_extern(name = "_builtin_personas", immutable)]
fn personas() -> TableIterator<
    'static,
    (
        name!(name, String),
        name!(description, String),
        name!(prefix, String),
        name!(body, String),
    ),
> {
    TableIterator::new(builtin_personas().all().map(|p| {
        (
            p.name.clone(),
            p.description.clone(),
            p.prefix.clone(),
            p.body.clone(),
        )
    }))
}
