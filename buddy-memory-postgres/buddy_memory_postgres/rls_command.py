"""``buddy-memory rls``: the policies of row-level security, printed, and checked for a role."""

from __future__ import annotations

from typing import Any, cast

import click
import sqlalchemy as sa

from buddy.memory import open_memory_db
from buddy.memory.cli import exit_codes
from buddy.memory.cli.output import emit, say, tell
from buddy.memory.errors import ConfigError
from buddy.memory.storage.record import Kind
from buddy.memory.storage.sql.tables import Tables
from buddy.memory.storage.sync_runner import run
from buddy_memory_postgres.row_security import POLICY, policy_script
from buddy_memory_postgres.schema import quoted, script
from buddy_memory_postgres.v2 import PostgresMemoryDb

_STATE = """
SELECT current_user, row_security_active(c.oid), c.relrowsecurity, c.relforcerowsecurity,
    pg_get_userbyid(c.relowner) = current_user, r.rolsuper, r.rolbypassrls,
    EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = %s),
    (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname <> %s
        AND p.polpermissive)
FROM pg_class c, pg_roles r WHERE c.oid = to_regclass(%s) AND r.rolname = current_user
"""


@click.command("rls")
@click.argument("url")
@click.option("--script", "only_script", is_flag=True, help="Print the statements alone, for psql.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def rls_command(ctx: click.Context, url: str, only_script: bool, as_json: bool) -> None:
    """Print PostgreSQL's policies by user, and check them.

    URL is that of the application. Its role should neither own the tables nor be a superuser, and
    its databases are opened with ?row_security=1. An owner of the tables runs the statements.
    Exit code 1 when the policies do not hold for the role.
    """
    with open_memory_db(url) as db:
        if not isinstance(db, PostgresMemoryDb):
            raise ConfigError(f"row-level security is PostgreSQL's: this is {type(db).__name__}")
        store = cast(Any, db)._rules.store
        tables: Tables = store._tables
        statements = script([s for table in tables.both for s in policy_script(table)])
        if only_script:
            click.echo(statements, nl=False)
            return
        wrong = run(store._attempt(store._connector.inspect, lambda c: problems(c, tables)))
    if as_json:
        emit({"holds": not wrong, "problems": wrong, "script": statements})
    else:
        say(statements.rstrip())
        for problem in wrong:
            tell(problem, "yellow")
        if not wrong:
            say("The policies hold for this role.", "green")
    ctx.exit(exit_codes.NO if wrong else exit_codes.OK)


def problems(connection: sa.Connection, tables: Tables) -> list[str]:
    """Return why the policies do not hold for the role of a connection; [] where they do."""
    found: list[str] = []
    for kind in Kind:
        name = quoted(tables.by_kind[kind])
        state = connection.exec_driver_sql(_STATE, (POLICY, POLICY, name)).one_or_none()
        found += [f"{name} is not there"] if state is None else _problems(name, *state)
    return found


def _problems(
    name: str, role: str, active: bool, enabled: bool, forced: bool, owns: bool, is_super: bool,
    bypasses: bool, has_policy: bool, others: int,
) -> list[str]:  # fmt: skip
    found: list[str] = []
    if not enabled:
        found.append(f"{name}: row-level security is not enabled")
    if not has_policy:
        found.append(f"{name}: there is no policy {POLICY}")
    if others:
        found.append(f"{name}: {others} other permissive policies let more rows through")
    if enabled and not active:
        reason = "is a superuser" if is_super else "has BYPASSRLS" if bypasses else ""
        if not reason and owns and not forced:
            reason = "owns it, and FORCE ROW LEVEL SECURITY is not set"
        found.append(f"{name}: the role {role} sees all rows: it {reason or 'bypasses it'}")
    return found
