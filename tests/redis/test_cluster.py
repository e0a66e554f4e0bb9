"""A cluster that changes under load, loses answers, or speaks TLS."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from time import monotonic, sleep
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.asyncio.connection import AbstractConnection as AsyncConnection
from redis.connection import AbstractConnection
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from buddy.memory.errors import AccessError, UnavailableError
from buddy.memory.v2.db.redis import AsyncRedisMemoryDb, RedisMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from buddy_memory_redis.encoding import dump_user
from buddy_memory_redis.schema import CLUSTER_SHARDS, Keys, Layout
from buddy_memory_redis.scripts import script
from tests.redis.load import SECONDS, Load, assert_kept
from tests.redis.test_clients import use
from tests.servers import redis as servers
from tests.servers.certificate import write_certificate

PASSWORD = "hunter2-is-secret"  # noqa: S105  (made up)


def load_on(url: str, prefix: str) -> Load:
    """Start writers, sync and async, of rows that last and rows that expire."""
    return Load(
        [
            lambda cls=cls, expire=expire: cls.from_url(url, prefix=prefix, expire=expire)  # type: ignore[misc]
            for cls in (RedisMemoryDb, AsyncRedisMemoryDb)
            for expire in (None, 1000)
        ]
    )


def slot_of(prefix: str, user: str) -> int:
    """Return the slot of a user in a store of the usual number of shards."""
    shard = Layout(CLUSTER_SHARDS, b"").shard_of(dump_user(user))
    return key_slot(Keys(prefix).meta(shard))


def node_of(slot: int) -> int:
    """Return the number of the node that a slot is on at first."""
    return next(n for n in range(3) if slot < REDIS_CLUSTER_HASH_SLOTS * (n + 1) // 3)


def test_slots_that_move_under_load(cluster: servers.RedisCluster, prefix: str) -> None:
    """While slots move from node to node no write is lost, and none is done twice."""
    load = load_on(cluster.url, prefix)
    slots = {slot_of(prefix, user) for user in load.users}
    load.goes_on()
    for turn in range(3):
        for slot in sorted(slots | {key_slot(Keys(prefix).meta(0))}):
            number = node_of(slot) + turn
            cluster.move_slot(slot, number % 3, (number + 1) % 3)
        load.goes_on()
    load.end()
    assert not load.behind, load.behind
    with RedisMemoryDb.from_url(cluster.url, prefix=prefix) as db:
        assert_kept(db, load, load.versions)
        db.drop_table()


def test_a_slot_that_is_moving(cluster: servers.RedisCluster, prefix: str) -> None:
    """While its slot has moved, but not everybody was told, a row can be read."""
    slot = slot_of(prefix, "ann")
    source, target = node_of(slot), (node_of(slot) + 1) % 3
    with RedisMemoryDb.from_url(cluster.url, prefix=prefix) as db:
        row = db.upsert_memory(MemoryRow({}, "a", "ann"))
        found: list[Any] = []
        for here, there in ((source, target), (target, source)):
            cluster.move_slot(
                slot, here, there, lambda: found.append(db.read_memory("a", user_id="ann"))
            )
            assert db.read_memories("ann") == [row]
        assert found == [row, row]
        db.drop_table()


def test_a_primary_that_dies_under_load(prefix: str) -> None:
    """When a primary dies, its replica takes over with all that it had, and no write is done
    twice."""
    options = ("--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0")
    cluster = servers.RedisCluster(servers.valkey(), lambda: options)
    number = node_of(slot_of(prefix, "user 0"))
    replica = cluster.add_replica(number)
    for node in cluster.nodes:
        with node.client() as client:
            client.config_set("cluster-node-timeout", 1000)
    load = load_on(cluster.url, prefix)
    load.goes_on()
    versions = dict(load.versions)
    with cluster.nodes[number].client() as client:
        key = next(
            f"last {n}" for n in range(999) if node_of(key_slot(f"last {n}".encode())) == number
        )
        client.set(key, 1)
        assert client.wait(1, 30_000) == 1  # The replica has it, and all that was before.
    cluster.nodes[number].process.kill()
    with replica.client() as client:
        end = monotonic() + SECONDS
        while client.info("replication")["role"] != "master":  # type: ignore[index]
            assert monotonic() < end
            sleep(0.02)
    load.goes_on()
    load.end()
    with RedisMemoryDb.from_url(cluster.url, prefix=prefix) as db:
        end = monotonic() + SECONDS
        while True:
            try:
                db.ping()
                break
            except UnavailableError:
                assert monotonic() < end
        assert_kept(db, load, versions)
    cluster.stop()


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Scripts by their hashes: the first answer to each that is named here is lost."""
    hashes: list[bytes] = []

    def loses(connection: Any, packed: Any) -> bool:
        data = packed if isinstance(packed, bytes) else b"".join(packed)
        found = [sha for sha in hashes if sha in data]
        hashes[:] = [sha for sha in hashes if sha not in found]
        return bool(found)

    def patched(cls: Any) -> tuple[Any, Any]:
        send, read = cls.send_packed_command, cls.read_response

        def sends(self: Any, packed: Any, *args: Any, **kwargs: Any) -> Any:
            self.loses = loses(self, packed)
            return send(self, packed, *args, **kwargs)

        return sends, read

    sends, read = patched(AbstractConnection)

    def reads(self: Any, *args: Any, **kwargs: Any) -> Any:
        reply = read(self, *args, **kwargs)
        if getattr(self, "loses", False):
            raise redis.ConnectionError("the line went dead")
        return reply

    async_sends, async_read = patched(AsyncConnection)

    async def async_reads(self: Any, *args: Any, **kwargs: Any) -> Any:
        reply = await async_read(self, *args, **kwargs)
        if getattr(self, "loses", False):
            raise redis.ConnectionError("the line went dead")
        return reply

    monkeypatch.setattr(AbstractConnection, "send_packed_command", sends)
    monkeypatch.setattr(AbstractConnection, "read_response", reads)
    monkeypatch.setattr(AsyncConnection, "send_packed_command", async_sends)
    monkeypatch.setattr(AsyncConnection, "read_response", async_reads)
    return hashes


