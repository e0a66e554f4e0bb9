"""Server info: version, topology, and the settings that decide whether acknowledged writes last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from buddy.memory.errors import MemoryDbError, UnavailableError
from buddy.memory.storage.record import Kind
from buddy_memory_mongo.database import Database

_DEFAULT = "the server's default"


async def ask(database: Database) -> dict[str, str]:
    """Return the info by name, as far as the role may know it: every role may ask.

    The concerns are those that the client sets, or else the cluster's defaults, for which some
    roles may not ask. ``journaled`` says whether a write is in a journal when it is acknowledged.
    """
    build = await database.call_client(lambda client: client.admin.command("buildInfo"))
    hello = await database.call_client(lambda client: client.admin.command("hello"))
    defaults = await _answer(database, "getDefaultRWConcern")
    members = await _answer(database, "replSetGetConfig")
    client = database.client()
    write = client.write_concern.document or defaults.get("defaultWriteConcern", {})
    read = client.read_concern.level or defaults.get("defaultReadConcern", {}).get("level")
    return {
        "MongoDB": str(build["version"]),
        "kind": _kind(hello),
        "database": database.name,
        "collection": database.collections[Kind.MEMORY],
        "write concern": _concern(write),
        "journaled": _journaled(write, members.get("config", {})),
        "read concern": read or _DEFAULT,
        "TLS": "off" if client.options.pool_options._ssl_context is None else "on",
    }


def warnings(info: Mapping[str, str]) -> list[str]:
    """Return how acknowledged writes may be lost with these settings, a clause each."""
    concern = info["write concern"].split()
    if "w=0" in concern:
        return ["writes are not acknowledged (write concern w=0)"]
    if "w=1" in concern and info["kind"].startswith("replica set"):
        return ["a failover may undo the last writes (write concern w=1)"]
    if info["journaled"] == "no":
        return ["a crash of the server may lose the last writes (not journaled)"]
    return []


async def _answer(database: Database, command: str) -> dict[str, Any]:
    """Return the answer to a command, or {} where the role has no right to it or the service has
    no such command."""
    try:
        answer: dict[str, Any] = await database.call_client(
            lambda client: client.admin.command(command)
        )
    except UnavailableError:
        raise
    except MemoryDbError:
        return {}
    return answer


def _kind(hello: dict[str, Any]) -> str:
    if hello.get("msg") == "isdbgrid":
        return "sharded cluster"
    if "setName" in hello:
        return f"replica set {hello['setName']}, members: {len(hello.get('hosts', ()))}"
    return "standalone"


def _concern(write: dict[str, Any]) -> str:
    shown = [f"{name}={value}" for name, value in write.items() if (name, value) != ("wtimeout", 0)]
    return " ".join(shown) or _DEFAULT


def _journaled(write: dict[str, Any], members: dict[str, Any]) -> str:
    """Return "yes", "no" or "unknown": ``j`` decides, or else a majority's journals do."""
    awaited = write.get("j")
    if awaited is None and "w" in write:
        majority = write["w"] == "majority"
        awaited = members.get("writeConcernMajorityJournalDefault") if majority else False
    return "unknown" if awaited is None else "yes" if awaited else "no"
