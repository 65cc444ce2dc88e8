#!/usr/bin/env bash
# The whole system on this machine: builds it, starts a private PostgreSQL server and a worker, runs
# `architectural-analysis` on this very repository with the real qwen, and prints the report.
# The model is the user's own when OPENAI_BASE_URL is set, else the scripted model of tests/.
source "$(dirname "$0")/demo-env.sh"
"$ROOT/scripts/setup.sh" build child

say "building"
(cd "$ROOT" && cargo build --quiet -p conductor-worker -p conductor-tests --bins)
mkdir -p "$STATE/log"

start_server() {
  if [ ! -f "$SERVER/data/PG_VERSION" ]; then
    say "making a private PostgreSQL server in $SERVER"
    mkdir -p "$SERVER" && chown "$(server_user)" "$SERVER"
    as_server_user "$PGBIN/initdb" -D "$SERVER/data" -U postgres -A trust -E UTF8 --locale C.UTF-8 >/dev/null
  fi
  mkdir -p "$SOCKETS" && { [ "$SOCKETS" = /tmp ] || chown "$(server_user)" "$SOCKETS"; }
  as_server_user "$PGBIN/pg_ctl" -D "$SERVER/data" status >/dev/null 2>&1 && return
  as_server_user touch "$SERVER/server.log"
  # A server started with RUST_BACKTRACE would send backtraces to its clients.
  env -u RUST_BACKTRACE bash -c "$(declare -f as_server_user); as_server_user \"\$@\"" - \
    "$PGBIN/pg_ctl" -D "$SERVER/data" -l "$SERVER/server.log" -w \
    -o "-p $PORT -c listen_addresses=127.0.0.1 -c unix_socket_directories='$SOCKETS'" start >/dev/null ||
    fail "the server did not start" "see $SERVER/server.log; if port $PORT is taken, set CONDUCTOR_DEMO_PORT"
}

# The library is replaced while no server has it loaded.
built=$STATE/extension.built
if [ ! -f "$built" ] || [ -n "$(find "$ROOT/extension/src" "$ROOT/extension/conductor.control" "$ROOT/sql" \
    "$ROOT/flows" "$ROOT/personas" "$ROOT/Cargo.lock" -newer "$built" -type f -print -quit)" ]; then
  say "installing the extension into $("$PG15_CONFIG" --sharedir)/extension"
  "$ROOT/scripts/stop.sh"
  install_extension 15 "$PG15_CONFIG"
  touch "$built"
  fresh=yes
fi
start_server
if [ -z "$(DATABASE=postgres demo_psql -U postgres -Atc "select 1 from pg_database where datname = '$DATABASE'")" ]; then
  DATABASE=postgres demo_psql -U postgres -c "create database $DATABASE"
  fresh=yes
fi
# An extension that was built anew may have other functions without being of another version: the demo makes it again.
if [ -n "${fresh:-}" ]; then
  demo_psql -U postgres -c 'set client_min_messages = warning' -c 'drop extension if exists conductor' -c 'drop schema if exists conductor cascade' -c 'create extension conductor'
  demo_psql -U postgres <<'SQL'
select 'create role analyst login' where not exists (select from pg_roles where rolname = 'analyst') \gexec
select 'create role conductor_worker login' where not exists (select from pg_roles where rolname = 'conductor_worker') \gexec
select conductor.grant_operator('analyst') \g /dev/null
select conductor.grant_worker('conductor_worker') \g /dev/null
-- On the role, never on the database: tasks and messages are names that applications own.
alter role analyst in database conductor set search_path = conductor, public;
SQL
fi

if [ -n "${OPENAI_BASE_URL:-}" ]; then
  model=${OPENAI_MODEL:-$(demo_psql -U postgres -Atc 'select model from conductor.settings')}
  say "using your model $model at $OPENAI_BASE_URL"
else
  model=scripted-model
  end model scripted-model
  "$ROOT/target/debug/scripted-model" --port 0 --chunk-delay-ms 10 >"$STATE/log/model.log" 2>&1 &
  echo $! >"$STATE/model.pid"
  for _ in $(seq 100); do grep -q 'listens on' "$STATE/log/model.log" && break; sleep 0.1; done
  OPENAI_BASE_URL=$(grep -oE 'http://127[^ ]+' "$STATE/log/model.log" | head -n 1) ||
    fail "the scripted model did not start" "see $STATE/log/model.log"
  export OPENAI_BASE_URL OPENAI_API_KEY=none
  say "no OPENAI_BASE_URL is set: a scripted model stands in, which reads real files but does not think"
fi
demo_psql -U postgres -v model="$model" <<'SQL'
update conductor.settings set model = :'model';
SQL
demo_psql -U analyst -v root="$ROOT" <<'SQL'
select project_register('conductor', :'root') \g /dev/null
SQL

conductor=$ROOT/target/debug/conductor
export CONDUCTOR_NODE=$NODE CONDUCTOR_QWEN=$QWEN
url() { printf 'host=%s port=%s dbname=%s user=%s' "$SOCKETS" "$PORT" "$DATABASE" "$1"; }
# A worker that runs from before keeps the model that it was started with, so it is started anew.
end worker conductor
CONDUCTOR_DATABASE_URL=$(url conductor_worker) "$conductor" worker --allow-root "$ROOT" --state-dir "$STATE/worker" \
  >"$STATE/log/worker.log" 2>&1 &
echo $! >"$STATE/worker.pid"

# It checks itself first: qwen, the sandbox, a whole turn of the child that tries to write.
for _ in $(seq 300); do
  [ "$(demo_psql -U analyst -Atc "select count(*) from conductor.workers where healthy and pid = $(cat "$STATE/worker.pid")")" = 1 ] && break
  alive worker conductor || { cat "$STATE/log/worker.log" >&2; fail "the worker did not start"; }
  sleep 0.1
done

export CONDUCTOR_DATABASE_URL=$(url analyst)
question='Where do responsibilities blur between the database, the extension and the worker?'
say "conductor launch architectural-analysis '$question' --project conductor --band medium"
run=$("$conductor" launch architectural-analysis "$question" --project conductor --band medium)
"$conductor" watch "$run" || { tail -n 20 "$STATE/log/worker.log" >&2; fail "run $run did not complete" "see $STATE/log/worker.log"; }
echo
"$conductor" report "$run"
"$conductor" report "$run" --format html >"$STATE/report-$run.html"
cat <<END

Run $run is stored in the database; as a page: $STATE/report-$run.html. What to type next:

  make psql                                      a session on it; then for instance
    SELECT * FROM flow_catalog();
    SELECT flow_launch('research', 'How does a lease work here?', project => 'conductor');
    SELECT flow_launch('code-review', 'May this be merged?', project => 'conductor', input => '{"base": "HEAD~1"}');
    SELECT * FROM flow_status($((run + 1))) \\watch 1
    SELECT flow_report($run);
  OPENAI_BASE_URL=http://127.0.0.1:8080/v1 OPENAI_MODEL=… make demo     the same with your own model
  make stop                                      ends worker, model and server; the runs stay
END
