#!/usr/bin/env python3
"""Runs pgspot over the scripts that CREATE EXTENSION and ALTER EXTENSION UPDATE execute.

Usage: sql-safety.py EXCEPTIONS SCRIPT…

Prints a line a script and a line for each flaw that pgspot is seen to find, "ok N - …" or "not ok N - …", and fails when
one is not ok. EXCEPTIONS is a TOML file of [[exception]] with code, object and reason; one that excuses nothing fails too.

pgspot is told what the server does: it runs such a script with the search_path `conductor, pg_temp` (pg_catalog comes
first by itself), and nobody but the extension's owner can create in the schema `conductor`: sql/099_refuse.sql sees to
that, and the server refuses to replace in such a script what is not the extension's (CVE-2022-2625).
"""

import sys
import tomllib
from argparse import Namespace

from pglast import parse_sql
from pglast.parser import ParseError
from pgspot import visitors
from pgspot.state import Counter, State

SCHEMA = "conductor"
# What a script may hold only once, as bad as can be; pgspot must find each in a script that begins as ours do.
FLAWS = {
    "PS001": "create function conductor.f() returns boolean language sql as $$ select 'a' ~ 'b' $$",
    "PS003": "create function conductor.f() returns int language sql security definer as $$ select 1 $$",
    "PS004": "create function conductor.f() returns int language sql security definer "
    "set search_path = conductor, public as $$ select 1 $$",
    "PS005": "create function conductor.f() returns int language plpgsql as $$ begin return 1; end $$",
    "PS012": "create table if not exists public.t (a int)",
    "PS015": "create or replace view public.v as select 1",
    "PS016": "create function conductor.f() returns timestamptz language plpgsql security definer "
    "set search_path = public, pg_catalog as $$ begin return now(); end $$",
    "PS017": "set search_path = public; select * from flow_runs",
    "PS018": "set search_path = 'pg_catalog, pg_temp'",
}


class Visitor(visitors.SQLVisitor):
    """pgspot's, which does not know functions whose body is parsed when they are created (RETURN, BEGIN ATOMIC)."""

    def visit_CreateFunctionStmt(self, ancestors, node):
        self.state.counter.object = ".".join(name.sval for name in node.funcname)
        self.state.counter.functions += 1
        if node.sql_body is None:
            super().visit_CreateFunctionStmt(ancestors, node)
        # Else names in it are looked up once, in the path of the script, and it is visited as part of that.


class Findings(Counter):
    """Collects what pgspot prints."""

    def __init__(self):
        super().__init__(
            Namespace(
                ignore=[], summary_only=False, plpgsql=True, sql_fn=[], ignore_lang=[], proc_without_search_path=[]
            )
        )
        self.object, self.functions, self.statements = "", 0, 0
        self.found = []

    def print_issue(self, code, context):
        self.found.append((code, self.object or context, context, self.line_number()))

    def unknown(self, message):
        self.found.append(("unknown", self.object, message, self.line_number()))


def check(sql):
    """What pgspot finds in a script."""
    findings = Findings()
    state = State(findings)
    state.created_schemas = [SCHEMA]
    state.set_searchpath([SCHEMA, "pg_temp"])
    # As pgspot.visitors.visit_sql does, but with a visitor of our own.
    sql = "\n".join("--" + line if line.startswith("\\") else line for line in sql.splitlines())
    findings.sql = sql
    for statement in parse_sql(sql):
        findings.stmt_location = statement.stmt_location
        findings.statements += 1
        findings.object = ""
        try:
            Visitor(state)(statement)
        except ParseError as error:
            # What it cannot read it has not looked at.
            findings.unknown(f"pgspot cannot read this: {error}")
    return findings


def main(exceptions_file, scripts):
    visitors.SQLVisitor = Visitor
    with open(exceptions_file, "rb") as file:
        exceptions = tomllib.load(file).get("exception", [])
    used = set()
    results = []

    for script in scripts:
        with open(script, encoding="utf-8") as file:
            findings = check(file.read())
        bad = []
        for code, name, context, line in findings.found:
            excuse = next((e for e in exceptions if (e["code"], e["object"]) == (code, name)), None)
            if excuse and excuse["reason"].strip():
                used.add((code, name))
            else:
                bad.append(f"{script}:{line}: {code} in {name}: {context}")
        if not findings.functions:
            bad.append(f"{script}: there is not one function in it")
        results.append(
            (not bad, f"{script}: {findings.statements} statements, {findings.functions} functions", bad)
        )

    for code, sql in FLAWS.items():
        codes = {found[0] for found in check(sql).found}
        results.append((code in codes, f"pgspot finds {code}", [] if code in codes else [f"found: {codes}"]))

    for exception in exceptions:
        if (exception["code"], exception["object"]) not in used:
            results.append((False, f"exception {exception['code']} in {exception['object']}", ["it excuses nothing"]))

    for number, (ok, what, why) in enumerate(results, 1):
        print(f"{'ok' if ok else 'not ok'} {number} - {what}")
        for line in why:
            print(f"    {line}")
    return 0 if all(ok for ok, _, _ in results) else 1


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
