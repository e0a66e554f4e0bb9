"""``add``, ``rm``, ``forget`` and ``upgrade``: what changes a store by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from redis import Redis

from buddy.memory import open_memory_db
from buddy.memory.cli import exit_codes
from buddy.memory.storage.clock import utc_now
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.record import Kind, Record, Scope, Write
from buddy.memory.storage.sql import SqlStore
from buddy.memory.v2.db.base import MemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
from tests.cli.conftest import Run, everything

LEGACY = Path(__file__).parents[1] / "fixtures" / "legacy"


def test_add(process: Run, url: str) -> None:
    """A memory is stored as memory objects store it, from the command line or standard input."""
    ran = process(
        "add", url, "Likes tea", "--user", "ann", "--topic", "a", "--topic", "b", "--json"
    )
    assert ran.code == 0
    assert ran.json["payload"] == {"memory": "Likes tea", "topics": ["a", "b"]}
    assert process("add", url, "-", "--id", "x", stdin="Käse\n".encode()).code == 0
    assert process("add", url, "-", "--id", "y", stdin=b"a\r\nb\n").code == 0
    assert process("show", url, "y", "--json").json["payload"] == {"memory": "a\r\nb"}
    ran = process("add", url, "-", stdin=b"\xff")
    assert ran.code == exit_codes.USAGE
    assert "standard input is no UTF-8" in ran.err
    with open_memory_db(url) as db:
        row = db.read_memory("x")
        assert row is not None
        assert row.memory == {"memory": "Käse"}
        assert db.count_memories("ann") == 1


def test_add_with_an_end(run: Run, url: str) -> None:
    """--ttl gives the memory an end; what is no time of life is wrong usage."""
    assert run("add", url, "x", "--ttl", "60", "--json").json["expires_at"] is not None
    assert run("add", url, "x", "--ttl", "0").code == exit_codes.USAGE


def test_add_does_not_take_over_a_row(run: Run, db: MemoryDb, url: str) -> None:
    """The user's own row of the id is replaced; another user's is another row."""
    assert run("add", url, "x", "--id", "m0", "--user", "bob", "--json").json["version"] == 1
    assert run("add", url, "x", "--id", "m0", "--user", "ann", "--json").json["version"] == 4
    assert db.count_memories() == 6


def test_rm(run: Run, db: MemoryDb, url: str) -> None:
    """Rows are deleted by id; what was not there is named, with exit code 1."""
    ran = run("rm", url, "m0", "m1", "zz", "--json")
    assert ran.code == exit_codes.NO
    assert ran.json == {"deleted": 2, "not_found": ["zz"]}
    assert run("rm", url, "m3", "--user", "bob").code == exit_codes.NO
    assert run("rm", url, "m3").code == 0
    assert run("rm", url, "s0", "--summary").code == 0
    assert (db.count_memories(), db.count_summaries()) == (2, 1)


def test_rm_of_an_id_of_several_users(run: Run, db: MemoryDb, url: str) -> None:
    """Where an id is not enough nothing is deleted, and the options that are enough are told."""
    db.upsert_memories([MemoryRow({}, "m0", user) for user in ("bob", None)])
    ran = run("rm", url, "m1", "m0")
    assert ran.code == exit_codes.DATA
    assert "pass --user ID, or --nobody" in ran.err
    assert db.count_memories() == 7
    assert run("rm", url, "m0", "--nobody").code == 0
    assert run("rm", url, "m0", "--user", "bob").code == 0
    assert db.read_memory("m0", user_id="ann") is not None
    assert run("rm", url, "m0").code == 0


def test_with_a_user_nothing_is_done_by_id_alone(
    run: Run, db: MemoryDb, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands that know the user never ask for an id alone."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("by id alone")

    monkeypatch.setattr(SqlStore, "find", refuse)
    assert run("check", url).code == 0
    assert run("search", url, "number", "--user", "bob").code == 0
    assert run("show", url, "m1", "--user", "bob").code == 0
    assert run("show", url, "s0", "--summary", "--user", "ann").code == 0
    assert run("rm", url, "m1", "m4", "--user", "bob").code == 0
    assert run("rm", url, "m2", "--nobody").code == 0
    assert run("forget", url, "ann", "--yes").code == 0
    assert db.count_memories() == 0


def test_rm_of_an_unreadable_row(run: Run, db: MemoryDb, url: str, tear: None) -> None:
    """A row that cannot be decoded can be deleted."""
    assert run("rm", url, "m2").code == 0
    assert db.count_memories() == 4


def test_forget(run: Run, db: MemoryDb, url: str) -> None:
    """Everything of one user is gone, of nobody else, and the receipt says how much that was."""
    receipt = run("forget", url, "ann", "--yes", "--json").json
    assert receipt["memories_erased"] == 2
    assert receipt["summaries_erased"] == 2
    assert receipt["verified"] is True
    assert {row.user_id for row in everything(url)} == {"bob", None}
    assert "memories erased   0" in run("forget", url, "ann", "--yes").out


def test_forget_asks(process: Run, db: MemoryDb, url: str) -> None:
    """Without a yes, also without anybody to ask, nothing is erased."""
    for answer in (b"", b"n\n", b"\n"):
        ran = process("forget", url, "ann", stdin=answer)
        assert ran.code == exit_codes.INTERRUPTED
        assert "Erase 2 memories and 2 summaries of the user ann for good?" in ran.err
        assert db.count_memories("ann") == 2
    assert process("forget", url, "ann", stdin=b"y\n").code == 0
    assert db.count_memories("ann") == 0


def test_forget_the_user_without_a_name(run: Run, db: MemoryDb, url: str) -> None:
    """The empty id is a user like any other: forgetting it is not forgetting everybody."""
    db.upsert_memory(MemoryRow({}, "e", ""))
    assert 'user id           ""' in run("forget", url, "", "--yes").out
    assert db.count_memories() == 5


def test_forget_nobody(process: Run, run: Run, db: MemoryDb, url: str) -> None:
    """--nobody erases the rows without a user; without a user and without it nothing is."""
    assert run("forget", url, "--yes").code == exit_codes.USAGE
    assert run("forget", url, "ann", "--nobody", "--yes").code == exit_codes.USAGE
    ran = process("forget", url, "--nobody", stdin=b"y\n")
    assert "Erase 1 memory and 0 summaries without a user for good?" in ran.err
    assert "user id           -" in ran.out
    assert {row.user_id for row in everything(url)} == {"ann", "bob"}


def test_the_receipt_is_that_of_the_library(run: Run, db: MemoryDb, url: str) -> None:
    """With --json the receipt is what Receipt.to_dict returns."""
    receipt = run("forget", url, "ann", "--yes", "--json").json
    assert receipt == {**db.forget_user("ann").to_dict(), **{k: receipt[k] for k in ERASED}}


ERASED = ("erased_at", "memories_erased", "summaries_erased", "sha256")


def test_forget_does_not_overlook_rows_of_older_software(
    run: Run, redis: str, redis_server: str
) -> None:
    """What older software left of the user is erased, too, and of nobody else."""
    prefix = redis.partition("prefix=")[2]
    with Redis.from_url(redis_server) as client:
        for user in ("ann", "bob"):
            old = {"id": user, "user_id": user, "memory": {"memory": "x"}, "created_at": 1}
            client.set(f"{prefix}:{user}", json.dumps(old))
    receipt = run("forget", redis, "ann", "--yes", "--json").json
    assert (receipt["legacy_erased"], receipt["verified"]) == (1, True)
    with Redis.from_url(redis_server) as client:
        assert client.exists(f"{prefix}:ann") == 0
        assert client.exists(f"{prefix}:bob") == 1


def test_forget_by_somebody_who_may_not_look_everywhere(
    run: Run, redis: str, redis_server: str
) -> None:
    """What was erased is told, and that it could not be checked whether that is all."""
    with open_memory_db(redis) as db:
        db.upsert_memories(MemoryRow({}, str(n), "ann") for n in range(3))
    rights = "on >secret ~* +@all -scan"
    with Redis.from_url(redis_server) as admin:
        admin.execute_command("ACL SETUSER", "eraser", *rights.split())
    eraser = redis.replace("://", "://eraser:secret@")
    ran = run("forget", eraser, "ann", "--yes", "--json")
    assert ran.code == exit_codes.NO
    assert (ran.json["memories_erased"], ran.json["remaining"]) == (3, None)
    assert ran.json["verified"] is False
    assert "SCAN" in ran.json["reason"]
    ran = run("forget", eraser, "ann", "--yes")
    assert "remaining         not known" in ran.out
    assert "whether that is all could not be checked" in ran.err
    assert run("forget", redis, "ann", "--yes", "--json").json["verified"] is True
    with Redis.from_url(redis_server) as admin:
        admin.execute_command("ACL DELUSER", "eraser")


class LeakyStore(InMemoryStore):
    """A store where another client writes for the user at the moment of the deletion."""

    async def delete_all(self, kind: Kind, scope: Scope) -> int:
        """Delete, and see a new row appear."""
        deleted = await super().delete_all(kind, scope)
        now = utc_now()
        await self.put(Write(Record(kind, scope.name, "new", {}, now, now), now))
        return deleted


class Leaky(StoreBackedMemoryDb):
    """A database on such a store."""

    def __init__(self) -> None:
        super().__init__(LeakyStore())
        self.upsert_memory(MemoryRow({}, "1", "ann"))


def test_forget_verifies(run: Run) -> None:
    """Rows that are still there afterwards are told, with exit code 1."""
    ran = run("forget", f"{__name__}:Leaky", "ann", "--yes", "--json")
    assert ran.code == exit_codes.NO
    assert (ran.json["verified"], ran.json["memories_erased"]) == (False, 1)
    assert "erase again" in ran.err


@pytest.fixture
def old(tmp_path: Path) -> str:
    """A store as older software left it."""
    shutil.copy(LEGACY / "sqlite_agno184_v2.db", tmp_path / "old.db")
    return f"sqlite:///{tmp_path / 'old.db'}?table_name=user_memories"


def test_upgrade(process: Run, old: str) -> None:
    """An older layout is brought up after a yes; before it nothing is changed."""
    assert process("ls", old).code == exit_codes.DATA
    assert "buddy-memory upgrade URL" in process("ls", old).err
    ran = process("upgrade", old)
    assert ran.code == exit_codes.INTERRUPTED
    assert "made by older software" in ran.out
    assert "200 memories of older software can be read" in ran.out
    assert process("ls", old).code == exit_codes.DATA
    ran = process("upgrade", old, stdin=b"y\n")
    assert "The layout is current" in ran.out
    again = process("upgrade", old, "--yes", "--json").json
    assert again["readable"] > 0
    assert len(process("ls", old, "--all", "--json").json) == again["readable"]
