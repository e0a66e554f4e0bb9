"""Backends by name: explicit registration, then entry points, then the first-party table.

Importing this module scans and imports nothing. One name's lookup imports that backend only.

``BUDDY_MEMORY_PREFER=name=distribution,…`` settles a name that several distributions claim;
``BUDDY_MEMORY_BLOCK=distribution,…`` makes the registry blind for a distribution. Both are read at
every lookup.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from threading import RLock
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast, overload

from buddy.memory import config as configs
from buddy.memory import plugins
from buddy.memory.entry_points import (
    GROUPS,
    Claim,
    InstalledClaims,
    blocked,
    installed,
    only_installed,
    settle,
)
from buddy.memory.errors import BackendLoadError, ConfigError, UnknownBackendError
from buddy.memory.import_path import SynchronousClassError, check_class, load
from buddy.memory.known_backends import FIRST_PARTY
from buddy.memory.v2.db.base import AsyncMemoryDb, MemoryDb

if TYPE_CHECKING:
    from buddy.memory.db.base import MemoryDb as MemoryDbV1


_WHAT = {"v1": "backend of version 1", "v2": "backend", "async": "asynchronous backend"}


class Backend(NamedTuple):
    """A known name. ``classes`` maps v1, v2 and async to ``module:Class``; ``distribution`` owns it
    (several: the name is ambiguous), ``version`` is None when it is not installed."""

    name: str
    classes: Mapping[str, str]
    distribution: str
    version: str | None


class Registry:
    """Finds backend classes. ``buddy.memory`` holds the one of the process."""

    def __init__(self, claims: InstalledClaims | None = None) -> None:
        """Take what is installed; by default it is scanned for this object alone."""
        self._lock = RLock()
        self._registered: dict[tuple[str, str], type[Any] | str] = {}
        self._claims = claims or InstalledClaims()

    def register(self, name: str, backend: type[Any] | str, kind: str = "v2") -> None:
        """Make ``name`` mean ``backend`` (a class or ``module:Class``) before any entry point.

        ``kind`` is "v1", "v2" or "async". A later registration replaces an earlier one.
        """
        with self._lock:
            self._registered[_check_kind(kind), name.lower()] = backend

    def refresh(self) -> None:
        """Scan the entry points again at the next lookup, and find modules installed since."""
        self._claims.refresh()

    def backends(self) -> Mapping[str, Backend]:
        """Return every known name, installed or not, without importing any backend."""
        known = {
            name: Backend(name, dict(entry.classes), entry.distribution, None)
            for name, entry in FIRST_PARTY.items()
        }
        for claim in sorted(c for c in self.claims() if c.kind in GROUPS):
            old = known.get(claim.name)
            owners = {claim.distribution}
            if old is not None and old.version is not None:
                owners |= set(old.distribution.split(", "))
            classes = {**(old.classes if old else {}), claim.kind: claim.value}
            owner = ", ".join(sorted(owners))
            known[claim.name] = Backend(claim.name, classes, owner, claim.version)
        with self._lock:
            registered = list(self._registered.items())
        for (kind, name), backend in registered:
            value = backend if isinstance(backend, str) else _path(backend)
            classes = {**(known[name].classes if name in known else {}), kind: value}
            known[name] = Backend(name, classes, "register()", "")
        return MappingProxyType(dict(sorted(known.items())))

    def lookup(self, name: str, kind: str = "v2") -> type[Any]:
        """Return the class that ``name`` means; a name ``a+b`` is tried whole, then as ``a``.

        Raises UnknownBackendError, AmbiguousBackendError or BackendLoadError.
        """
        _check_kind(kind)
        if ":" in name:
            if only_installed():
                raise ConfigError(
                    f"{name!r:.80} names a class, and BUDDY_MEMORY_INSTALLED_ONLY allows installed "
                    "backends only"
                )
            return load(name, name, "the config string", kind)
        name = name.lower()
        for candidate in dict.fromkeys((name, name.partition("+")[0])):
            found = self._find(candidate, kind)
            if found is not None:
                return found
        raise self._unknown(name, kind)

    def _find(self, name: str, kind: str) -> type[Any] | None:
        registered = self._registered.get((kind, name))
        if isinstance(registered, str):
            return load(name, registered, "register()", kind)
        if registered is not None:
            return check_class(name, registered, "register()", kind)
        if kind == "async" and ("v2", name) in self._registered:
            raise SynchronousClassError(name, "register()", "its synchronous class is registered")
        siblings = ("v1",) if kind == "v1" else ("v2", "async")
        claims = [c for c in self.claims() if c.name == name and c.kind in siblings]
        ours = _unlisted(name, kind, claims)
        claim = settle(name, kind, [*claims, *ours])
        if claim is None:
            return None
        try:
            return load(name, claim.value, claim.distribution, kind)
        except BackendLoadError as error:
            if claim in ours and _is_absence(error, claim):
                return None  # Not installed: said better by UnknownBackendError.
            raise

    def claims(self) -> list[Claim]:
        """Return what installed distributions claim; scans once."""
        return self._claims.allowed()

    def _unknown(self, name: str, kind: str) -> UnknownBackendError:
        from difflib import get_close_matches

        known = {n for n, backend in self.backends().items() if kind in backend.classes}
        base = name.partition("+")[0]
        entry = FIRST_PARTY.get(name) or FIRST_PARTY.get(base)
        claimants = {c.distribution for c in self._claims.all() if c.name in (name, base)}
        shut_out = blocked() & (claimants | ({entry.distribution} if entry else set()))
        if shut_out:
            hint = f"BUDDY_MEMORY_BLOCK shuts out {', '.join(sorted(shut_out))}."
        elif entry is not None and kind in entry.classes:
            hint, known = f"Install it: pip install {entry.distribution}.", set()
        elif entry is not None:
            hint = f"It has {' and '.join(entry.classes)} classes only."
        else:
            near = configs.file_url(name) or next(iter(get_close_matches(name, known, 1)), None)
            hint = f"Did you mean {near!r}?" if near else ""
        return UnknownBackendError(name, _WHAT[kind], known - {name}, hint)


def _check_kind(kind: str) -> str:
    if kind not in GROUPS:
        raise ConfigError(f"kind must be one of {', '.join(GROUPS)}, not {kind!r}")
    return kind


def _unlisted(name: str, kind: str, claims: list[Claim]) -> list[Claim]:
    """Return our own claim to the name where no metadata make it; at most one.

    Where nobody claims the name, the table answers. Where a stranger does, ours must not give way
    for want of metadata if it can be imported.
    """
    entry = FIRST_PARTY.get(name)
    if entry is None or kind not in entry.classes or entry.distribution in blocked():
        return []
    ours = Claim(kind, name, entry.classes[kind], entry.distribution, "")
    if any(claim.distribution == ours.distribution for claim in claims):
        return []
    return [ours] if not claims or find_spec(_package(ours)) else []


def _is_absence(error: BackendLoadError, claim: Claim) -> bool:
    """Tell whether the backend itself is not there, and not something that it imports."""
    cause = error.__cause__
    return isinstance(cause, ModuleNotFoundError) and cause.name == _package(claim)


def _package(claim: Claim) -> str:
    return claim.value.partition(".")[0]


def _path(cls: type[Any]) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


default = Registry(installed)
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
        return cast(AsyncMemoryDb, _open(target, "async", options))
    except (UnknownBackendError, SynchronousClassError):
        from buddy.memory.v2.db.threaded import ThreadedMemoryDb

        return ThreadedMemoryDb(_open(target, "v2", options))


def _parse(config: object) -> configs.Target:
    if isinstance(config, str):
        return configs.parse(plugins.rewrite(config))
    if isinstance(config, Mapping) and isinstance(config.get("url"), str):
        return configs.parse({**config, "url": plugins.rewrite(config["url"])})
    return configs.parse(config)


def _open(target: configs.Target, kind: str, options: Mapping[str, Any]) -> Any:
    from buddy.memory.options import construct

    cls = default.lookup(target.name, kind)
    merged = {**target.options, **options}
    url = target.url
    opened = construct(cls, merged) if url is None else cls.from_url(url, **merged)
    plugins.announce(opened)
    return opened
