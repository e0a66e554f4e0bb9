"""Encryption at rest: what is stored, what is shown, and what is refused."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis
from click.testing import CliRunner

from buddy.memory import open_async_memory_db, open_memory_db, plugins
from buddy.memory.errors import ConfigError, CorruptMemoryError
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.record import Kind, Record, Scope
from buddy.memory.testing import CHECKS, BackendUnderTest, run_checks
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from buddy.memory.v2.db.store_backed import AsyncStoreBackedMemoryDb, StoreBackedMemoryDb
from buddy_memory_encryption import Encryption, Keys, Rotation, new_key, rotate
from buddy_memory_encryption.command import keys_command, rekey_command
from tests.servers import redis as servers

OLD, NEW = bytes(32), bytes(range(32))
GOOD = urlsafe_b64encode(NEW).decode()
SECRET = {"diagnosis": "nobody's business", "nul": "\0", "half": "\ud800"}


@contextmanager
def encrypting(plugin: Encryption | None = None, **keys: Any) -> Generator[None]:
    added = plugin or Encryption(Keys(keys))
    plugins.register(added)
    try:
        yield
    finally:
        plugins.unregister(added)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/a.db"


def stored(tmp_path: Path, table: str = "memory") -> list[dict[str, Any]]:
    """What stands in the file."""
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        column = "memory" if table == "memory" else "summary"
        rows = connection.execute(f"SELECT {column} FROM {table} ORDER BY id")  # noqa: S608
        return [json.loads(text) for (text,) in rows]


def change(tmp_path: Path, statement: str, *values: str) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection, connection:
        connection.execute(statement, values)


def test_nothing_of_a_payload_is_in_the_file(url: str, tmp_path: Path) -> None:
    """Memories and summaries, single and bulk, come back as written and are stored sealed."""
    with encrypting(k1=NEW), open_memory_db(url) as db:
        row = db.upsert_memory(MemoryRow(SECRET, "a", "ann"))
        bulk = db.upsert_memories([MemoryRow(SECRET, "b", "ann"), MemoryRow(SECRET, "c", "ann")])
        summary = db.upsert_summary(SummaryRow(SECRET, "s", "ann"))
        assert row.memory == SECRET
        assert db.read_memories("ann") == [*reversed(bulk), row]
        assert db.read_summary("s") == summary
    for payload in [*stored(tmp_path), *stored(tmp_path, "memory_summaries")]:
        assert set(payload) == {"buddy_memory_encryption", "key", "sealed"}
        assert payload["key"] == "k1"
    assert b"nobody" not in b"".join(file.read_bytes() for file in tmp_path.iterdir())


def test_the_asynchronous_side_is_encrypted_too(url: str, tmp_path: Path) -> None:
    """What an AsyncMemoryDb writes is sealed, and what it reads is not."""

    async def write() -> list[MemoryRow]:
        async with open_async_memory_db(url) as db:
            await db.upsert_memory(MemoryRow(SECRET, "a"))
            return await db.read_memories()

    with encrypting(k1=NEW):
        (row,) = asyncio.run(write())
    assert row.memory == SECRET
    assert "sealed" in stored(tmp_path)[0]


@pytest.fixture(scope="module")
def valkey() -> Iterator[str]:
    if given := os.environ.get("BUDDY_TEST_REDIS_URL"):
        yield given
        return
    server = servers.RedisServer(servers.valkey(), *servers.DURABLE)
    yield server.url
    server.stop()


def test_a_networked_store_never_sees_a_payload(valkey: str) -> None:
    """On Redis, sync and async, the server holds sealed payloads only, and rotation works."""
    prefix = f"test-{uuid4().hex}"
    url = f"{valkey}?prefix={prefix}"

    async def read() -> list[MemoryRow]:
        async with open_async_memory_db(url) as db:
            await db.upsert_memory(MemoryRow(SECRET, "b", "ann"))
            return await db.read_memories("ann")

    with encrypting(k1=OLD), open_memory_db(url) as db:
        db.upsert_memory(MemoryRow(SECRET, "a", "ann"))
    with encrypting(k2=NEW, k1=OLD), open_memory_db(url) as db:
        assert [row.memory for row in asyncio.run(read())] == [SECRET, SECRET]
        assert rotate(db) == Rotation(1, 0)
    with encrypting(k2=NEW), open_memory_db(url) as db:
        assert [row.id for row in db.read_memories("ann")] == ["b", "a"]
        with redis.Redis.from_url(valkey) as client:
            keys = list(client.scan_iter(f"*{prefix}*"))
            dumps = [client.dump(key) for key in keys]
        assert keys
        assert not [dump for dump in dumps if b"nobody" in (dump or b"")]
        db.drop_table()


def test_every_rule_holds_behind_encryption() -> None:
    """An encrypted database keeps every rule, sync and async."""
    with encrypting(k1=NEW):
        for cls in (StoreBackedMemoryDb, AsyncStoreBackedMemoryDb):

            def subject(cls: Any = cls) -> BackendUnderTest:
                store = InMemoryStore()
                return BackendUnderTest(open=lambda: cls(store), waits=False)

            once = cls is StoreBackedMemoryDb
            outcomes = run_checks(subject, [check for check in CHECKS if once or not check.big])
            assert [o for o in outcomes if o.status == "failed"] == []


MOVES = {
    "to another id": "UPDATE memory SET memory = (SELECT memory FROM memory WHERE id = 'b')",
    "to another user": "UPDATE memory SET user_id = 'bob' WHERE id = 'a'",
    "changed": 'UPDATE memory SET memory = replace(memory, \'"sealed":"\', \'"sealed":"A\')',
    "cut off": 'UPDATE memory SET memory = \'{"buddy_memory_encryption":1,"key":"k1"}\'',
    "plain": 'UPDATE memory SET memory = \'{"diagnosis":"fine"}\'',
    "with another key's id": "UPDATE memory SET memory = replace(memory, '\"k1\"', '\"k2\"')",
}


@pytest.mark.parametrize("statement", MOVES.values(), ids=MOVES)
def test_what_was_moved_or_changed_is_unreadable(
    url: str, tmp_path: Path, statement: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A sealed payload opens in its own row only, and unchanged: otherwise reading by id raises,
    and a listing leaves the row out with a warning."""
    with encrypting(k1=NEW, k2=OLD), open_memory_db(url) as db:
        db.upsert_memories([MemoryRow({"n": 1}, "a", "ann"), MemoryRow({"n": 2}, "b", "ann")])
        change(tmp_path, statement)
        with pytest.raises(CorruptMemoryError, match="the plugin Encryption cannot read it"):
            db.read_memory("a")
        assert "a" not in [row.id for row in db.read_memories()]
    assert "skipped the unreadable row 'a'" in caplog.text


