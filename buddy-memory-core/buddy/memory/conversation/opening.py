"""The database that a memory object was given: opened, checked, and seen as awaitable."""

from __future__ import annotations

from os import PathLike
from typing import Any

from buddy.memory.config import parse
from buddy.memory.conversation.type_guards import is_mapping
from buddy.memory.db.base import MemoryDb as MemoryDbV1
from buddy.memory.known_backends import FIRST_PARTY
from buddy.memory.registry import open_memory_db
from buddy.memory.storage.eight_methods import Awaiting
from buddy.memory.v2.db.base import AsyncMemoryDb, MemoryDb


def open_db(given: Any, owner: str, version: int) -> tuple[Any, bool]:
    """Return the database that ``given`` is or names, and whether it was opened here.

    Raises TypeError for one of the other version, naming the class to use; ConfigError when a
    config string names none.
    """
    if given is None:
        return _in_memory(version), True
    if isinstance(given, PathLike):
        parse(given)  # Raises, and says which URL was meant.
    if isinstance(given, str) or is_mapping(given):
        return (open_memory_db(given, 1) if version == 1 else open_memory_db(given)), True
    wanted = (MemoryDb, AsyncMemoryDb) if version == 2 else (MemoryDbV1,)
    if not isinstance(given, wanted):
        raise TypeError(_refusal(given, owner, version))
    return given, False


def _in_memory(version: int) -> Any:
    if version == 1:
        from buddy.memory.db.inmemory import InMemoryDb as InMemoryDbV1

        return InMemoryDbV1()
    from buddy.memory.v2.db.inmemory import InMemoryDb

    return InMemoryDb()


def _refusal(given: Any, owner: str, version: int) -> str:
    cls = given if isinstance(given, type) else type(given)
    name = f"{cls.__module__}.{cls.__qualname__}"
    if isinstance(given, type):
        return f"{owner} takes a database object, not the class {name}: call it first"
    if not isinstance(given, (MemoryDbV1, MemoryDb, AsyncMemoryDb)):
        hint = "; a model is given as model=" if callable(given) else ""
        return f"{owner} takes a MemoryDb of version {version} or a config string, not {name}{hint}"
    use = _counterpart(cls, version) or f"a subclass of {_BASES[version]}"
    other = "AgentMemory" if owner == "Memory" else "Memory"
    return (
        f"{name} is a database of version {3 - version}, and {owner} needs one of version "
        f"{version}: use {use}, or give this one to {other}"
    )


_BASES = {1: "buddy.memory.db.base.MemoryDb", 2: "buddy.memory.v2.db.base.MemoryDb"}
_PACKAGES = {1: "buddy.memory.db", 2: "buddy.memory.v2.db"}


def _counterpart(cls: type[Any], version: int) -> str | None:
    """Return the documented path of a first-party backend's class of that version, if any."""
    paths = {f"{base.__module__}:{base.__qualname__}" for base in cls.__mro__}
    for name, entry in FIRST_PARTY.items():
        if paths & set(entry.classes.values()) and f"v{version}" in entry.classes:
            return f"{_PACKAGES[version]}.{name}.{entry.classes[f'v{version}'].partition(':')[2]}"
    return None


def blocking(db: Any) -> Any:
    """Return ``db`` for synchronous use; raises TypeError when it is asynchronous."""
    if isinstance(db, AsyncMemoryDb):
        raise TypeError(
            f"{type(db).__name__} is asynchronous: await the method of the same name with an a in "
            "front (aadd_user_memory, arun, …), or give the memory object a synchronous MemoryDb"
        )
    return Awaiting(db)


def awaitable(db: Any) -> Any:
    """Return ``db`` for use in an event loop; a synchronous one runs in threads."""
    if isinstance(db, AsyncMemoryDb):
        return db
    from buddy.memory.v2.db.threaded import ThreadedMemoryDb

    return ThreadedMemoryDb(db)
