#!/usr/bin/env bash
# Ends what the demo started, by pid: worker, scripted model, server. Its data stay for the next time.
source "$(dirname "$0")/demo-env.sh"

# The first TERM lets a worker finish its tasks; whoever says stop wants it to hand them back at once.
alive worker 'conductor' && kill -TERM "$(cat "$STATE/worker.pid")" 2>/dev/null || true
say "ending worker and model"
end worker conductor
end model scripted-model
if [ -f "$SERVER/data/postmaster.pid" ]; then
  say "stopping the server"
  as_server_user "$PGBIN/pg_ctl" -D "$SERVER/data" -m fast -w stop >/dev/null
fi
