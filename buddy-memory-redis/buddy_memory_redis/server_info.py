"""What ``buddy-memory check`` tells: version, settings, and how acknowledged writes may be lost."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from buddy.memory.errors import MemoryDbError
from buddy_memory_redis.transport import Command, Transport

logger = logging.getLogger("buddy.memory")

UNKNOWN = "unknown"
"""What a server does not tell, or not to this user."""

_SETTINGS = ("appendonly", "appendfsync", "save", "maxmemory", "maxmemory-policy")

NEVER = "never"
"""When a server without save points saves."""

_EMPTY = {("save", ""): NEVER, ("maxmemory", "0"): "unlimited"}


async def ask(transport: Transport, prefix: str) -> dict[str, str]:
    """Return version and settings by name; of one node of a cluster. Raises UnavailableError."""
    (info,), found = (
        await transport.each([Command(("INFO", "server"))]),
        await settings(transport, _SETTINGS),
    )
    server = {} if isinstance(info, MemoryDbError) else _info(info)
    line = transport.line()
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


async def settings(transport: Transport, names: Sequence[str]) -> dict[str, str]:
    """Return settings of the server by name, without those that it does not tell."""
    found: dict[str, str] = {}
    for reply in await transport.each([Command(("CONFIG", "GET", name)) for name in names]):
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


# --- what may be lost ------------------------------------------------------------------------


async def warn_about_losses(transport: Transport, prefix: str) -> None:
    """Log one warning when the server evicts keys or persists nothing.

    Servers that do not tell their settings (managed ones, proxies) get no warning. Raises
    UnavailableError when there was no answer.
    """
    found = _losses(await settings(transport, ("maxmemory-policy", "save", "appendonly")))
    if found:
        logger.warning(
            "the Redis server of the store %r may lose memories: %s", prefix, " and ".join(found)
        )


def durability_warnings(info: Mapping[str, str]) -> list[str]:
    """Return how memories may be lost with these settings, a clause each."""
    found, save = _losses(info), info.get("save", UNKNOWN)
    if save not in ("", NEVER, UNKNOWN) and info.get("appendonly") == "no":
        found.append(f"a crash loses all since the last snapshot (appendonly no, save {save})")
    return found


def _losses(info: Mapping[str, str]) -> list[str]:
    """Return those that need no crash."""
    found: list[str] = []
    policy = info.get("maxmemory-policy", UNKNOWN)
    if policy not in ("noeviction", UNKNOWN):
        found.append(f"it evicts keys when it is full (maxmemory-policy {policy})")
    if info.get("save") in ("", NEVER) and info.get("appendonly") == "no":
        found.append("it persists nothing (no save points, appendonly no)")
    return found
