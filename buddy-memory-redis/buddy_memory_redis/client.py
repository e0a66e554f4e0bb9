"""Clients of redis-py: made when first used, one for each process or event loop, and closed."""

from __future__ import annotations

import inspect
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.cluster import REDIS_ALLOWED_KEYS
from redis.connection import URL_QUERY_ARGUMENT_PARSERS
from redis.retry import Retry

from buddy.memory.errors import ConfigError
from buddy.memory.storage.client_cache import PerLoop, PerProcess
from buddy_memory_redis.cluster import Cluster
from buddy_memory_redis.connections import IN_FLIGHT, Connections, TaskGate, ThreadGate
from buddy_memory_redis.transport import Clients, Command
from buddy_memory_redis.url import Address

_SYNC = (redis.Redis, redis.RedisCluster)
_ASYNC = (redis.asyncio.Redis, redis.asyncio.RedisCluster)
_SENTINEL = "sentinel_"


_CLUSTERS = (redis.RedisCluster, redis.asyncio.RedisCluster)
_ENCRYPTED = (redis.SSLConnection, redis.asyncio.SSLConnection)


class Line:
    """A client, and how commands are exchanged with it; ``own`` when nobody else uses it."""

    def __init__(self, client: Any, timeout: float | None, *, own: bool) -> None:
        self.client = client
        self.is_async = isinstance(client, _ASYNC)
        self.is_cluster = isinstance(client, _CLUSTERS)
        # That of a cluster's client is of no use here: each node has its own.
        self._pool: Any = getattr(client, "connection_pool", object())
        places = min(IN_FLIGHT, getattr(self._pool, "max_connections", IN_FLIGHT))
        self._gate = (TaskGate if self.is_async else ThreadGate)(places, timeout)
        if self.is_cluster:
            self._cluster = Cluster(client, timeout, is_async=self.is_async, own=own)
        else:
            self.connections = Connections(self._pool, timeout, is_async=self.is_async, own=own)

    async def exchange(self, commands: Sequence[Command], packed: Sequence[bytes]) -> list[Any]:
        """Send commands, and return for each its reply or its error."""
        await self._gate.enter()
        try:
            if self.is_cluster:
                return await self._cluster.exchange(commands, packed)
            return await self.connections.exchange(b"".join(packed), len(packed))
        finally:
            self._gate.leave()

    def mode(self) -> str:
        """Return "cluster" or "sentinel" where the client knows of one; "" where it does not."""
        if self.is_cluster:
            return "cluster"
        return "sentinel" if hasattr(self._pool, "sentinel_manager") else ""

    def database(self) -> int:
        """Return the number of the database."""
        return 0 if self.is_cluster else int(self._pool.connection_kwargs.get("db") or 0)

    def is_encrypted(self) -> bool:
        """Tell whether connections are encrypted; of a cluster's client, once it was used."""
        if not self.is_cluster:
            return issubclass(self._pool.connection_class, _ENCRYPTED)
        node: Any = self.client.get_default_node()
        # An asynchronous node is its own pool.
        is_pool = hasattr(node, "connection_class")
        pool = node if is_pool else node.redis_connection.connection_pool
        return issubclass(pool.connection_class, _ENCRYPTED)


def open_clients(
    client: Any, address: Address, timeout: float | None, asynchronous: bool
) -> Clients:
    """Return where the clients come from: the caller's ``client``, or ours for ``address``.

    Does no I/O. Raises ConfigError for a client of the wrong sort and for unknown options.
    """
    if client is not None:
        _check_client(client, asynchronous)
        return Callers(client, timeout)
    make = _maker(address, timeout, asynchronous)

    def line() -> Line:
        return Line(make(), timeout, own=True)

    found = PerLoop(line, _aclose, _discard) if asynchronous else PerProcess(line, _close)
    return Ours(found, is_cluster=address.mode == "cluster")


class Ours:
    """Clients that are made here."""

    def __init__(self, lines: PerLoop[Line] | PerProcess[Line], *, is_cluster: bool) -> None:
        self.is_cluster, self._lines = is_cluster, lines
        self.get, self.close = lines.get, lines.close


class Callers:
    """A client that the caller passed: used, and never closed by us (R10)."""

    def __init__(self, client: Any, timeout: float | None) -> None:
        self.is_cluster = isinstance(client, _CLUSTERS)
        self._client, self._timeout = client, timeout
        self._pid = 0
        self._line: Line | None = None

    def get(self) -> Line:
        """Return the caller's client, in this process."""
        # What another thread held when the process was forked is never given back in the child.
        if self._line is None or self._pid != os.getpid():
            self._line = Line(self._client, self._timeout, own=False)
            self._pid = os.getpid()
        return self._line

    def close(self) -> None:
        """Leaves it open."""


