"""Stores that other software wrote: looked at, copied, and brought up where they stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from buddy.memory import open_memory_db
from buddy.memory.cli import exit_codes
from tests.cli.conftest import Run
from tests.transfer import legacy
from tests.transfer.legacy import Planted

SOURCES = {
    "sqlite v1": "postgres",
    "sqlite v2": "mongo",
    "sqlite repr": "redis",
    "postgres v1": "firestore",
    "postgres v2": "redis",
    "mongo": "firestore",
    "redis": "mongo",
    "firestore": "postgres",
}
"""Every store of older software that there is, and a server that it is copied to."""


PAGES = (
    "buddy.memory.storage.sql.legacy_table.PAGE",
    "buddy_memory_firestore.legacy.PAGE",
    "buddy_memory_mongo.upgrade._BATCH",
    "buddy_memory_redis.upgrade.AT_ONCE",
    "buddy_memory_sqlite.upgrade.PAGE",
)


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hundred rows are several pages."""
    for name in PAGES:
        monkeypatch.setattr(name, 70)


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest) -> str:
    """The name of one source after the other."""
    name: str = request.param
    return name


@pytest.fixture
def old(source: str, request: pytest.FixtureRequest, tmp_path: Path) -> Planted:
    """The store of older software itself."""
    backend, _, variant = source.partition(" ")
    if backend == "sqlite":
        files = {"v1": "buddy300_v1", "v2": "buddy300_v2", "repr": "agno184_v2"}
        table = "memory" if variant == "v1" else "user_memories"
        return legacy.sqlite(f"sqlite_{files[variant]}", table, tmp_path)
    url: str = request.getfixturevalue(backend)
    if backend == "postgres":
        table = "agent_memory" if variant == "v1" else "user_memories"
        return legacy.postgres(table, url, request.getfixturevalue("postgres_server"))
    if backend == "redis":
        return legacy.redis(url, request.getfixturevalue("redis_server"))
    return legacy.mongo(url) if backend == "mongo" else legacy.cloud(url)


def rows(url: str) -> list[legacy.Row]:
    """Return what a store of ours holds, in its order."""
    with open_memory_db(url) as db:
        found = list(db.iter_memories(sort="asc"))
    assert {row.version for row in found} == {1}
    return [(r.id, r.user_id, r.memory, r.created_at, r.last_updated) for r in found]  # type: ignore[misc]


def test_check_says_what_it_is_and_changes_nothing(run: Run, old: Planted) -> None:
    """The doctor names the older layout and both commands that help, and leaves it as it was."""
    before = old.look()
    ran = run("check", old.url, "--json")
    assert (ran.code, ran.json[-1]["check"]) == (exit_codes.DATA, "tables")
    assert "buddy-memory upgrade URL" in ran.json[-1]["detail"]
    assert "buddy-memory copy --from-legacy URL" in ran.json[-1]["detail"]
    assert old.look() == before


def test_copied_to_sqlite(run: Run, old: Planted, other_url: str) -> None:
    """Every row arrives with id, owner, payload and times, in order; the source stays as it was;
    and a second copy finds everything there."""
    before = old.look()
    assert run("copy", "--from-legacy", old.url, other_url, "--dry-run").code == 0
    ran = run("copy", "--from-legacy", old.url, other_url, "--json")
    assert (ran.code, ran.json["complete"], ran.json["new"]) == (0, True, 200)
    assert rows(other_url) == old.rows
    again = run("copy", "--from-legacy", old.url, other_url, "--json").json
    assert (again["same"], again["new"], again["complete"]) == (200, 0, True)
    assert old.look() == before


def test_copied_to_a_server(
    run: Run, source: str, old: Planted, request: pytest.FixtureRequest
) -> None:
    """A copy to another backend brings every row, too."""
    there: str = request.getfixturevalue(SOURCES[source])
    ran = run("copy", "--from-legacy", old.url, there, "--json")
    assert (ran.code, ran.json["complete"], ran.json["new"]) == (0, True, 200)
    assert rows(there) == old.rows


def test_not_copied_by_accident(run: Run, old: Planted, other_url: str) -> None:
    """Without --from-legacy an older store is refused, with what to do, and is no empty one."""
    ran = run("copy", old.url, other_url)
    assert ran.code == exit_codes.DATA
    assert "--from-legacy" in ran.err


def test_brought_up_where_it_stands(run: Run, process: Run, old: Planted) -> None:
    """After a yes, and not before, every row is there with id, owner, payload and times."""
    before = old.look()
    asked = process("upgrade", old.url)
    assert asked.code == exit_codes.INTERRUPTED
    assert "200 memories of older software can be read" in asked.out
    assert old.look() == before
    ran = run("upgrade", old.url, "--yes", "--json")
    assert ran.code == 0
    assert ran.json == {"legacy": 200, "readable": 200, "unreadable": 0, "left": 0}
    assert rows(old.url) == old.rows
    assert run("check", old.url).code == 0
    assert run("upgrade", old.url).out == "The layout is current: 200 rows can be read.\n"
