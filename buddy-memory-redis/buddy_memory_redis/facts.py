"""What a server tells of itself: ``buddy-memory check`` shows it."""

from __future__ import annotations

from collections.abc import Sequence

from buddy.memory.errors import MemoryDbError
from buddy_memory_redis.link import Link

UNKNOWN = "unknown"
"""What a server does not tell, or not to this user."""

_SETTINGS = ("appendonly", "appendfsync", "save", "maxmemory", "maxmemory-policy")

NEVER = "never"
"""When a server without save points saves."""

_EMPTY = {("save", ""): NEVER, ("maxmemory", "0"): "unlimited"}


async def ask(link: Link, prefix: str) -> dict[str, str]:
    """Return the facts by name. Of a cluster, one node is asked. Raises UnavailableError."""
    (info,), found = await link.each([("INFO", "server")]), await settings(link, _SETTINGS)
    server = {} if isinstance(info, MemoryDbError) else _info(info)
    line = link.line()
    version = server.get("valkey_version") or server.get("redis_version", UNKNOWN)
    values = {name: found.get(name, UNKNOWN) for name in _SETTINGS}
    return {
        "Valkey" if "valkey_version" in server else "Redis": version,
        "mode": line.mode() or server.get("server_mode") or server.get("redis_mode", UNKNOWN),
        **{name: _EMPTY.get((name, value), value) for name, value in values.items()},
        "TLS": "on" if line.is_encrypted() else "off",
        "db": str(line.database()),
        "prefix": prefix,
    }


async def settings(link: Link, names: Sequence[str]) -> dict[str, str]:
    """Return settings of the server by name, without those that it does not tell."""
    found: dict[str, str] = {}
    for reply in await link.each([("CONFIG GET", name) for name in names]):
        if not isinstance(reply, MemoryDbError):
            found |= _pairs(reply)
    return found


def _pairs(reply: object) -> dict[str, str]:
    """Return the reply to CONFIG GET, a map or a flat list, as text."""
    if isinstance(reply, list):
        reply = dict(zip(reply[::2], reply[1::2], strict=True))
    items = reply.items() if isinstance(reply, dict) else ()
    return {_text(name): _text(value) for name, value in items}


def _info(reply: object) -> dict[str, str]:
    """Return the reply to INFO, a text or what a client made of it, as text."""
    if isinstance(reply, dict):
        return _pairs(reply)
    lines = _text(reply).splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
