"""Backends by name: explicit registration, then entry points, then the first-party table.

Importing this module scans and imports nothing. One name's lookup imports that backend only.

``BUDDY_MEMORY_PREFER=name=distribution,…`` settles a name that several distributions claim;
``BUDDY_MEMORY_BLOCK=distribution,…`` makes the registry blind for a distribution.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from threading import RLock
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast, overload

from buddy.memory import config as configs
from buddy.memory.discovery import GROUPS, Claim, scan
from buddy.memory.errors import (
    AmbiguousBackendError,
    BackendLoadError,
    ConfigError,
    UnknownBackendError,
)
from buddy.memory.first_party import FIRST_PARTY

if TYPE_CHECKING:
    from buddy.memory.db.base import MemoryDb as MemoryDbV1
    from buddy.memory.v2.db.base import AsyncMemoryDb, MemoryDb


class Backend(NamedTuple):
    """A known name. ``classes`` maps v1, v2 and async to ``module:Class``; ``distribution`` owns it
    (several: the name is ambiguous), ``version`` is None when it is not installed."""

    name: str
    classes: Mapping[str, str]
    distribution: str
    version: str | None


class SynchronousClassError(BackendLoadError):
    """An asynchronous class was asked for and a synchronous one is there: run it in threads."""


class Registry:
    """Finds backend classes. ``buddy.memory`` holds the one of the process."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._registered: dict[tuple[str, str], type[Any] | str] = {}
        self._claims: list[Claim] | None = None

    def register(self, name: str, backend: type[Any] | str, kind: str = "v2") -> None:
        """Make ``name`` mean ``backend`` (a class or ``module:Class``) before any entry point.

        ``kind`` is "v1", "v2" or "async". A later registration replaces an earlier one.
        """
        with self._lock:
            self._registered[_check_kind(kind), name.lower()] = backend

    def refresh(self) -> None:
        """Scan the entry points again at the next lookup."""
        with self._lock:
            self._claims = None

    def backends(self) -> Mapping[str, Backend]:
        """Return every known name, installed or not, without importing any backend."""
        known = {
            name: Backend(name, dict(entry.classes), entry.distribution, None)
            for name, entry in FIRST_PARTY.items()
        }
        for claim in sorted(c for c in self.claims() if c.kind in GROUPS):
            old = known.get(claim.name)
            classes = {**(old.classes if old else {}), claim.kind: claim.value}
            owners = {claim.distribution}
            if old is not None and old.version is not None:
                owners |= set(old.distribution.split(", "))
            owner = ", ".join(sorted(owners))
            known[claim.name] = Backend(claim.name, classes, owner, claim.version)
        for (kind, name), backend in self._registered.items():
            value = backend if isinstance(backend, str) else _path(backend)
            known[name] = Backend(name, {kind: value}, "register()", "")
        return MappingProxyType(dict(sorted(known.items())))

    def lookup(self, name: str, kind: str = "v2") -> type[Any]:
        """Return the class that ``name`` means; a name ``a+b`` is tried whole, then as ``a``.

        Raises UnknownBackendError, AmbiguousBackendError or BackendLoadError.
        """
        _check_kind(kind)
        if ":" in name:
            return _load(name, name, "the config string", kind)
        for candidate in dict.fromkeys((name, name.partition("+")[0])):
            found = self._find(candidate, kind)
            if found is not None:
                return found
        raise self._unknown(name, kind)

    def _find(self, name: str, kind: str) -> type[Any] | None:
        registered = self._registered.get((kind, name))
        if isinstance(registered, str):
            return _load(name, registered, "register()", kind)
        if registered is not None:
            return _check_class(name, registered, "register()", kind)
        claims = [c for c in self.claims() if c.kind == kind and c.name.lower() == name]
        if claims:
            claim = _settle(name, claims)
            return _load(name, claim.value, claim.distribution, kind)
        entry = FIRST_PARTY.get(name)
        if entry is None or kind not in entry.classes or entry.distribution in _blocked():
            return None
        try:
            return _load(name, entry.classes[kind], entry.distribution, kind)
        except BackendLoadError as error:
            cause = error.__cause__
            package = entry.classes[kind].partition(".")[0]
            if isinstance(cause, ModuleNotFoundError) and cause.name == package:
                return None  # Not installed: said better by UnknownBackendError.
            raise

    def claims(self) -> list[Claim]:
        """Return what installed distributions claim; scans once."""
        with self._lock:
            if self._claims is None:
                self._claims = scan()
            blocked = _blocked()
            return [claim for claim in self._claims if claim.distribution not in blocked]

    def _unknown(self, name: str, kind: str) -> UnknownBackendError:
        from difflib import get_close_matches

        known = {n for n, backend in self.backends().items() if kind in backend.classes}
        entry = FIRST_PARTY.get(name) or FIRST_PARTY.get(name.partition("+")[0])
        if entry is not None and kind in entry.classes:
            hint = f"Install it: pip install {entry.distribution}."
        elif entry is not None:
            hint = f"It has {' and '.join(entry.classes)} classes only."
        else:
            near = get_close_matches(name, known, 1)
            hint = f"Did you mean {near[0]!r}?" if near else ""
        return UnknownBackendError(name, f"{kind} backend", known, hint)


