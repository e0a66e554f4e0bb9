"""What a server's settings mean for the memories in it, said once, when a store is created."""

from __future__ import annotations

import logging

from buddy_memory_redis.facts import settings
from buddy_memory_redis.link import Link

logger = logging.getLogger("buddy.memory")


async def warn_about_losses(link: Link, prefix: str) -> None:
    """Log one warning when the server evicts keys or persists nothing.

    Servers that do not tell their settings (managed ones, proxies) get no warning. Raises
    UnavailableError when there was no answer.
    """
    told = await settings(link, ("maxmemory-policy", "save", "appendonly"))
    risks = []
    policy = told.get("maxmemory-policy", "noeviction")
    if policy != "noeviction":
        risks.append(f"it evicts keys when it is full (maxmemory-policy {policy})")
    if told.get("save") == "" and told.get("appendonly") == "no":
        risks.append("it persists nothing (no save points, appendonly no)")
    if risks:
        logger.warning(
            "the Redis server of the store %r may lose memories: %s", prefix, " and ".join(risks)
        )
