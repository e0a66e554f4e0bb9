"""Ways to a server: URLs, a ready client, a socket, a proxy; and what becomes of them."""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
import redis
import redis.asyncio

from buddy.memory import open_async_memory_db, open_memory_db
from buddy.memory.errors import ConfigError, CorruptMemoryError
from buddy.memory.v2.db.redis import AsyncRedisMemoryDb, RedisMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from buddy_memory_redis.url import Address
from tests.redis.stored import assert_sound
from tests.servers import redis as servers


def use(db: RedisMemoryDb) -> None:
    """Write, read and remove, one by one and many, for several users."""
    with db:
        rows = [
            MemoryRow({"n": n, "text": "ü\n\r\n$1"}, f"{n}", f"user {n % 7}") for n in range(50)
        ]
        stored = db.upsert_memories(rows)
        assert db.read_memories(sort="asc") == stored
        assert db.upsert_memory(MemoryRow({"n": 1}, "0", "user 0")).version == 2
        assert db.upsert_memory(MemoryRow({"n": 1}, "new", None)).version == 1
        assert db.upsert_memory(MemoryRow({"n": 1}, "0", "user 1")).version == 1
        assert db.read_memory("new", user_id=None) is not None
        assert db.list_users() == [f"user {n}" for n in range(7)]
        assert db.delete_memory("7") is True
        assert db.delete_user("user 1") == {"memories": 8, "summaries": 0}
        assert db.count_memories() == 43
        db.drop_table()
        assert db.count_memories() == 0


H = (("h", 6379),)
ADDRESSES = {
    "redis://h": Address(H),
    "redis://": Address((("localhost", 6379),)),
    "valkey://h:7/3": Address((("h", 7),), db=3),
    "rediss://u:p%40ss@h/0": Address(H, tls=True, username="u", password="p@ss"),  # noqa: S106
    "valkeys://:p@[::1]:7": Address((("::1", 7),), tls=True, password="p"),  # noqa: S106
    "redis://h?db=4&socket_timeout=5": Address(H, db=4, options=(("socket_timeout", "5"),)),
    "unix:///run/r.sock?db=2": Address((("localhost", 6379),), db=2, path="/run/r.sock"),
    "unix://:p@/run/r.sock": Address((("localhost", 6379),), path="/run/r.sock", password="p"),  # noqa: S106
    "redis+sentinel://a,b:7/main/1": Address(
        (("a", 26379), ("b", 7)), mode="sentinel", service="main", db=1
    ),
    "rediss+cluster://:p@a:1,b": Address(
        (("a", 1), ("b", 6379)),
        mode="cluster",
        tls=True,
        password="p",  # noqa: S106
    ),
}


@pytest.mark.parametrize("url", ADDRESSES)
def test_urls(url: str) -> None:
    """Each form of URL names what it says."""
    assert Address.parse(url) == ADDRESSES[url]


@pytest.mark.parametrize(
    "url",
    [
        "http://h",
        "redis://:hunter2@h/x",
        "redis://:hunter2@h:port",
        "redis:/:hunter2@h",
        "redis+cluster://:hunter2@h/1",
        "redis+sentinel://:hunter2@h",
        "redis+magic://:hunter2@h",
        "unix://:hunter2@",
        "unix+cluster://:hunter2@/x",
        "redis://:hunter2@h?sokcet_timeout=1",
        "redis://:hunter2@h?socket_timeout=soon",
        "redis+cluster://:hunter2@h?nonsense=1",
        "redis+sentinel://:hunter2@h/main?sentinel_nonsense=1",
        7,
    ],
)
@pytest.mark.parametrize("cls", [RedisMemoryDb, AsyncRedisMemoryDb], ids=["sync", "async"])
def test_wrong_urls(cls: Any, url: Any) -> None:
    """A URL that is none, or has unknown parameters, is refused at once, without its password."""
    with pytest.raises(ConfigError) as raised:
        cls(db_url=url)
    assert "hunter2" not in str(raised.value)


def test_the_registry_finds_us(valkey: servers.RedisServer, prefix: str) -> None:
    """All schemes and names lead here, with options from the URL."""
    for scheme in ("redis", "valkey", "rediss", "valkeys", "redis+cluster", "redis+sentinel"):
        url = f"{scheme}://127.0.0.1:{valkey.port}/{'x' if 'sentinel' in scheme else ''}"
        with open_memory_db(f"{url}?prefix={prefix}&expire=7") as db:
            assert type(db) is RedisMemoryDb
            assert db.to_dict()["prefix"] == prefix
            assert db.to_dict()["expire"] == 7
    assert type(open_async_memory_db("redis")) is AsyncRedisMemoryDb
    with open_memory_db({"backend": "valkey", "port": valkey.port, "prefix": prefix}) as db:
        db.upsert_memory(MemoryRow({"n": 1}))
        db.drop_table()
    with pytest.raises(ConfigError, match="prefix"):
        open_memory_db("redis://h?prefx=a")


