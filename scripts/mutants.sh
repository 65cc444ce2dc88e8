#!/usr/bin/env bash
# Takes out one protection after the other and runs the tests that must notice (tests/mutants.toml).
# Usage: mutants.sh [sql/ | worker/ | words of a mutant]. The extension is installed unchanged; mutants of the engine live
# in the tests' databases, and those of the worker in a copy of the sources below target/mutants, built there.
source "$(dirname "$0")/lib.sh"
"$ROOT/scripts/setup.sh" build child
cd "$ROOT"
export CONDUCTOR_TOOLS=$TOOLS CONDUCTOR_NODE=$NODE CONDUCTOR_QWEN=$QWEN CONDUCTOR_PG_CONFIG=$PG15_CONFIG
say "installing the extension for PostgreSQL 15"
install_extension 15 "$PG15_CONFIG"
rm -f "$ROOT/.conductor/extension.built"
say "building the tests"
cargo build --quiet -p conductor-worker -p conductor-tests --bins
export CONDUCTOR_BIN=$ROOT/target/debug/conductor
cargo test --quiet -p conductor-tests --no-run
exec "$ROOT/target/debug/mutants" "$@"
