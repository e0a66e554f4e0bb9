"""What a server tells of itself, and connections that are encrypted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from buddy.memory.errors import UnavailableError
from buddy.memory.v2.db.redis import AsyncRedisMemoryDb, RedisMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from tests.redis.test_clients import use
from tests.servers import redis as servers
from tests.servers.certificate import write_certificate


@pytest.mark.parametrize("program", [servers.valkey, servers.redis_7], ids=["Valkey", "Redis"])
def test_server_info(program: Any, request: pytest.FixtureRequest) -> None:
    """A server tells its version, and the settings that decide what survives."""
    server = servers.RedisServer(program(), "--appendonly", "yes", *servers.DURABLE)
    with RedisMemoryDb("mine", port=server.port, db=3, password="hunter2") as db:  # noqa: S106
        with server.client() as client:
            client.config_set("requirepass", "hunter2")
        info = db.server_info()
        assert not db.table_exists()
    name = request.node.callspec.id
    assert int(info.pop(name).split(".")[0]) >= 7
    assert info == {
        "mode": "standalone",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "3600 1",
        "maxmemory": "unlimited",
        "maxmemory-policy": "noeviction",
        "TLS": "off",
        "db": "3",
        "prefix": "mine",
        "shards": "none yet",
    }
    with server.client(password="hunter2") as client:  # noqa: S106
        client.config_set("save", "")
        client.config_set("maxmemory", "1gb")
        client.execute_command("ACL SETUSER", "hidden", "on", "nopass", "~*", "+hmget", "+exists")
    with RedisMemoryDb("mine", port=server.port, username="hidden", password="x") as db:  # noqa: S106
        hidden = db.server_info()
    assert hidden == {
        **dict.fromkeys(("Redis", "mode", "appendonly", "appendfsync", "save"), "unknown"),
        **dict.fromkeys(("maxmemory", "maxmemory-policy"), "unknown"),
        "TLS": "off",
        "db": "0",
        "prefix": "mine",
        "shards": "none yet",
    }
    with RedisMemoryDb("mine", port=server.port, password="hunter2") as db:  # noqa: S106
        assert (db.server_info()["save"], db.server_info()["maxmemory"]) == ("never", "1073741824")
        server.stop()
        with pytest.raises(UnavailableError):
            db.server_info()


def test_server_info_of_a_cluster(cluster: servers.RedisCluster, proxy_url: str) -> None:
    """A cluster is named as such, also behind a proxy; sync and async tell the same."""

    async def told() -> dict[str, str]:
        async with AsyncRedisMemoryDb.from_url(cluster.url) as db:
            return await db._rules.store.server_info()

    with RedisMemoryDb.from_url(cluster.url) as db:
        info = db.server_info()
        assert info["mode"] == "cluster"
        assert info["TLS"] == "off"
        assert info["save"] == "3600 1"
        assert info == asyncio.run(told())
    with RedisMemoryDb.from_url(proxy_url) as db:
        assert db.server_info() == info


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of Redis 7.4 where it speaks TLS only, with the certificate to trust."""
    certificate, key = write_certificate(tmp_path_factory.mktemp("tls"), "127.0.0.1")
    port = servers.free_port()
    files = (
        "--tls-cert-file",
        certificate,
        "--tls-key-file",
        key,
        "--tls-ca-cert-file",
        certificate,
    )
    options = ("--tls-port", port, "--tls-auth-clients", "no", *files, *servers.DURABLE)
    server = servers.RedisServer(servers.redis_7(), *map(str, options))
    yield f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certificate}"
    server.stop()


@pytest.mark.parametrize("scheme", ["rediss", "valkeys"])
def test_tls(secure: str, scheme: str, prefix: str) -> None:
    """A store behind TLS works, sync and async, and says so."""
    url = secure.replace("rediss", scheme, 1)

    async def read() -> list[Any]:
        async with AsyncRedisMemoryDb.from_url(url, prefix=prefix) as db:
            assert (await db._rules.store.server_info())["TLS"] == "on"
            return await db.read_memories()

    with RedisMemoryDb.from_url(url, prefix=prefix) as db:
        assert db.server_info()["TLS"] == "on"
        row = db.upsert_memory(MemoryRow({"n": 1}, "a", "ann"))
        assert asyncio.run(read()) == [row]
        db.delete_memory("a")
        use(db)


def test_tls_of_a_callers_client(secure: str, prefix: str) -> None:
    """A client of the caller that speaks TLS is used."""
    with redis.Redis.from_url(secure) as client:
        use(RedisMemoryDb(prefix, client=client))


def test_tls_trusts_nobody_else(secure: str, tmp_path: Path) -> None:
    """A certificate that is not trusted, or of another host, and a plain connection are refused."""
    other, _ = write_certificate(tmp_path, "127.0.0.1")
    address, _, trusted = secure.partition("?")
    cases = {
        address: "self.signed certificate",
        f"{address}?ssl_ca_certs={other}": "self.signed certificate",
        f"{address}?{trusted}".replace("127.0.0.1", "localhost"): "Hostname mismatch",
        f"redis{address[6:]}": "closed|reset",
    }
    for url, wrong in cases.items():
        with RedisMemoryDb.from_url(url, timeout=5) as db:
            with pytest.raises(UnavailableError, match=wrong):
                db.read_memories("ann")
