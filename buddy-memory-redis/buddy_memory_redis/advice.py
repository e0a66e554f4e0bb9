"""What a server's settings mean for the memories in it."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from buddy_memory_redis.facts import NEVER, UNKNOWN, settings
from buddy_memory_redis.link import Link

logger = logging.getLogger("buddy.memory")


async def warn_about_losses(link: Link, prefix: str) -> None:
    """Log one warning when the server evicts keys or persists nothing.

    Servers that do not tell their settings (managed ones, proxies) get no warning. Raises
    UnavailableError when there was no answer.
    """
    if found := _losses(await settings(link, ("maxmemory-policy", "save", "appendonly"))):
        logger.warning(
            "the Redis server of the store %r may lose memories: %s", prefix, " and ".join(found)
        )


def risks(told: Mapping[str, str]) -> list[str]:
    """Return how memories may be lost with these settings, a clause each."""
    found, save = _losses(told), told.get("save", UNKNOWN)
    if save not in ("", NEVER, UNKNOWN) and told.get("appendonly") == "no":
        found.append(f"a crash loses all since the last snapshot (appendonly no, save {save})")
    return found


def _losses(told: Mapping[str, str]) -> list[str]:
    """Return those that need no crash."""
    found: list[str] = []
    policy = told.get("maxmemory-policy", UNKNOWN)
    if policy not in ("noeviction", UNKNOWN):
        found.append(f"it evicts keys when it is full (maxmemory-policy {policy})")
    if told.get("save") in ("", NEVER) and told.get("appendonly") == "no":
        found.append("it persists nothing (no save points, appendonly no)")
    return found
