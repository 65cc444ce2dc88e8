#!/usr/bin/env bash
# Builds for release and installs: the extension into the server of PG_CONFIG, the worker into PREFIX.
source "$(dirname "$0")/lib.sh"
"$ROOT/scripts/setup.sh" build
config=${PG_CONFIG:-$(command -v pg_config || echo "$PG15_CONFIG")}
version=$("$config" --version | sed -E 's/^PostgreSQL ([0-9]+).*/\1/')
prefix=${PREFIX:-/usr/local}
say "extension for PostgreSQL $version"
install_extension "$version" "$config" --release
say "worker into $prefix/bin"
(cd "$ROOT" && cargo build --quiet --release -p conductor-worker)
as_root install -D -m 755 "$ROOT/target/release/conductor" "$prefix/bin/conductor"
say "the unit file for systemd is worker/conductor-worker.service"
