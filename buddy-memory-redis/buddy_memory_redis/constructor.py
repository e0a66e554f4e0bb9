"""The constructor that the synchronous and the asynchronous class share."""

from __future__ import annotations

from typing import Any

from buddy.memory.errors import ConfigError
from buddy.memory.storage.database_base import StoreBackedDatabase
from buddy_memory_redis.client import open_clients
from buddy_memory_redis.schema import MAX_SHARDS
from buddy_memory_redis.store import RedisStore
from buddy_memory_redis.transport import Transport
from buddy_memory_redis.url import Address


class RedisConstructor(StoreBackedDatabase):
    """Memories in Redis or Valkey: by ``client``, ``db_url``, or ``host``, ``port`` and the rest.

    ``prefix`` names the store. ``expire`` is how many seconds a row lives that is written without
    a ``ttl``; None: for ever. ``client`` is a ready client (a single server's, one from a
    Sentinel, or a RedisCluster); it is used and never closed. ``db_url`` is as in the README.
    ``shards`` is the number of hash slots that a new store is spread over (None: 16 in a cluster,
    else 1), and has to be that of the store where there is one. ``timeout`` is how many seconds the
    wait for a connection or for an answer may take; None: no limit.
    Raises ConfigError; does no I/O.
    """

    _asynchronous = False

    def __init__(
        self,
        prefix: str = "BUDDY_memory",
        host: str = "localhost",
        port: int = 6379,
        db: int = 0,
        password: str | None = None,
        ssl: bool = False,
        expire: float | None = None,
        *,
        username: str | None = None,
        db_url: str | None = None,
        client: Any = None,
        shards: int | None = None,
        timeout: float | None = 10.0,
    ) -> None:
        settings = {
            "prefix": _check_prefix(prefix),
            "host": host,
            "port": port,
            "db": db,
            "password": password,
            "ssl": ssl,
            "expire": expire,
            "username": username,
            "db_url": db_url,
            "client": client,
            "shards": _check_shards(shards),
            "timeout": timeout,
        }
        if db_url is None:
            address = Address(((host, port),), db=db, tls=ssl)
        else:
            address = Address.parse(db_url)
        address = address.with_user(username, password)
        clients = open_clients(client, address, timeout, self._asynchronous)
        super().__init__(RedisStore(Transport(clients), prefix, shards), settings)

    def to_dict(self) -> dict[str, Any]:
        """Return the class name and the settings, without secrets and live objects."""
        shown = super().to_dict()
        if self._settings["db_url"] is not None:
            for name in ("host", "port", "db", "ssl"):
                del shown[name]
        return shown


def _check_prefix(prefix: Any) -> str:
    if not isinstance(prefix, str) or not prefix:
        raise ConfigError(f"prefix must be a non-empty string, not {prefix!r:.80}")
    try:
        prefix.encode()
    except UnicodeEncodeError:
        raise ConfigError("prefix must not contain a lone surrogate") from None
    return prefix


def _check_shards(shards: Any) -> int | None:
    if shards is not None and (type(shards) is not int or not 0 < shards <= MAX_SHARDS):
        raise ConfigError(f"shards must be a number from 1 to {MAX_SHARDS}, not {shards!r:.80}")
    return shards
