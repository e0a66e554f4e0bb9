"""``add``, ``rm``, ``forget`` and ``upgrade``: what changes a store by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from redis import Redis

from buddy.memory import open_memory_db
from buddy.memory.cli import exits
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.v2.db.base import MemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from buddy.memory.v2.db.stored import StoredMemoryDb
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
    assert ran.code == exits.USAGE
    assert "standard input is no UTF-8" in ran.err
    with open_memory_db(url) as db:
        row = db.read_memory("x")
        assert row is not None
        assert row.memory == {"memory": "Käse"}
        assert db.count_memories("ann") == 1


def test_add_does_not_take_over_a_row(run: Run, db: MemoryDb, url: str) -> None:
    """An id of another user is refused, and one's own is replaced."""
    assert run("add", url, "x", "--id", "m0", "--user", "bob").code == exits.DATA
    assert run("add", url, "x", "--id", "m0", "--user", "ann", "--json").json["version"] == 4


def test_rm(run: Run, db: MemoryDb, url: str) -> None:
    """Rows are deleted by id; what was not there is named, with exit code 1."""
    ran = run("rm", url, "m0", "m1", "zz", "--json")
    assert ran.code == exits.NO
    assert ran.json == {"deleted": 2, "not_found": ["zz"]}
    assert run("rm", url, "m3", "--user", "bob").code == exits.NO
    assert run("rm", url, "m3").code == 0
    assert run("rm", url, "s0", "--summary").code == 0
    assert (db.count_memories(), db.count_summaries()) == (2, 1)


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
        assert ran.code == exits.INTERRUPTED
        assert "Erase 2 memories and 2 summaries of the user ann for good?" in ran.err
        assert db.count_memories("ann") == 2
    assert process("forget", url, "ann", stdin=b"y\n").code == 0
    assert db.count_memories("ann") == 0


def test_forget_the_user_without_a_name(run: Run, db: MemoryDb, url: str) -> None:
    """The empty id is a user like any other: forgetting it is not forgetting everybody."""
    db.upsert_memory(MemoryRow({}, "e", ""))
    assert 'user id           ""' in run("forget", url, "", "--yes").out
    assert db.count_memories() == 5


def test_forget_does_not_overlook_older_rows(run: Run, redis: str, redis_server: str) -> None:
    """What older software left of the user is told: there is no false receipt."""
    prefix = redis.partition("prefix=")[2]
    old = {"id": "1", "user_id": "ann", "memory": {"memory": "x"}, "created_at": 1}
    with Redis.from_url(redis_server) as client:
        client.set(f"{prefix}:1", json.dumps(old))
    ran = run("forget", redis, "ann", "--yes", "--json")
    assert ran.code == exits.NO
    assert (ran.json["older"], ran.json["verified"]) == (1, False)
    assert "buddy-memory upgrade" in ran.err
    assert run("forget", redis, "bob", "--yes", "--json").json["verified"] is True
    assert run("upgrade", redis, "--yes").code == 0
    assert run("forget", redis, "ann", "--yes", "--json").json["verified"] is True


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
    assert ran.code == exits.ACCESS
    assert (ran.json["memories_erased"], ran.json["remaining"]) == (3, 0)
    assert (ran.json["older"], ran.json["verified"]) == (None, False)
    assert "SCAN" in ran.json["not_checked"]
    ran = run("forget", eraser, "ann", "--yes")
    assert "older             not known" in ran.out
    assert "whether it is all could not be checked" in ran.err
    assert run("forget", redis, "ann", "--yes", "--json").json["verified"] is True
    with Redis.from_url(redis_server) as admin:
        admin.execute_command("ACL DELUSER", "eraser")


class Leaky(StoredMemoryDb):
    """A database where somebody else writes for the user in the same moment."""

    def __init__(self) -> None:
        super().__init__(InMemoryStore())
        self.upsert_memory(MemoryRow({}, "1", "ann"))

    def delete_user(self, user_id: str) -> dict[str, int]:
        """Delete, and see a new row appear."""
        deleted = super().delete_user(user_id)
        self.upsert_memory(MemoryRow({}, "2", user_id))
        return deleted


def test_forget_verifies(run: Run) -> None:
    """Rows that are still there afterwards are told, with exit code 1."""
    ran = run("forget", f"{__name__}:Leaky", "ann", "--yes", "--json")
    assert ran.code == exits.NO
    assert ran.json["verified"] is False
    assert "erase again" in ran.err


@pytest.fixture
def old(tmp_path: Path) -> str:
    """A store as older software left it."""
    shutil.copy(LEGACY / "sqlite_agno184_v2.db", tmp_path / "old.db")
    return f"sqlite:///{tmp_path / 'old.db'}?table_name=user_memories"


def test_upgrade(process: Run, old: str) -> None:
    """An older layout is brought up after a yes; before it nothing is changed."""
    assert process("ls", old).code == exits.DATA
    assert "buddy-memory upgrade URL" in process("ls", old).err
    ran = process("upgrade", old)
    assert ran.code == exits.INTERRUPTED
    assert "made by an older release" in ran.out
    assert "200 memories of older software can be read" in ran.out
    assert process("ls", old).code == exits.DATA
    ran = process("upgrade", old, stdin=b"y\n")
    assert "The layout is current" in ran.out
    again = process("upgrade", old, "--yes", "--json").json
    assert again["readable"] > 0
    assert len(process("ls", old, "--all", "--json").json) == again["readable"]