def test_a_lost_answer(cluster: servers.RedisCluster, prefix: str, lost: list[bytes]) -> None:
    """A write whose answer is lost raises UnavailableError and is not sent again; the next call
    works."""
    with RedisMemoryDb.from_url(cluster.url, prefix=prefix) as db:
        rows = db.upsert_memories(MemoryRow({}, f"{n}", f"user {n}") for n in range(9))
        assert db.upsert_memory(rows[0]).version == 2
        lost.append(script("put").sha.encode())
        with pytest.raises(UnavailableError, match="dead"):
            db.upsert_memory(rows[0])
        assert db.upsert_memory(rows[0]).version == 4
        lost.append(script("put").sha.encode())
        with pytest.raises(UnavailableError) as raised:
            db.upsert_memories(rows)
        # What the other nodes did is known.
        versions = {row.id: row.version for row in db.read_memories()}
        assert 0 < len(raised.value.stored) < 9
        assert all(version == 2 for id, version in versions.items() if id != "0")
        db.drop_table()


def test_a_lost_answer_async(cluster: servers.RedisCluster, prefix: str, lost: list[bytes]) -> None:
    """So it is with the asynchronous client."""

    async def main() -> None:
        async with AsyncRedisMemoryDb.from_url(cluster.url, prefix=prefix) as db:
            row = await db.upsert_memory(MemoryRow({}, "a", "ann"))
            lost.append(script("put").sha.encode())
            with pytest.raises(UnavailableError, match="dead"):
                await db.upsert_memory(row)
            assert (await db.upsert_memory(row)).version == 3
            await db.drop_table()

    asyncio.run(main())


