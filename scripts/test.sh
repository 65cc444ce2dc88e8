#!/usr/bin/env bash
# Every test, on real parts. Usage: test.sh [kind …] with kinds flows, worker, server, pgspot, regress, e2e (default: all).
# Ends with one summary of how many tests of each kind ran, and fails when one failed or a kind ran none.
source "$(dirname "$0")/lib.sh"
"$ROOT/scripts/setup.sh" build child pg16 pgspot
cd "$ROOT"
export CONDUCTOR_TOOLS=$TOOLS CONDUCTOR_NODE=$NODE CONDUCTOR_QWEN=$QWEN
LOGS=$ROOT/target/test-logs
mkdir -p "$LOGS"

kinds=("${@:-}")
wanted() { [ -z "${kinds[0]}" ] || [[ " ${kinds[*]} " == *" $1 "* ]]; }
names=() passed=() failed=()

# Runs one kind of test, keeps its output and counts. Usage: kind NAME COUNTER COMMAND…
kind() {
  local name=$1 counter=$2 log; shift 2
  log=$LOGS/${name//[^a-z0-9]/-}.log
  say "$name"
  local status=0 start=$SECONDS
  "$@" >"$log" 2>&1 || status=$?
  local counts; counts=$($counter "$log")
  local p=${counts% *} f=${counts#* }
  # A command that failed without a failed test, or ran no test at all, has failed.
  if [ "$status" != 0 ] && [ "$f" = 0 ]; then f=1; fi
  if [ "$p" = 0 ] && [ "$f" = 0 ]; then f=1; fi
  if [ "$f" != 0 ]; then
    printf '%s failed; the end of %s:\n' "$name" "$log" >&2
    grep -E '^(test .*FAILED|---- |not ok|.*panicked at)' "$log" >&2 || true
    tail -n 60 "$log" >&2
  fi
  printf '    %s passed, %s failed, %s s\n' "$p" "$f" "$((SECONDS - start))" >&2
  names+=("$name") passed+=("$p") failed+=("$f")
}

# "test result: ok. 12 passed; 0 failed; …", once for each binary.
count_cargo() { awk '/^test result:/ {p += $4; f += $6} END {print p + 0, f + 0}' "$1"; }
# "test launch … ok 12 ms" (15) or "ok 1 - launch 12 ms" (16).
count_regress() { awk '/^(test .*\.\.\. ok|ok [0-9])/ {p++} /^(test .*\.\.\. FAILED|not ok [0-9])/ {f++} END {print p + 0, f + 0}' "$1"; }

# Tests inside a server. cargo-pgrx starts one of its own, which must not be root's.
server_tests() {
  local data; data=$(mktemp -d /tmp/conductor-pgtest.XXXXXX)
  local as=()
  if [ "$(id -u)" = 0 ]; then
    command -v sudo >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends sudo; }
    chown postgres "$data" && as=(--runas postgres --pgdata "$data/data")
  fi
  local status=0
  (unset RUST_BACKTRACE; extension_cargo pgrx test pg15 "${as[@]}") || status=$?
  if [ -f "$data/data/postmaster.pid" ]; then
    runuser -u "$(server_user)" -- "$(dirname "$PG15_CONFIG")/pg_ctl" -D "$data/data" -m immediate stop || true
  fi
  rm -rf "$data"
  return "$status"
}

# The version that is built.
version() { sed -n 's/^version = "\(.*\)"$/\1/p' "$ROOT/Cargo.toml" | head -n 1; }

# SQL regression with PostgreSQL's own pg_regress on a private server. Usage: regression VERSION PG_CONFIG
regression() {
  local version=$1 config=$2 bin dir port=$((54900 + $1)) status=0
  bin=$("$config" --bindir)
  dir=$(mktemp -d /tmp/conductor-regress.XXXXXX)
  chown "$(server_user)" "$dir"
  as_server_user "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale C --no-sync >/dev/null
  env -u RUST_BACKTRACE bash -c "$(declare -f as_server_user); as_server_user \"\$@\"" - \
    "$bin/pg_ctl" -D "$dir/data" -l "$dir/server.log" -w \
    -o "-p $port -c listen_addresses= -c unix_socket_directories=$dir -c fsync=off" start
  mkdir -p "$LOGS/regress-$version"
  "$(dirname "$("$config" --pgxs)")/../test/regress/pg_regress" --bindir "$(dirname "$(command -v psql)")" \
    --inputdir "$ROOT/tests/regress" --outputdir "$LOGS/regress-$version" \
    --host "$dir" --port "$port" --user postgres --dbname "conductor_regress" \
    install launch engine streams check cancel failures general_flow review growth roles \
    rights trespass planted || { status=$?; cat "$LOGS/regress-$version/regression.diffs" || true; }
  as_server_user "$bin/pg_ctl" -D "$dir/data" -m immediate stop
  rm -rf "$dir"
  return "$status"
}

if wanted flows; then
  kind "unit and property tests of flows/" count_cargo cargo test --no-fail-fast -p conductor-flows
fi
if wanted worker; then
  kind "unit and property tests of worker/" count_cargo cargo test --no-fail-fast -p conductor-worker
fi
# The tests inside a server install a library of their own, so they come before the real one is installed.
if wanted server; then
  kind "tests inside a server (15)" count_cargo server_tests
fi
if wanted regress || wanted e2e || wanted pgspot; then
  say "installing the extension for PostgreSQL 15 and 16"
  install_extension 15 "$PG15_CONFIG"
  install_extension 16 "$PG16_CONFIG"
  install_former "$PG15_CONFIG"
  install_former "$PG16_CONFIG"
  rm -f "$ROOT/.conductor/extension.built"
fi
# What CREATE EXTENSION and ALTER EXTENSION UPDATE run.
if wanted pgspot; then
  kind "pgspot over the extension's scripts" count_regress env PYTHONPATH="$TOOLS/pgspot" python3 "$ROOT/scripts/sql-safety.py" \
    "$ROOT/tests/pgspot.toml" "$("$PG15_CONFIG" --sharedir)"/extension/conductor--"$(version)".sql "$ROOT"/sql/conductor--*--*.sql
fi
if wanted regress; then
  kind "SQL regression (15)" count_regress regression 15 "$PG15_CONFIG"
  kind "SQL regression (16)" count_regress regression 16 "$PG16_CONFIG"
fi
if wanted e2e; then
  cargo build --quiet -p conductor-worker -p conductor-tests --bins
  export CONDUCTOR_BIN=$ROOT/target/debug/conductor
  # Most of what they do is to wait for each other's processes: more at once than there are cores.
  RUST_TEST_THREADS=$((2 * $(nproc)))
  export RUST_TEST_THREADS
  kind "end-to-end tests (15)" count_cargo env CONDUCTOR_PG_CONFIG="$PG15_CONFIG" \
    cargo test --no-fail-fast -p conductor-tests
  # What depends on the server's version: the engine under concurrency, dumps, and one run from end to end.
  kind "end-to-end tests of the engine (16)" count_cargo env CONDUCTOR_PG_CONFIG="$PG16_CONFIG" \
    cargo test --no-fail-fast -p conductor-tests --test e2e -- \
    advance_model clocks dump fencing locks random_clients transactions upgrade a_question_without_a_project
fi

echo
printf '%-45s %8s %8s\n' "kind of test" passed failed
total_passed=0 total_failed=0
for i in "${!names[@]}"; do
  printf '%-45s %8s %8s\n' "${names[$i]}" "${passed[$i]}" "${failed[$i]}"
  total_passed=$((total_passed + passed[i])) total_failed=$((total_failed + failed[i]))
done
echo
echo "$total_passed passed, $total_failed failed"
[ "$total_failed" = 0 ]
