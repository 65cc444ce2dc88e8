//! A trial of the child before anything is dispatched to it, and what no child may be without.

use std::path::Path;

use conductor_worker::child::trial;
use conductor_worker::events::Outcome;
use conductor_worker::sandbox::Sandbox;

use crate::common::model::Model;
use crate::common::{Bench, model};
use crate::text;

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_of_the_real_child_finds_nothing_wrong() {
    let bench = Bench::new().await;
    let checks = trial(
        &bench.qwen,
        &bench.sandbox,
        &bench.toolbox,
        bench.dir.path(),
    )
    .await
    .unwrap();
    assert!(checks.iter().all(|c| c.ok), "{checks:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_under_bubblewrap_finds_nothing_wrong() {
    let mut bench = Bench::new().await;
    bench.sandbox = Sandbox::bubblewrap(Some(Path::new(crate::common::HELPER))).unwrap();
    let checks = trial(
        &bench.qwen,
        &bench.sandbox,
        &bench.toolbox,
        bench.dir.path(),
    )
    .await
    .unwrap();
    assert!(checks.iter().all(|c| c.ok), "{checks:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_sandbox_there_is_no_child() {
    let mut bench = Bench::new().await;
    // A helper that cannot open what the policy names: the same way out as a kernel that does not enforce it.
    bench.snapshot = bench.dir.path().join("does-not-exist");
    let served = Model::start(vec![text("done")]);
    let model = model(&served.base_url());
    let ran = bench.run(&bench.spec("go", &model)).await;
    let (message, _) = ran.failure();
    assert!(
        message.starts_with("sandbox unavailable: cannot open "),
        "{message}"
    );
    assert!(matches!(ran.outcome, Outcome::Failure { ours: true, .. }));
    assert!(served.bodies().is_empty());
}