def test_connections_of_an_asynchronous_node(
    cluster: servers.RedisCluster, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that the server closed is opened anew; one that could not be opened is not lost."""

    async def refuse(connection: Any) -> None:
        raise redis.ConnectionError("refused")

    async def main() -> None:
        async with AsyncRedisMemoryDb.from_url(f"{cluster.url}?max_connections=2") as db:
            await db.upsert_memory(MemoryRow({}, "a", "ann"))
            for node in cluster.nodes:
                # Of this loop: it sees the others closed before it sees the answer.
                async with redis.asyncio.Redis(port=node.port) as client:
                    await client.client_kill_filter(_type="normal", skipme=True)
            assert len(await db.read_memories("ann")) == 1
            with monkeypatch.context() as patched:
                patched.setattr(AsyncConnection, "connect", refuse)
                for _ in range(3):
                    with pytest.raises(UnavailableError):
                        await db.read_memories("ann")
            assert len(await db.read_memories("ann")) == 1
            await db.drop_table()

    asyncio.run(main())


def test_a_script_is_one_command(cluster: servers.RedisCluster, prefix: str) -> None:
    """No node is asked for the keys of a script: a write is one command to one node, and so is a
    listing of a user."""

    def sent() -> dict[str, int]:
        calls: dict[str, int] = {}
        for node in cluster.nodes:
            with node.client() as client:
                stats: Any = client.info("commandstats")
                client.config_resetstat()
            for name in ("evalsha", "command|getkeys"):
                calls[name] = (
                    calls.get(name, 0) + stats.get(f"cmdstat_{name}", {"calls": 0})["calls"]
                )
        return calls

    with RedisMemoryDb.from_url(cluster.url, prefix=prefix) as db:
        for n in range(2):
            db.upsert_memory(MemoryRow({}, f"{n}", "ann"))
            db.read_memories("ann")
        sent()
        db.upsert_memory(MemoryRow({}, "a", "ann"))
        assert sent() == {"evalsha": 1, "command|getkeys": 0}
        db.read_memories("ann")
        assert sent() == {"evalsha": 1, "command|getkeys": 0}
        db.drop_table()


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a cluster of Redis 7.4 that speaks TLS and wants a password."""
    certificate, key = map(str, write_certificate(tmp_path_factory.mktemp("tls"), "127.0.0.1"))
    ports = []

    def options() -> tuple[str, ...]:
        ports.append(str(servers.free_port()))
        files = ("--tls-cert-file", certificate, "--tls-key-file", key)
        trust = ("--tls-ca-cert-file", certificate, "--tls-auth-clients", "no")
        return ("--tls-port", ports[-1], *files, *trust)

    cluster = servers.RedisCluster(servers.redis_7(), options)
    for node in cluster.nodes:
        with node.client() as client:
            client.config_set("requirepass", PASSWORD)
    yield f"rediss+cluster://:{PASSWORD}@127.0.0.1:{ports[1]}?ssl_ca_certs={certificate}"
    cluster.stop()


def test_tls_and_a_password(secure: str, prefix: str) -> None:
    """A cluster behind TLS with a password works, sync and async, and refuses a wrong one."""

    async def main() -> None:
        async with AsyncRedisMemoryDb.from_url(secure, prefix=prefix) as db:
            row = await db.upsert_memory(MemoryRow({"n": 1}, "a", "ann"))
            assert await db.read_memories() == [row]
            assert (await db._rules.store.server_info())["TLS"] == "on"

    asyncio.run(main())
    with RedisMemoryDb.from_url(secure, prefix=prefix) as db:
        assert (db.server_info()["mode"], db.server_info()["TLS"]) == ("cluster", "on")
        assert db.delete_memory("a") is True
        use(db)
    with RedisMemoryDb.from_url(secure.replace(PASSWORD, "wrong-horse")) as db:
        with pytest.raises((AccessError, UnavailableError)) as raised:
            db.ping()
        assert "horse" not in str(raised.value)
