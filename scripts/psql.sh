#!/usr/bin/env bash
# A psql session on the demo's database, as the person who runs the demo.
source "$(dirname "$0")/demo-env.sh"
[ -f "$SERVER/data/postmaster.pid" ] || fail "the demo's server does not run" "make demo starts it"
exec "$PGBIN/psql" -h "$SOCKETS" -p "$PORT" -U analyst -d "$DATABASE" "$@"