def test_settings_show_no_password() -> None:
    """repr, to_dict and errors show where the store is, and never the password."""
    for db in (
        RedisMemoryDb("p", "h", password="hunter2"),  # noqa: S106
        RedisMemoryDb.from_url("redis://u:hunter2@h?prefix=p"),
    ):
        assert "hunter2" not in repr(db) + repr(db.to_dict())
        assert db.to_dict()["prefix"] == "p"
        assert "hunter2" in str(pickle.loads(pickle.dumps(db))._settings)  # noqa: S301


@pytest.mark.parametrize("prefix", ["", None, 7, "\ud800"])
def test_a_wrong_prefix(prefix: Any) -> None:
    """A prefix is a string that can be stored, and not an empty one."""
    with pytest.raises(ConfigError, match="prefix"):
        RedisMemoryDb(prefix)


def test_an_empty_prefix_in_a_url() -> None:
    """So it is in a URL."""
    with pytest.raises(ConfigError, match="prefix"):
        open_memory_db("redis://h?prefix=")


@pytest.mark.parametrize("decode", [False, True])
def test_a_callers_client(valkey: servers.RedisServer, prefix: str, decode: bool) -> None:
    """A client that the caller passed is used, whether it decodes or not, and stays open."""
    with valkey.client(decode_responses=decode) as client:
        use(RedisMemoryDb(prefix, client=client))
        assert client.ping()
        with pytest.raises(TypeError, match="client"):
            pickle.dumps(RedisMemoryDb(prefix, client=client))


