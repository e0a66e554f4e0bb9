"""Sentinels name the primary: with passwords, behind TLS, and when it fails under load."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
import redis

from buddy.memory.errors import AccessError, UnavailableError
from buddy.memory.v2.db.redis import AsyncRedisMemoryDb, RedisMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from buddy_memory_redis.transport import value_of
from tests.redis.load import SECONDS, Load, assert_kept
from tests.redis.test_clients import use
from tests.servers import redis as servers
from tests.servers.certificate import write_certificate

PASSWORD, OTHER = "hunter2-is-secret", "hunter3-is-secret"


def sentinel_for(
    primary: servers.RedisServer, port: int, program: str, *options: str
) -> servers.RedisServer:
    """Start a Sentinel for a primary; primary and Sentinel have passwords of their own."""
    config = primary.folder / "sentinel.conf"
    lines = (f"monitor main 127.0.0.1 {port} 1", f"auth-pass main {PASSWORD}")
    config.write_text("".join(f"sentinel {line}\n" for line in lines))
    sentinel = servers.RedisServer(program, str(config), "--sentinel", *options)
    with primary.client() as client:
        client.config_set("masterauth", PASSWORD)
        client.config_set("requirepass", PASSWORD)
    with sentinel.client() as client:
        client.execute_command("ACL SETUSER", "default", "resetpass", f">{OTHER}")
    return sentinel


@pytest.fixture
def sentinels() -> Iterator[tuple[servers.RedisServer, str, Callable[[], None]]]:
    """A primary with a replica, the URL of its Sentinel, and a function that kills the primary."""
    primary = servers.RedisServer(servers.valkey(), "--repl-diskless-sync-delay", "0")
    replica = servers.RedisServer(
        servers.valkey(), "--replicaof", f"127.0.0.1 {primary.port}", *servers.DURABLE
    )
    with replica.client() as client:
        client.config_set("masterauth", PASSWORD)
        client.config_set("requirepass", PASSWORD)
    sentinel = sentinel_for(primary, primary.port, servers.valkey())

    def fail_over() -> None:
        primary.process.kill()
        primary.process.wait()
        with sentinel.client(decode_responses=True, password=OTHER) as client:
            end = monotonic() + SECONDS
            while True:
                with suppress(redis.ResponseError):
                    client.execute_command("SENTINEL FAILOVER", "main")
                    break
                assert monotonic() < end
                sleep(0.05)
            wanted = ("127.0.0.1", replica.port)
            while client.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", "main") != wanted:
                assert monotonic() < end
                sleep(0.05)

    url = f"redis+sentinel://:{PASSWORD}@127.0.0.1:{sentinel.port}/main/0"
    yield primary, f"{url}?sentinel_password={OTHER}", fail_over
    for server in (sentinel, replica, primary):
        server.stop()


def test_a_failover_under_load(sentinels: Any, prefix: str) -> None:
    """A store goes on after a failover, sync and async, with all that was replicated, and no write
    is done twice."""
    primary, url, fail_over = sentinels
    load = Load(
        [
            lambda cls=cls: cls.from_url(url, prefix=prefix)  # type: ignore[misc]
            for cls in (RedisMemoryDb, AsyncRedisMemoryDb)
        ]
    )
    load.goes_on()
    versions = dict(load.versions)
    with primary.client(socket_timeout=60, password=PASSWORD) as client:
        client.set("last", 1)
        assert client.wait(1, 30_000) == 1  # The replica has it, and all that was before.
    fail_over()
    load.goes_on()
    load.end()
    with RedisMemoryDb.from_url(url, prefix=prefix) as db:
        assert_kept(db, load, versions)
        # The pool learns from connections that come back that there is another primary.
        assert not db._rules.store._transport.line().client.connection_pool._in_use_connections


def test_what_is_wrong(sentinels: Any) -> None:
    """A wrong password of the primary or of the Sentinels raises AccessError, another service
    UnavailableError, and no password is shown."""
    _, url, _ = sentinels
    cases = {
        url.replace(PASSWORD, "wrong-horse"): AccessError,
        url.replace(OTHER, "wrong-horse"): AccessError,
        url.replace("/main/", "/other/"): UnavailableError,
    }
    for wrong, error in cases.items():
        for cls in (RedisMemoryDb, AsyncRedisMemoryDb):

            async def ping(cls: Any = cls, wrong: str = wrong) -> None:
                db = cls.from_url(wrong)
                await value_of(db.ping())
                await value_of(db.close())

            with pytest.raises(error) as raised:
                asyncio.run(ping())
            shown = str(raised.value) + str(raised.value.__cause__)
            assert not {"horse", "hunter", "ConnectionPool"} & {*shown.replace("-", " ").split()}
            assert len(shown) < 300


def test_tls(tmp_path: Path, prefix: str) -> None:
    """Primary and Sentinel behind TLS work, sync and async."""
    certificate, key = map(str, write_certificate(tmp_path, "127.0.0.1"))
    files = ("--tls-cert-file", certificate, "--tls-key-file", key)
    trust = ("--tls-ca-cert-file", certificate, "--tls-auth-clients", "no")
    ports = [servers.free_port() for _ in range(2)]
    options = [
        ("--tls-port", str(port), "--tls-replication", "yes", *files, *trust) for port in ports
    ]
    primary = servers.RedisServer(servers.redis_7(), *options[0], *servers.DURABLE)
    sentinel = sentinel_for(primary, ports[0], servers.redis_7(), *options[1])
    url = (
        f"rediss+sentinel://:{PASSWORD}@127.0.0.1:{ports[1]}/main/0?ssl_ca_certs={certificate}"
        f"&sentinel_ssl=true&sentinel_ssl_ca_certs={certificate}&sentinel_password={OTHER}"
    )

    async def main() -> None:
        async with AsyncRedisMemoryDb.from_url(url, prefix=prefix) as db:
            row = await db.upsert_memory(MemoryRow({"n": 1}, "a", "ann"))
            assert await db.read_memories() == [row]

    asyncio.run(main())
    with RedisMemoryDb.from_url(url, prefix=prefix) as db:
        assert (db.server_info()["mode"], db.server_info()["TLS"]) == ("sentinel", "on")
        assert db.delete_memory("a") is True
        use(db)
    for server in (sentinel, primary):
        server.stop()