def test_a_memory_does_not_open_as_a_summary(url: str, tmp_path: Path) -> None:
    """Moved to the summary of the same id and user, a sealed memory is unreadable."""
    with encrypting(k1=NEW), open_memory_db(url) as db:
        db.upsert_memory(MemoryRow({"n": 1}, "a", "ann"))
        db.upsert_summary(SummaryRow({"n": 2}, "a", "ann"))
        change(tmp_path, "UPDATE memory_summaries SET summary = (SELECT memory FROM memory)")
        with pytest.raises(CorruptMemoryError, match="InvalidTag"):
            db.read_summary("a")


def test_the_wrong_key_shows_nothing_and_destroys_nothing(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With other keys rows are unreadable, which is said, and with the right one they are back."""
    with encrypting(k1=OLD), open_memory_db(url) as db:
        db.upsert_memory(MemoryRow(SECRET, "a"))
    for keys, reason in (({"k2": NEW}, "UnknownKeyError"), ({"k1": NEW}, "InvalidTag")):
        with encrypting(**keys), open_memory_db(url) as db:
            with pytest.raises(CorruptMemoryError, match=reason):
                db.read_memory("a")
            assert db.read_memories() == []
            assert db.count_memories() == 1
    assert caplog.text.count("skipped the unreadable row 'a'") == 2
    with encrypting(k1=OLD), open_memory_db(url) as db:
        assert [row.memory for row in db.read_memories()] == [SECRET]


def test_rotation_seals_everything_with_the_newest_key(url: str, tmp_path: Path) -> None:
    """After a rotation the old key is not needed; a second one has nothing to do."""
    with encrypting(k1=OLD), open_memory_db(url) as db:
        db.upsert_memories([MemoryRow({"n": n}, f"{n:03}", "ann") for n in range(600)])
        db.upsert_summary(SummaryRow(SECRET, "s"))
    with encrypting(k2=NEW, k1=OLD), open_memory_db(url) as db:
        db.upsert_memory(MemoryRow({"n": 0}, "000", "ann"))
        before = db.read_memories()
        assert rotate(db) == Rotation(600, 0)
        assert db.read_memories() == before  # Versions and times included.
        assert rotate(db) == Rotation(0, 0)
    assert {p["key"] for p in stored(tmp_path)} == {"k2"}
    with encrypting(k2=NEW), open_memory_db(url) as db:
        assert [row.memory["n"] for row in db.read_memories(sort="asc")] == list(range(600))
        assert [row.memory for row in db.iter_memories("ann")][-1] == {"n": 0}
        summary = db.read_summary("s")
        assert summary is not None
        assert summary.summary == SECRET


def test_rotation_does_not_undo_what_others_write_meanwhile(url: str) -> None:
    """A row that changes or goes while it is rotated keeps that change, or stays away."""
    with encrypting(k1=OLD), open_memory_db(url) as db:
        db.upsert_memories([MemoryRow({"n": n}, str(n)) for n in range(3)])
    with encrypting(k1=OLD):
        other = open_memory_db(url)
    with encrypting(k2=NEW, k1=OLD), open_memory_db(url) as db:
        assert isinstance(db, StoreBackedMemoryDb)
        page = db.iter_records

        def interrupted(kind: Kind, scope: Scope) -> Iterator[Record]:
            for record in page(kind, scope):
                if record.id == "0":
                    other.upsert_memory(MemoryRow({"n": "new"}, "1"))
                    other.delete_memory("0")
                yield record

        db.iter_records = interrupted  # type: ignore[method-assign]
        assert rotate(db) == Rotation(2, 0)
        left = {row.id: (row.memory["n"], row.version) for row in db.read_memories()}
        assert left == {"2": (2, 1), "1": ("new", 2)}
    other.close()


def test_rotation_keeps_one_id_of_several_users_apart(url: str) -> None:
    """Rows of one id are rotated each for its user, and what is written meanwhile stays."""
    users = ("ann", "bob", None)
    with encrypting(k1=OLD), open_memory_db(url) as db:
        db.upsert_memories([MemoryRow({"of": user}, "x", user) for user in users])
    with encrypting(k1=OLD):
        other = open_memory_db(url)
    with encrypting(k2=NEW, k1=OLD), open_memory_db(url) as db:
        assert isinstance(db, StoreBackedMemoryDb)
        page = db.iter_records

        def interrupted(kind: Kind, scope: Scope) -> Iterator[Record]:
            for record in page(kind, scope):
                if record.user_id == "bob":
                    other.upsert_memory(MemoryRow({"of": "bob", "new": True}, "x", "bob"))
                yield record

        db.iter_records = interrupted  # type: ignore[method-assign]
        assert rotate(db) == Rotation(3, 0)
        shown = {row.user_id: row.memory.get("new", False) for row in db.read_memories()}
        assert shown == {"ann": False, "bob": True, None: False}
    other.close()


def test_rotation_says_what_it_could_not_read(url: str) -> None:
    """Rows whose key is lost are counted and stay as they are; without the plugin it refuses."""
    with encrypting(lost=OLD), open_memory_db(url) as db:
        db.upsert_memory(MemoryRow(SECRET, "a"))
    with encrypting(k2=NEW), open_memory_db(url) as db:
        assert rotate(db) == Rotation(0, 1)
    with open_memory_db(url) as db, pytest.raises(RuntimeError, match="no Encryption"):
        rotate(db)


def test_rotation_goes_on_behind_a_row_that_turns_unreadable(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A row that another client makes unreadable meanwhile is named and counted; the rest is
    sealed anew."""
    with encrypting(k1=OLD), open_memory_db(url) as db:
        db.upsert_memories([MemoryRow({"n": n}, f"row {n}") for n in range(3)])
    with encrypting(lost=bytes(32)):
        other = open_memory_db(url)
    with encrypting(k2=NEW, k1=OLD), open_memory_db(url) as db:
        assert isinstance(db, StoreBackedMemoryDb)
        page = db.iter_records

        def interrupted(kind: Kind, scope: Scope) -> Iterator[Record]:
            for record in page(kind, scope):
                if record.id == "row 1":
                    other.upsert_memory(MemoryRow({"n": "new"}, "row 1"))
                yield record

        db.iter_records = interrupted  # type: ignore[method-assign]
        assert rotate(db) == Rotation(2, 1)
    assert "row 1" in caplog.text
    other.close()


def test_plain_rows_from_before_can_be_sealed(url: str) -> None:
    """With read_plain old rows are shown and a rotation seals them; then it is not needed."""
    with open_memory_db(url) as db:
        db.upsert_memory(MemoryRow(SECRET, "a"))
    with encrypting(Encryption(Keys({"k1": NEW}), read_plain=True)), open_memory_db(url) as db:
        assert rotate(db) == Rotation(1, 0)
    with encrypting(k1=NEW), open_memory_db(url) as db:
        assert [row.memory for row in db.read_memories()] == [SECRET]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "key number 1 is not written"),
        (f"a:{GOOD},:x", "key number 2"),
        ("a:short", "'a'"),
        ("a:AAAA", "'a' has 3 bytes"),
        (f"a:{GOOD}, a:{GOOD}", "'a' stands there twice"),
    ],
    ids=["nothing", "no id", "no base64", "too short", "twice"],
)
def test_wrong_keys_are_refused_without_showing_them(text: str, says: str) -> None:
    """What is wrong with the keys is said by number or id; no key is in the message."""
    with pytest.raises(ValueError, match=says) as caught:
        Keys.parse(text)
    assert GOOD not in str(caught.value)
    assert "short" not in str(caught.value)


