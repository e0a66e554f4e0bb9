"""What goes wrong with a server: the right error, with its cause, and nothing half-written."""

from __future__ import annotations

import inspect
import logging
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis import exceptions, sentinel

from buddy.memory.errors import (
    AccessError,
    MemoryDbError,
    SchemaError,
    TooLargeError,
    UnavailableError,
)
from buddy.memory.storage.record import Kind
from buddy.memory.storage.sync_runner import run
from buddy.memory.testing import BackendUnderTest, Trial
from buddy.memory.testing.rules.failure import every_call
from buddy.memory.v2.db.redis import RedisMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from buddy_memory_redis import encoding, scripts
from buddy_memory_redis.errors import DRIVER_ERRORS, translate
from buddy_memory_redis.schema import Keys
from tests.redis.stored import assert_sound, dangling_entries
from tests.servers import redis as servers

PASSWORD = "correct-horse"  # noqa: S105  (guards a server that lives for seconds)

CHANGEABLE = [servers.valkey, servers.redis_7]


@pytest.fixture(scope="module", params=CHANGEABLE, ids=["valkey", "redis"])
def server(request: pytest.FixtureRequest) -> Iterator[servers.RedisServer]:
    """A server whose settings a test may change."""
    server = servers.RedisServer(request.param(), "--save", "")
    yield server
    server.stop()


@pytest.fixture
def admin(server: servers.RedisServer) -> Iterator[redis.Redis]:
    with server.client() as client:
        yield client
        client.config_set("maxmemory", 0)
        client.config_set("maxmemory-policy", "noeviction")
        client.execute_command("ACL SETUSER", "default", "reset", "on", "nopass", "~*", "+@all")
        client.flushall()


def every_method_raises(db: Any, error: type[MemoryDbError], text: str = "") -> None:
    """Call every method and see the error, with the driver's as its cause."""
    trial = Trial(BackendUnderTest(open=lambda: db))
    for _, call in every_call(trial, db):
        with pytest.raises(error, match=text) as raised:
            call()
        assert raised.value.__cause__ is not None
    trial.close()


def driver_errors() -> list[type[BaseException]]:
    found = [cls for module in (exceptions, sentinel) for cls in vars(module).values()]
    return [cls for cls in found if inspect.isclass(cls) and issubclass(cls, BaseException)]


@pytest.mark.parametrize("cls", driver_errors(), ids=lambda cls: cls.__name__)
def test_every_error_of_the_driver_is_translated(cls: type[BaseException]) -> None:
    """Each exception class of redis-py is caught, and becomes one of ours."""
    text = "3999 127.0.0.1:6381" if issubclass(cls, exceptions.AskError) else "some text"
    error = cls(text)
    assert isinstance(error, DRIVER_ERRORS)
    ours = translate(error)
    assert isinstance(ours, (AccessError, SchemaError, UnavailableError))
    assert ours.__cause__ is error


def test_a_wrong_password(server: servers.RedisServer, admin: redis.Redis) -> None:
    """Missing and wrong credentials raise AccessError from every method, without the password."""
    admin.execute_command("ACL SETUSER", "default", "resetpass", f">{PASSWORD}")
    for password, message in (
        (None, r"wants a password and was given none: redis://:\$\{PASSWORD\}@host"),
        ("wrong-horse", "refused the credentials"),
    ):
        db = RedisMemoryDb(port=server.port, password=password)
        every_method_raises(db, AccessError, message)
    with RedisMemoryDb("right", port=server.port, password=PASSWORD) as db:
        db.ping()
        assert PASSWORD not in repr(db) + repr(db.to_dict())
    with pytest.raises(AccessError) as raised:
        RedisMemoryDb.from_url(f"redis://:wrong-horse@127.0.0.1:{server.port}").ping()
    assert "horse" not in str(raised.value)


def commands_of_scripts() -> list[str]:
    """Return the commands that the scripts run."""
    texts = [file.read_text() for file in Path(scripts.__path__[0]).glob("*.lua")]
    return sorted({name for text in texts for name in re.findall(r"call\('([A-Z]+)'", text)})


