#!/usr/bin/env bash
# The benchmark: everything built for release, measured on a private server that keeps what it has promised. Prints a table
# and writes it with JSON and a chart to target/bench/. Usage: bench.sh [options of the program bench …], as in
# `bench.sh --only throughput --repeats 9`.
source "$(dirname "$0")/lib.sh"
"$ROOT/scripts/setup.sh" build child
cd "$ROOT"
export CONDUCTOR_TOOLS=$TOOLS CONDUCTOR_NODE=$NODE CONDUCTOR_QWEN=$QWEN CONDUCTOR_PG_CONFIG=$PG15_CONFIG

say "building for release and installing the extension for PostgreSQL 15"
install_extension 15 "$PG15_CONFIG" --release
rm -f "$ROOT/.conductor/extension.built"
cargo build --quiet --release -p conductor-worker -p conductor-tests --bins
export CONDUCTOR_BIN=$ROOT/target/release/conductor

say "measuring; nothing else should run on this machine meanwhile"
exec "$ROOT/target/release/bench" --out "$ROOT/target/bench" "$@"
