//! The sandbox holds, seen from outside: by its probe, and by what a confined process can still do.

use std::path::Path;

use conductor_worker::sandbox::{Probe, Sandbox};

const HELPER: &str = env!("CARGO_BIN_EXE_conductor");

fn probe(sandbox: &Sandbox) -> Probe {
    let scratch = tempfile::tempdir().unwrap();
    sandbox.probe(scratch.path()).unwrap()
}

#[test]
fn what_this_kernel_offers_refuses_everything_it_must() {
    let sandbox = Sandbox::detect(Some(Path::new(HELPER))).unwrap();
    let probe = probe(&sandbox);
    assert_eq!(probe.failures().collect::<Vec<_>>(), Vec::<&_>::new());
}

#[test]
fn bubblewrap_refuses_everything_it_must() {
    let sandbox = Sandbox::bubblewrap(Some(Path::new(HELPER))).unwrap();
    let probe = probe(&sandbox);
    assert_eq!(probe.failures().collect::<Vec<_>>(), Vec::<&_>::new());
}