def test_a_damaged_row_seen_by_a_client_that_decodes(
    valkey: servers.RedisServer, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Bytes that are no text spoil one row, and not the listing."""
    with valkey.client(decode_responses=True) as client, RedisMemoryDb(prefix, client=client) as db:
        good, _ = db.upsert_memories(MemoryRow({"n": n}, f"{n}", "ann") for n in range(2))
        client.hset(f"buddy-memory/{{{prefix}/0}}/memory/rows", "ann\x001", b"\xff\x00")
        assert db.read_memories("ann") == db.read_memories() == [good]
        assert db.upsert_memory(MemoryRow({"n": 2}, "1", "ann")).version == 1
        assert [row.id for row in db.read_memories("ann", sort="asc")] == ["0", "1"]
        assert len(caplog.records) == 2
        db.drop_table()


@pytest.mark.parametrize("times", [b"3 4", b"1e400 inf", b"99999999999999.0 1.0"])
def test_a_row_whose_times_are_none(valkey: servers.RedisServer, prefix: str, times: bytes) -> None:
    """A write names the row whose time it kept, single and in bulk, and leaves the others alone."""
    with valkey.client() as client, RedisMemoryDb(prefix, client=client) as db:
        db.upsert_memory(MemoryRow({"n": 0}, "1", "ann"))
        key = f"buddy-memory/{{{prefix}/0}}/memory/rows"
        client.hset(key, "ann\x001", b"1 1 " + times + b" 5 - -\n{}")
        with pytest.raises(CorruptMemoryError, match="'1'"):
            db.upsert_memory(MemoryRow({"n": 1}, "1", "ann"))
        with pytest.raises(CorruptMemoryError, match="'1'"):
            db.upsert_memories([MemoryRow({}, "2", "ann"), MemoryRow({"n": 1}, "1", "ann")])
        assert db.delete_memory("1", user_id="ann") is True
        db.upsert_memory(MemoryRow({"n": 2}, "1", "ann"))
        assert {row.id for row in db.read_memories("ann")} <= {"1", "2"}
        db.drop_table()


@pytest.mark.parametrize("decode", [False, True])
def test_a_callers_cluster(cluster: servers.RedisCluster, prefix: str, decode: bool) -> None:
    """A RedisCluster that the caller passed is used and stays open."""
    port = cluster.nodes[1].port
    with redis.RedisCluster(host="127.0.0.1", port=port, decode_responses=decode) as client:
        use(RedisMemoryDb(prefix, client=client))
        assert client.exists("x") == 0


@pytest.mark.parametrize("decode", [False, True])
def test_a_callers_asynchronous_client(valkey_url: str, prefix: str, decode: bool) -> None:
    """An asynchronous client of the caller is used, whether it decodes or not, and stays open."""

    async def main() -> None:
        client = redis.asyncio.Redis.from_url(valkey_url, decode_responses=decode)
        async with AsyncRedisMemoryDb(prefix, client=client) as db:
            row = await db.upsert_memory(MemoryRow({"n": 1}, "a", "ann"))
            assert await db.read_memories() == [row]
            await db.drop_table()
        assert await client.ping()  # type: ignore[misc]
        await client.aclose()

    asyncio.run(main())


def test_clients_of_the_wrong_sort() -> None:
    """A client of the other sort is refused with the class to use, and so is anything else."""
    with pytest.raises(ConfigError, match="AsyncRedisMemoryDb"):
        RedisMemoryDb(client=redis.asyncio.Redis())
    with pytest.raises(ConfigError, match=r"\bRedisMemoryDb"):
        AsyncRedisMemoryDb(client=redis.Redis())
    with pytest.raises(ConfigError, match="str"):
        RedisMemoryDb(client="redis://h")


def test_loops_leave_no_connection(valkey: servers.RedisServer, prefix: str) -> None:
    """Connections end with the loop that made them, also when the object is never closed."""
    db = AsyncRedisMemoryDb(prefix, db_url=valkey.url)

    async def write(n: int) -> None:
        await asyncio.gather(*[db.upsert_memory(MemoryRow({"n": n}, f"{n} {m}")) for m in range(9)])

    with valkey.client() as client:
        before: Any = client.info("clients")
        for n in range(3):
            asyncio.run(write(n))
        end = monotonic() + 10
        while client.info("clients")["connected_clients"] > before["connected_clients"]:  # type: ignore[index,operator]
            assert monotonic() < end
            sleep(0.01)
        RedisMemoryDb(prefix, client=client).drop_table()


def test_a_cancelled_call_does_not_spoil_the_connection(valkey_url: str, prefix: str) -> None:
    """After a call was cancelled half-way, other calls get their own answers."""

    async def main() -> None:
        async with AsyncRedisMemoryDb(prefix, db_url=valkey_url) as db:
            rows = await db.upsert_memories(MemoryRow({"n": n}, f"{n}", "ann") for n in range(9))
            for turns in range(12):
                call = asyncio.ensure_future(db.read_memories("ann"))
                for _ in range(turns):
                    await asyncio.sleep(0)
                call.cancel()
                with suppress(asyncio.CancelledError):
                    await call
                for n, row in enumerate(rows):
                    assert await db.read_memory(f"{n}", user_id="ann") == row
            await db.drop_table()

    asyncio.run(main())


def test_an_interrupted_call_does_not_spoil_the_connection(
    valkey: servers.RedisServer, prefix: str
) -> None:
    """After a call was interrupted between two replies, others get their own answers."""
    left = [-1]

    class Interrupted(redis.Connection):
        def read_response(self, *args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
            return super().read_response(*args, **kwargs)

    pool = redis.ConnectionPool(Interrupted, port=valkey.port, max_connections=1)
    with redis.Redis.from_pool(pool) as client, RedisMemoryDb(prefix, client=client) as db:
        rows = db.upsert_memories(MemoryRow({"n": n}, f"{n}", f"{n}") for n in range(2))
        left[0] = 2  # A row is read by two commands.
        with pytest.raises(KeyboardInterrupt):
            db.read_memory("0", user_id="0")
        assert db.read_memory("1", user_id="1") == rows[1]
        db.drop_table()


def test_a_forked_child_with_a_callers_client(valkey: servers.RedisServer, prefix: str) -> None:
    """Parent and child share no connection, also when the client is the caller's."""
    with valkey.client() as client, RedisMemoryDb(prefix, client=client) as db:
        db.upsert_memory(MemoryRow({"n": 0}, "before", "ann"))
        child = os.fork()
        if child == 0:
            status = 1
            try:
                for n in range(50):
                    db.upsert_memory(MemoryRow({"n": n}, f"child {n}", "ann"))
                status = 0 if db.read_memory("before") is not None else 2
            finally:
                os._exit(status)
        for n in range(50):
            db.upsert_memory(MemoryRow({"n": n}, f"parent {n}", "ann"))
        assert os.waitpid(child, 0)[1] == 0
        assert len(assert_sound(db)) == 101
        db.drop_table()


def test_a_unix_socket() -> None:
    """A server is reached through its socket."""
    path = Path("/tmp") / f"buddy-{os.getpid()}.sock"  # noqa: S108  (a socket's path must be short)
    server = servers.RedisServer(servers.valkey(), "--unixsocket", str(path), *servers.DURABLE)
    use(RedisMemoryDb.from_url(f"unix://{path}?db=3&prefix=p"))
    server.stop()
    path.unlink(missing_ok=True)


def test_through_a_proxy_that_hides_the_cluster(proxy_url: str, prefix: str) -> None:
    """A plain client of a proxy works, since every command stays in one slot."""
    for shards in (1, 16):
        with RedisMemoryDb.from_url(proxy_url, prefix=prefix, shards=shards) as db:
            db.create()
            use(db)


def test_importing_is_light() -> None:
    """Importing the registry, or the package of the façade, does not import the driver."""
    script = "import sys, buddy.memory, buddy.memory.v2.db; sys.exit('redis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