def test_keys_are_read_as_new_key_writes_them() -> None:
    """The newest key is the first one of the text."""
    assert Keys.parse(f"b:{new_key()}, a:{new_key()}").newest == "b"
    with pytest.raises(ValueError, match="at least one"):
        Keys({})


def test_the_commands_make_keys_and_rekey(url: str) -> None:
    """new-key prints a key; rekey says what it did, and by its exit code what is left."""

    def run(command: Any, *arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(command, arguments)
        return done.exit_code, done.output

    code, key = run(keys_command, "new-key")
    assert code == 0
    with encrypting(k1=OLD), open_memory_db(url) as db:
        db.upsert_memory(MemoryRow(SECRET, "a"))
    with encrypting(Encryption(Keys.parse(f"k2:{key.strip()}"))):
        assert run(rekey_command, url) == (1, "0 rows sealed anew, 1 unreadable\n")
    with encrypting(k2=NEW, k1=OLD):
        assert run(rekey_command, url) == (0, "1 row sealed anew, 0 unreadable\n")
        code, _ = run(keys_command, "destroy", "ann", "--yes")
        assert code == 1
    with pytest.raises(ConfigError, match="no Encryption"):
        CliRunner().invoke(rekey_command, [url], catch_exceptions=False)


@pytest.mark.parametrize("variables", [{}, {"BUDDY_MEMORY_ENCRYPTION_KEYS": "k1"}])
def test_without_keys_the_installed_plugin_does_not_load(variables: dict[str, str]) -> None:
    """Importing what the entry point names fails where the environment has no good keys."""
    load = "import sys; sys.path[:0] = sys.argv[1:]; import buddy_memory_encryption.installed"
    command = [sys.executable, "-c", load, str(Path(__file__).parents[1])]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ValueError" in done.stderr
