"""Valkey behind Sentinels, and as a cluster whose primaries have replicas."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import redis

from tests.engines.engine import Engine
from tests.servers.redis import NODES, START_SECONDS, RedisCluster, RedisServer, valkey

DURABLE = ("--appendonly", "yes", "--appendfsync", "everysec")
DOWN_AFTER = 1000
"""Milliseconds after which a primary that does not answer is down."""


def _version(server: RedisServer) -> str:
    with server.client() as client:
        info: Any = client.info("server")
        return f"Valkey {info['valkey_version']}"


def _wait(what: str, is_so: Any) -> None:
    deadline = monotonic() + START_SECONDS
    while True:
        with suppress(redis.RedisError):
            if is_so():
                return
        assert monotonic() < deadline, what
        sleep(0.05)


@contextmanager
def sentinels() -> Iterator[Engine]:
    """A primary with two replicas, and three Sentinels."""
    with ExitStack() as running:

        def started(*arguments: str) -> RedisServer:
            server = RedisServer(valkey(), *arguments)
            running.callback(_stop, server)
            return server

        primary = started(*DURABLE)
        following = ("--replicaof", f"127.0.0.1 {primary.port}")
        replicas = [started(*DURABLE, *following) for _ in range(2)]
        for replica in replicas:
            with replica.client() as client:
                _wait("the replica does not follow", lambda c=client: _follows(c))
        ports = [_sentinel(running, primary, number) for number in range(3)]
        yield Engine(
            "Valkey, primary with two replicas and three Sentinels",
            _version(primary),
            f"redis+sentinel://{','.join(f'127.0.0.1:{port}' for port in ports)}/main/0"
            "?prefix=engines",
            lambda: primary.process.kill(),
            "primary killed",
        )


def _follows(client: redis.Redis) -> bool:
    info: Any = client.info("replication")
    return bool(info.get("master_link_status") == "up")


def _sentinel(running: ExitStack, primary: RedisServer, number: int) -> int:
    """Start a Sentinel that watches the primary; return its port."""
    config = primary.folder / f"sentinel-{number}.conf"
    config.write_text(
        f"sentinel monitor main 127.0.0.1 {primary.port} 2\n"
        f"sentinel down-after-milliseconds main {DOWN_AFTER}\n"
        "sentinel failover-timeout main 5000\n"
    )
    server = RedisServer(valkey(), str(config), "--sentinel")
    running.callback(_stop, server)
    with server.client() as client:
        _wait("a Sentinel does not see all", lambda: _sees_all(client))
    return server.port


def _sees_all(client: redis.Redis) -> bool:
    states: Any = client.sentinel_masters()
    return bool(states["main"]["num-slaves"] == 2)


@contextmanager
def cluster() -> Iterator[Engine]:
    """Three primaries, each with a replica; the store has 16 shards."""
    nodes = RedisCluster(valkey())
    try:
        for number in range(NODES):
            nodes.add_replica(number)
        yield Engine(
            "Valkey, a cluster of three primaries and three replicas, 16 shards",
            _version(nodes.nodes[0]),
            f"{nodes.url}/?prefix=engines&shards=16",
            lambda: nodes.nodes[0].process.kill(),
            "one primary killed",
        )
    finally:
        for node in nodes.nodes:
            _stop(node)


def _stop(server: RedisServer) -> None:
    if Path(server.folder).exists():
        server.stop()
