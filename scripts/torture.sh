#!/usr/bin/env bash
# The crash test: many runs on a private server, random kills of worker, children, backends and server for MINUTES
# (default 30) from SEED (default: a random one, which is printed), then everything must settle with nothing lost.
# Usage: torture.sh [options of the program torture …]. Logs of a failure are kept in target/torture/.
source "$(dirname "$0")/lib.sh"
"$ROOT/scripts/setup.sh" build child
cd "$ROOT"
export CONDUCTOR_TOOLS=$TOOLS CONDUCTOR_NODE=$NODE CONDUCTOR_QWEN=$QWEN CONDUCTOR_PG_CONFIG=$PG15_CONFIG
SEED=${SEED:-random}
seed=()
[ "$SEED" = random ] || seed=(--seed "$SEED")

say "installing the extension for PostgreSQL 15"
install_extension 15 "$PG15_CONFIG"
rm -f "$ROOT/.conductor/extension.built"
say "building the worker and the crash test"
cargo build --quiet -p conductor-worker -p conductor-tests --bins
export CONDUCTOR_BIN=$ROOT/target/debug/conductor

rm -rf "$ROOT/target/torture"
say "${MINUTES:-30} minutes of faults; Ctrl-C ends everything"
exec "$ROOT/target/debug/torture" --minutes "${MINUTES:-30}" "${seed[@]}" --logs "$ROOT/target/torture" "$@"