CALLS: dict[str, Any] = {
    "insert": lambda db: db.upsert_memory(MemoryRow({"n": 9}, "new", "ann")),
    "update": lambda db: db.upsert_memory(MemoryRow({"n": 9}, "0", "ann")),
    "bulk": lambda db: db.upsert_memories(MemoryRow({"n": 9}, id, "ann") for id in ("new", "0")),
    "delete": lambda db: db.delete_memory("0", user_id="ann"),
    "delete many": lambda db: db.delete_memories(["0", "1"], user_id="ann"),
    "delete user": lambda db: db.delete_user("ann"),
    "clear": lambda db: db.clear(),
    "rewrite": lambda db: rewrite(db),
    "get": lambda db: db.read_memory("0", user_id="ann"),
    "get by id": lambda db: db.read_memory("0"),
    "list": lambda db: db.read_memories("ann"),
    "list all": lambda db: db.read_memories(),
    "list a prefix": lambda db: db.read_memories(user_prefix="a"),
    "count": lambda db: db.count_memories("ann"),
    "count all": lambda db: db.count_memories(),
    "users": lambda db: db.list_users(),
    "drop": lambda db: db.drop_table(),
}

IN_PARTS = {"delete user", "clear", "drop"}
"""Calls about memories and summaries, one after the other."""


def rewrite(db: Any) -> None:
    """Replace a row by its stamp."""
    store = db._rules.store
    stamp = run(store.get(Kind.MEMORY, "ann", "0")).stamp
    assert run(store.rewrite(Kind.MEMORY, "ann", "0", stamp, payload={"n": 9}, vector=b"v"))


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("expire", [None, 1000], ids=["lasting", "expiring"])
def test_a_command_that_the_user_may_not_run(
    server: servers.RedisServer, admin: redis.Redis, shards: int, expire: int | None
) -> None:
    """A missing right raises AccessError that names the command, and nothing is half-written."""
    refused = set()
    for command in ("EVALSHA", *commands_of_scripts()):
        rights = ("reset", "on", "nopass", "~*", "+@all", f"-{command}")
        admin.execute_command("ACL SETUSER", "limited", *rights)
        for name, call in CALLS.items():
            admin.flushall()
            options: dict[str, Any] = {"port": server.port, "expire": expire, "shards": shards}
            with (
                RedisMemoryDb(**options) as full,
                RedisMemoryDb(username="limited", password=PASSWORD, **options) as db,
            ):
                rows = full.upsert_memories(MemoryRow({"n": n}, f"{n}", "ann") for n in range(2))
                said, before = "", stored(admin)
                try:
                    call(db)
                except AccessError as error:
                    said = str(error)
                if said:
                    refused.add(command)
                    assert command in said
                    if name not in IN_PARTS:
                        assert stored(admin) == before, (command, name)
                        assert full.read_memories(sort="asc") == rows, (command, name)
                    assert_sound(full)
                    assert dangling_entries(admin, "BUDDY_memory") == []
    assert {"EVALSHA", "HSET", "HDEL", "ZADD", "ZREM", "HGET", "HMGET", "UNLINK"} <= refused


def test_the_rights_in_the_readme(server: servers.RedisServer, admin: redis.Redis) -> None:
    """The rights that the README names are enough."""
    text = (Path(__file__).parents[2] / "buddy-memory-redis" / "README.md").read_text()
    start = text.index("ACL SETUSER agent")
    rights = text[start : text.index("```", start)].replace(">password", f">{PASSWORD}").split()
    admin.execute_command("ACL SETUSER", *rights[2:])
    with RedisMemoryDb(port=server.port, username="agent", password=PASSWORD, expire=99) as db:
        db.create()
        rows = db.upsert_memories(MemoryRow({"n": n}, f"{n}", "ann") for n in range(3))
        assert db.upsert_memory(MemoryRow({"n": 1}, "1", "ann")).version == 2
        assert db.read_memories(limit=1) == db.read_memories("ann", 1) == [rows[2]]
        assert (db.count_memories(), db.count_memories("ann")) == (3, 3)
        assert db.read_memories_by_id(["0", "9"]) == [rows[0], None]
        assert db.list_users() == ["ann"]
        assert db.delete_memory("1") is True
        assert db.delete_user("ann") == {"memories": 2, "summaries": 0}
        db.clear()
        db.drop_table()


