#!/usr/bin/env bash
# Ends what the demo started, by pid: worker, scripted model, server. Its data stay for the next time.
source "$(dirname "$0")/demo-env.sh"

end() {
  alive "$1" "$2" || { rm -f "$STATE/$1.pid"; return 0; }
  local pid; pid=$(cat "$STATE/$1.pid")
  say "ending the $1 (pid $pid)"
  kill -TERM "$pid" 2>/dev/null || true
  for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
  kill -KILL "$pid" 2>/dev/null || true
  rm -f "$STATE/$1.pid"
}

# The first TERM lets a worker finish its tasks; whoever says stop wants it to hand them back at once.
alive worker 'conductor' && kill -TERM "$(cat "$STATE/worker.pid")" 2>/dev/null || true
end worker conductor
end model scripted-model
if [ -f "$SERVER/data/postmaster.pid" ]; then
  say "stopping the server"
  as_server_user "$PGBIN/pg_ctl" -D "$SERVER/data" -m fast -w stop >/dev/null
fi
