"""What a server's settings mean for the memories in it, said once, when a store is created."""

from __future__ import annotations

import logging

from buddy.memory.errors import MemoryDbError
from buddy_memory_redis.link import Link

logger = logging.getLogger("buddy.memory")


async def warn_about_losses(link: Link, prefix: str) -> None:
    """Log one warning when the server evicts keys or persists nothing.

    Servers that do not tell their settings (managed ones, proxies) get no warning. Raises
    UnavailableError when there was no answer.
    """
    settings = await _settings(link)
    risks = []
    policy = settings.get("maxmemory-policy", "noeviction")
    if policy != "noeviction":
        risks.append(f"it evicts keys when it is full (maxmemory-policy {policy})")
    if settings.get("save") == "" and settings.get("appendonly") == "no":
        risks.append("it persists nothing (no save points, appendonly no)")
    if risks:
        logger.warning(
            "the Redis server of the store %r may lose memories: %s", prefix, " and ".join(risks)
        )


async def _settings(link: Link) -> dict[str, str]:
    names = ("maxmemory-policy", "save", "appendonly")
    found: dict[str, str] = {}
    for name in names:
        (reply,) = await link.each([("CONFIG GET", name)])
        if isinstance(reply, MemoryDbError):
            return found
        found |= _pairs(reply)
    return found


def _pairs(reply: object) -> dict[str, str]:
    """Return the reply to CONFIG GET, a map or a flat list, as text."""
    if isinstance(reply, list):
        reply = dict(zip(reply[::2], reply[1::2], strict=True))
    items = reply.items() if isinstance(reply, dict) else ()
    return {_text(name): _text(value) for name, value in items}


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
