#!/usr/bin/env bash
# Formatting and warnings of every crate, as errors.
source "$(dirname "$0")/lib.sh"
"$ROOT/scripts/setup.sh" build
cd "$ROOT"
cargo fmt --all --check
cargo clippy --quiet --all-targets -p conductor-flows -p conductor-worker -p conductor-tests -- -D warnings
extension_cargo clippy --quiet --all-targets -p conductor -- -D warnings