def _check_kind(kind: str) -> str:
    if kind not in GROUPS:
        raise ConfigError(f"kind must be one of {', '.join(GROUPS)}, not {kind!r}")
    return kind


def _settle(name: str, claims: list[Claim]) -> Claim:
    preferred = dict(
        pair.split("=", 1) for pair in _listed("BUDDY_MEMORY_PREFER") if "=" in pair
    ).get(name)
    chosen = [c for c in claims if c.distribution == preferred] or claims
    if len({(c.value, c.distribution) for c in chosen}) > 1:
        raise AmbiguousBackendError(name, sorted(f"{c.distribution} ({c.value})" for c in chosen))
    return chosen[0]


def _load(name: str, path: str, distribution: str, kind: str) -> type[Any]:
    module, _, attributes = path.partition(":")
    try:
        found: Any = import_module(module.strip())
        for attribute in attributes.strip().split("."):
            found = getattr(found, attribute)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # A plugin may raise anything, SystemExit too; it fails alone.
        raise BackendLoadError(name, distribution, f"{type(error).__name__}: {error}") from error
    return _check_class(name, found, distribution, kind)


def _check_class(name: str, found: Any, distribution: str, kind: str) -> type[Any]:
    base = _base(kind)
    if isinstance(found, type) and issubclass(found, base):
        return found
    if kind == "async" and isinstance(found, type) and issubclass(found, _base("v2")):
        raise SynchronousClassError(name, distribution, "it is synchronous")
    wanted = f"{base.__module__}.{base.__qualname__}"
    raise BackendLoadError(name, distribution, f"{found!r:.120} is no subclass of {wanted}")


def _base(kind: str) -> type[Any]:
    if kind == "v1":
        from buddy.memory.db.base import MemoryDb as V1

        return V1
    from buddy.memory.v2.db.base import AsyncMemoryDb, MemoryDb

    return AsyncMemoryDb if kind == "async" else MemoryDb


def _path(cls: type[Any]) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _listed(variable: str) -> list[str]:
    return [item.strip() for item in os.environ.get(variable, "").split(",") if item.strip()]


def _blocked() -> list[str]:
    return _listed("BUDDY_MEMORY_BLOCK")


default = Registry()
"""The registry of this process."""


@overload
def open_memory_db(
    config: str | Mapping[str, Any], version: Literal[2] = 2, **options: Any
) -> MemoryDb: ...
@overload
def open_memory_db(
    config: str | Mapping[str, Any], version: Literal[1], **options: Any
) -> MemoryDbV1: ...
def open_memory_db(config: str | Mapping[str, Any], version: int = 2, **options: Any) -> Any:
    """Open the database that ``config`` names: a URL, a backend's name, a class or a mapping.

    ``options`` are arguments of the backend's constructor and win over those in ``config``.
    ``version`` is that of the API, 1 or 2. Does no I/O. Raises ConfigError or a subclass when the
    config is wrong, no such backend is known, or its import fails.
    """
    if version not in (1, 2):
        raise ConfigError(f"version must be 1 or 2, not {version!r}")
    return _open(_parse(config), f"v{version}", options)


def open_async_memory_db(config: str | Mapping[str, Any], **options: Any) -> AsyncMemoryDb:
    """Open the asynchronous side of the database that ``config`` names, as ``open_memory_db``.

    A backend without an asynchronous class is run in threads.
    """
    target = _parse(config)
    try:
        return cast("AsyncMemoryDb", _open(target, "async", options))
    except (UnknownBackendError, SynchronousClassError):
        from buddy.memory.v2.db.threaded import ThreadedMemoryDb

        return ThreadedMemoryDb(_open(target, "v2", options))


def _parse(config: str | Mapping[str, Any]) -> configs.Target:
    from buddy.memory import plugins

    return configs.parse(plugins.rewrite(config) if isinstance(config, str) else config)


def _open(target: configs.Target, kind: str, options: Mapping[str, Any]) -> Any:
    from buddy.memory import plugins
    from buddy.memory.options import construct

    cls = default.lookup(target.name, kind)
    merged = {**target.options, **options}
    url = target.url
    opened = construct(cls, merged) if url is None else cls.from_url(url, **merged)
    plugins.announce(opened)
    return opened
