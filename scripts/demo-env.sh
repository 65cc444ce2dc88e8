# Where the demo keeps its server, its worker and its logs. Sourced by demo.sh, stop.sh and psql.sh.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

STATE=$ROOT/.conductor
# A clone below a private home cannot be entered by the server's user: then the server lives elsewhere.
if [ "$(id -u)" = 0 ] && ! runuser -u postgres -- test -x "$ROOT" 2>/dev/null; then
  SERVER=/var/tmp/conductor-$(printf %s "$ROOT" | cksum | cut -d' ' -f1)
else
  SERVER=$STATE/server
fi
PGBIN=$(dirname "$PG15_CONFIG")
PORT=${CONDUCTOR_DEMO_PORT:-54815}
DATABASE=conductor
# Sockets have short names: a long path to the clone would not fit.
SOCKETS=$SERVER/run
[ ${#SOCKETS} -lt 90 ] || SOCKETS=/tmp

demo_psql() { "$PGBIN/psql" -X -v ON_ERROR_STOP=1 -q -h "$SOCKETS" -p "$PORT" -d "$DATABASE" "$@"; }

# Whether the process of a pid file still is what it was started as. Usage: alive NAME WORD
alive() {
  local file=$STATE/$1.pid pid
  [ -s "$file" ] && pid=$(cat "$file") && tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q -- "$2"
}

# Ends what a pid file names, if it still is what it was started as. Usage: end NAME WORD
end() {
  alive "$1" "$2" || { rm -f "$STATE/$1.pid"; return 0; }
  local pid; pid=$(cat "$STATE/$1.pid")
  kill -TERM "$pid" 2>/dev/null || true
  for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
  kill -KILL "$pid" 2>/dev/null || true
  rm -f "$STATE/$1.pid"
}