def test_a_user_who_may_only_read(server: servers.RedisServer, admin: redis.Redis) -> None:
    """Without rights to write all reads work, also beside leftovers; writes raise AccessError."""
    admin.execute_command(
        "ACL SETUSER",
        "reader",
        "on",
        "nopass",
        "~*",
        "+@read",
        "+@scripting",
        "+@connection",
        "+time",
    )
    with RedisMemoryDb(port=server.port) as db:
        row = db.upsert_memory(MemoryRow({"n": 1}, "a", "ann"))
        admin.zadd("buddy-memory/{BUDDY_memory/0}/memory/order", {"ann\0ghost": 1})
    with RedisMemoryDb(port=server.port, username="reader", password=PASSWORD) as db:
        assert db.read_memories() == db.read_memories("ann") == [row]
        assert db.read_memory("a") == row
        assert db.count_memories() == db.count_memories("ann") == 1
        assert db.list_users(prefix="a") == ["ann"]
        with pytest.raises(AccessError):
            db.upsert_memory(MemoryRow({"n": 2}, "b", "ann"))


def test_a_key_that_holds_something_else(server: servers.RedisServer, admin: redis.Redis) -> None:
    """A key of another type raises SchemaError from writes, and nothing is half-written."""
    keys = Keys("typed")
    for key in (keys.meta(0), *keys.of(Kind.MEMORY, 0)):
        if key.endswith(b"ends"):  # Looked at where rows expire; see the next test.
            continue
        with RedisMemoryDb("typed", port=server.port) as db:
            admin.flushall()
            admin.rpush(key, "a list")
            with pytest.raises(SchemaError, match="WRONGTYPE"):
                db.upsert_memory(MemoryRow({"n": 1}, "a", "ann"))
            with RedisMemoryDb("typed", port=server.port) as other:
                with pytest.raises(SchemaError, match="WRONGTYPE"):
                    other.upsert_memories([MemoryRow({"n": 1}, f"{n}", "ann") for n in range(3)])
            admin.delete(key)
            assert assert_sound(db) == []
            assert db.upsert_memory(MemoryRow({"n": 1}, "a", "ann")).version == 1
            db.drop_table()


def stored(client: Any) -> dict[bytes, bytes]:
    """Return all that a server holds, but for positions that were set aside."""
    keys = [key for key in client.scan_iter() if not key.endswith(b"meta")]
    return {key: client.dump(key) for key in keys}


CHANGES = {
    "insert": lambda db: db.upsert_memory(MemoryRow({"n": 9}, "new", "ann")),
    "update": lambda db: db.upsert_memory(MemoryRow({"n": 9}, "0", "ann")),
    "delete": lambda db: db.delete_memory("0", user_id="ann"),
    "delete user": lambda db: db.delete_user("ann"),
    "rewrite": rewrite,
}


