#!/usr/bin/env bash
# Drafts an upgrade script: every function and view of sql/ that is not as it was at a tag, written anew.
# Usage: draft-upgrade.sh v0.1.0 > sql/conductor--0.1.0--0.2.0.sql
# Tables, triggers, policies and whatever was dropped are for a person to write; the test `upgrade` names what differs.
source "$(dirname "$0")/lib.sh"
cd "$ROOT"
tag=${1:?usage: draft-upgrade.sh TAG}

# The functions and views in what it reads, each ended by a record separator.
statements() {
  awk '
    /^create (or replace )?(function|view) / { on = 1; text = ""; sub(/^create (or replace )?/, "create or replace ") }
    on { text = text $0 "\n" }
    on && (/^\$\$;$/ || (/;$/ && text !~ /\$\$/)) { printf "%s\036", text; on = 0 }'
}

old=$(mktemp); trap 'rm -f "$old"' EXIT
git ls-tree --name-only "$tag" sql/ | grep '/[0-9]' | while read -r file; do git show "$tag:$file"; done | statements >"$old"
cat sql/[0-9]*.sql | statements | awk -v RS='\036' 'NR == FNR { seen[$0]; next } !($0 in seen)' "$old" -
