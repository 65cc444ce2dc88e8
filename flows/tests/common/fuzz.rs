//! How hard properties are tried: little in every test run, much by `make fuzz`.
#![allow(dead_code, reason = "every test file uses a part of it")]

use std::time::Duration;

use proptest::prelude::*;

/// `usual` cases, or as many as PROPTEST_CASES says. Seeds come from PROPTEST_RNG_SEED where it is set; what was found is
/// kept as a test with a name, not in files of seeds.
pub fn tried(usual: u32) -> ProptestConfig {
    let given = std::env::var("PROPTEST_CASES").ok();
    ProptestConfig {
        cases: given.and_then(|it| it.parse().ok()).unwrap_or(usual),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// How long this thread has worked, whatever else the machine does.
pub fn worked() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

/// Fails when four times the work (`large`) took much more than four times as long as `small`; what is quadratic takes
/// sixteen times as long.
#[track_caller]
pub fn is_linear(what: &str, small: Duration, large: Duration) {
    let limit = (small * 9).max(Duration::from_millis(400));
    assert!(large <= limit, "{what:?}: {small:?} and {large:?}");
}