@pytest.mark.parametrize("expire", [None, 1000], ids=["lasting", "expiring"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_beside_something_else(
    server: servers.RedisServer, admin: redis.Redis, change: Any, expire: int | None
) -> None:
    """Beside a key of another type a change has no need of the key, or raises SchemaError and does
    nothing."""
    keys = Keys("typed")
    for key in keys.of(Kind.MEMORY, 0):
        with RedisMemoryDb("typed", port=server.port, expire=expire) as db:
            rows = db.upsert_memories(MemoryRow({"n": n}, f"{n}", "ann") for n in range(2))
            kept: Any = admin.dump(key)
            admin.delete(key)
            admin.rpush(key, "a list")
            before = stored(admin)
            try:
                change(db)
                refused = False
            except SchemaError:
                refused = True
            assert (stored(admin) == before) is refused, key
            admin.delete(key)
            if kept is not None:
                admin.restore(key, 0, kept)
            assert_sound(db)
            assert (db.read_memories(sort="asc") == rows) is refused, key
            db.drop_table()


def test_a_full_server(server: servers.RedisServer, admin: redis.Redis) -> None:
    """A server without memory raises UnavailableError from writes; reads and deletions work."""
    with RedisMemoryDb("full", port=server.port) as db:
        old = db.upsert_memories(MemoryRow({"n": n}, f"{n}", "ann") for n in range(3))
        admin.config_set("maxmemory", "100kb")
        for write in (
            lambda: db.upsert_memory(MemoryRow({"n": 1}, "new", "ann")),
            lambda: db.upsert_memory(MemoryRow({"n": 9}, "1", "ann")),
            lambda: db.upsert_memories([MemoryRow({}, "new", "ann"), MemoryRow({}, "1", "ann")]),
        ):
            with pytest.raises(UnavailableError, match="full"):
                write()
        assert db.read_memories(sort="asc") == old
        assert assert_sound(db) == ["0", "1", "2"]
        assert db.delete_memory("0") is True
        assert db.delete_memories(["2"], user_id="ann") == 1
        admin.config_set("maxmemory", 0)
        assert assert_sound(db) == ["1"]
        assert db.upsert_memory(MemoryRow({"n": 1}, "new", "bob")).version == 1
        admin.config_set("maxmemory", "100kb")
        assert db.delete_user("ann") == {"memories": 1, "summaries": 0}
        db.clear()
        admin.config_set("maxmemory", 0)
        assert assert_sound(db) == []
        assert dangling_entries(admin, "full") == []


def test_a_server_that_does_not_answer() -> None:
    """A server that takes connections and says nothing is unavailable after the timeout."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with RedisMemoryDb(port=silent.getsockname()[1], timeout=0.05) as db:
            with pytest.raises(UnavailableError):
                db.read_memories("ann")


@pytest.mark.parametrize("program", CHANGEABLE, ids=["valkey", "redis"])
def test_a_restart_of_the_server(program: Any, prefix: str) -> None:
    """After the server was restarted the next call works, and rows that it saved are there."""
    server = servers.RedisServer(program(), *servers.DURABLE)
    with RedisMemoryDb.from_url(server.url, prefix=prefix) as db:
        row = db.upsert_memory(MemoryRow({"n": 1}, "a", "ann"))
        server.restart()
        assert db.upsert_memory(MemoryRow({"n": 1}, "b", "ann")).version == 1
        assert db.read_memory("a") == row
        server.restart()
        assert db.delete_memory("a") is True
    server.stop()


def test_a_row_that_is_too_large(valkey_url: str, prefix: str, monkeypatch: Any) -> None:
    """A payload beyond the limit is refused before anything is sent."""
    monkeypatch.setattr(encoding, "MAX_BYTES", 1000)
    with RedisMemoryDb.from_url(valkey_url, prefix=prefix) as db:
        with pytest.raises(TooLargeError) as raised:
            db.upsert_memories([MemoryRow({}, "small"), MemoryRow({"text": "x" * 1000}, "large")])
        assert (raised.value.size, raised.value.limit) == (1011, 1000)
        assert db.table_exists() is False


def test_create_warns_once(
    server: servers.RedisServer, admin: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """create() says once that the server evicts keys, and that it persists nothing."""
    admin.config_set("maxmemory-policy", "allkeys-lru")
    with RedisMemoryDb("warned", port=server.port) as db, caplog.at_level(logging.WARNING):
        db.create()
        db.create()
    assert [record.name for record in caplog.records] == ["buddy.memory"]
    assert "maxmemory-policy allkeys-lru" in caplog.text
    assert "persists nothing" in caplog.text


@pytest.mark.parametrize(
    "settings", [{"save": "60 1"}, {"appendonly": "yes"}], ids=["snapshots", "append-only file"]
)
def test_create_is_content_with_a_lasting_server(
    server: servers.RedisServer,
    admin: redis.Redis,
    caplog: pytest.LogCaptureFixture,
    settings: dict[str, str],
) -> None:
    """create() warns neither of a server that persists, nor of one that hides its settings."""
    before = {name: admin.config_get(name)[name] for name in settings}
    for name, value in settings.items():
        admin.config_set(name, value)
    with RedisMemoryDb("lasting", port=server.port) as db, caplog.at_level(logging.WARNING):
        db.create()
    for name, value in before.items():
        admin.config_set(name, value)
    admin.execute_command("ACL SETUSER", "hidden", "on", "nopass", "~*", "+@all", "-config")
    with RedisMemoryDb("lasting", port=server.port, username="hidden", password=PASSWORD) as db:
        db.create()
    assert caplog.records == []