def _check_client(client: Any, asynchronous: bool) -> None:
    right, wrong = (_ASYNC, _SYNC) if asynchronous else (_SYNC, _ASYNC)
    if isinstance(client, right):
        return
    if isinstance(client, wrong):
        other = "RedisMemoryDb" if asynchronous else "AsyncRedisMemoryDb"
        raise ConfigError(f"this client is for {other}")
    raise ConfigError(
        f"client must be a Redis or RedisCluster of redis-py, not {type(client).__name__}"
    )


# --- making


def _maker(address: Address, timeout: float | None, asynchronous: bool) -> Callable[[], Any]:
    """Return the function that makes a client; everything that can be wrong is checked before."""
    module: Any = redis.asyncio if asynchronous else redis
    kind = module.RedisCluster if address.mode == "cluster" else module.Redis
    options = {
        "username": address.username,
        "password": address.password,
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        # A write that got no answer is not sent a second time: it may have been done.
        "retry": (AsyncRetry if asynchronous else Retry)(NoBackoff(), 0),
        **({"ssl": True} if address.tls else {}),
        **_parameters(kind, [o for o in address.options if not o[0].startswith(_SENTINEL)]),
    }
    if address.mode == "cluster":
        return _cluster(kind, address, options)
    if address.mode == "sentinel":
        return _sentinel(module, address, options)
    where: dict[str, Any] = {"unix_socket_path": address.path}
    if address.path is None:
        where = dict(zip(("host", "port"), address.hosts[0], strict=True))
    return lambda: kind(db=address.db, **where, **options)


def _cluster(kind: Any, address: Address, options: dict[str, Any]) -> Callable[[], Any]:
    module: Any = inspect.getmodule(kind)
    return lambda: kind(
        startup_nodes=[module.ClusterNode(host, port) for host, port in address.hosts], **options
    )


def _sentinel(module: Any, address: Address, options: dict[str, Any]) -> Callable[[], Any]:
    own = [(k[len(_SENTINEL) :], v) for k, v in address.options if k.startswith(_SENTINEL)]
    timeouts = {name: value for name, value in options.items() if name.startswith("socket_")}
    own_options = {**timeouts, "retry": options["retry"], **_parameters(module.Redis, own)}

    def make() -> Any:
        sentinel = module.sentinel.Sentinel(
            address.hosts, sentinel_kwargs=own_options, db=address.db, **options
        )
        return sentinel.master_for(address.service)

    return make


def _parameters(kind: Any, pairs: list[tuple[str, str]]) -> dict[str, Any]:
    known = {*inspect.signature(kind).parameters}
    if kind is redis.RedisCluster:  # It takes any other, and leaves out what it does not know.
        known.update(REDIS_ALLOWED_KEYS)
    unknown = [name for name, _ in pairs if name not in known]
    if unknown:
        raise ConfigError(f"Redis has no connection parameter {', '.join(sorted(unknown))}")
    return {name: _converted(name, text) for name, text in pairs}


def _converted(name: str, text: str) -> Any:
    parsers: dict[str, Any] = URL_QUERY_ARGUMENT_PARSERS
    convert = parsers.get(name)
    try:
        return text if convert is None else convert(text)
    except (TypeError, ValueError):
        raise ConfigError(f"the parameter {name} cannot be {text!r:.80}") from None


# --- closing


def _all(line: Line) -> list[Any]:
    """Return the client, and those that one from a Sentinel asks for its master."""
    manager = getattr(getattr(line.client, "connection_pool", None), "sentinel_manager", None)
    return [line.client, *(manager.sentinels if manager else ())]


def _close(line: Line) -> None:
    for client in _all(line):
        client.close()


async def _aclose(line: Line) -> None:
    for client in _all(line):
        await client.aclose()


def _discard(line: Line) -> None:
    """Hang up for a loop that is closed, or runs elsewhere, and did not end its generators."""
    for client in _all(line):
        pool = getattr(client, "connection_pool", None)
        for name in ("_available_connections", "_in_use_connections"):
            for connection in getattr(pool, name, ()):
                writer = getattr(connection, "_writer", None)
                found = writer and writer.get_extra_info("socket")
                if found:
                    found.shutdown(socket.SHUT_RDWR)
