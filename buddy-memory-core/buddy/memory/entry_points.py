"""Entry points of installed distributions, as claims to names.

They are found by ``importlib-metadata``, and so wherever an installer of the field or the finder of
a frozen application shows them. Nothing here imports a plugin, and no distribution whose metadata
are broken stops the scan.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator
from importlib import invalidate_caches
from threading import RLock
from typing import TYPE_CHECKING, NamedTuple, cast

from buddy.memory.errors import AmbiguousBackendError
from buddy.memory.import_path import SynchronousClassError, describe

if TYPE_CHECKING:
    from importlib_metadata import Distribution

GROUPS = {"v1": "buddy.memory.db", "v2": "buddy.memory.v2.db", "async": "buddy.memory.v2.db.async"}
"""The entry-point group of each kind of backend."""

PLUGINS = "buddy.memory.plugins"
"""The entry-point group of plugins, whose claims have the kind "plugin"."""

COMMANDS = "buddy.memory.commands"
"""The entry-point group of further subcommands, whose claims have the kind "command"."""

_KINDS = {
    PLUGINS: "plugin",
    COMMANDS: "command",
    **{group: kind for kind, group in GROUPS.items()},
}

logger = logging.getLogger("buddy.memory")


class Claim(NamedTuple):
    """A distribution says: this name is that object. ``kind`` is a key of GROUPS, "plugin" or
    "command"."""

    kind: str
    name: str
    value: str
    distribution: str
    version: str


class InstalledClaims:
    """The claims on ``sys.path``, scanned once."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._claims: list[Claim] | None = None

    def all(self) -> list[Claim]:
        """Return every claim, each once."""
        with self._lock:
            if self._claims is None:
                self._claims = scan()
            return self._claims

    def allowed(self) -> list[Claim]:
        """Return the claims of distributions that BUDDY_MEMORY_BLOCK does not shut out."""
        shut_out = blocked()
        return [claim for claim in self.all() if claim.distribution not in shut_out]

    def refresh(self) -> None:
        """Scan again when asked next, and find modules that were installed since."""
        with self._lock:
            self._claims = None
        invalidate_caches()


installed = InstalledClaims()
"""Those of this process."""


def scan() -> list[Claim]:
    """Return every claim on ``sys.path``, each once.

    Of a distribution that is there several times, the first on the path counts, as for imports.
    An ``.egg-info`` counts only where there is no ``.dist-info``: it lies in a source tree, stays
    behind there, and grows old.
    """
    claimants: dict[str, list[Distribution]] = {}
    for distribution in _distributions():
        try:
            if _is_claimant(distribution):
                name = canonical(_header(distribution, "Name"))
                claimants.setdefault(name, []).append(distribution)
        except Exception as error:
            logger.warning("skipped a distribution with broken metadata: %s", describe(error))
    claims: dict[Claim, None] = {}
    for name, copies in claimants.items():
        try:
            if not _is_shadowed(name):
                found = next((copy for copy in copies if _has_dist_info(copy)), copies[0])
                claims.update(dict.fromkeys(_claims(name, found)))
        except Exception as error:
            logger.warning("skipped the distribution %s: %s", name, describe(error))
    return list(claims)


def settle(name: str, kind: str, claims: list[Claim]) -> Claim | None:
    """Return the claim of that kind, or None without one.

    ``claims`` are those to one name. ``BUDDY_MEMORY_PREFER=name=distribution`` chooses among
    several distributions; otherwise they raise AmbiguousBackendError, also when one owns the
    synchronous and another one the asynchronous class: they would keep their rows apart. A
    distribution with a synchronous class only raises SynchronousClassError.
    """
    owner = _preferred().get(name)
    chosen = [c for c in claims if c.distribution == owner] or claims
    fitting = list({c.value: c for c in chosen if c.kind == kind}.values())
    if len({c.distribution for c in chosen}) > 1 or len(fitting) > 1:
        claimed = {f"{c.distribution} ({c.value})" for c in chosen}
        raise AmbiguousBackendError(name, sorted(claimed))
    if not fitting and chosen and kind == "async":
        raise SynchronousClassError(name, chosen[0].distribution, "it is synchronous")
    return fitting[0] if fitting else None


def blocked() -> set[str]:
    """Return the distributions that BUDDY_MEMORY_BLOCK shuts out."""
    return {canonical(item) for item in _listed("BUDDY_MEMORY_BLOCK")}


def only_installed() -> bool:
    """Tell whether BUDDY_MEMORY_INSTALLED_ONLY forbids config strings that import a module."""
    return os.environ.get("BUDDY_MEMORY_INSTALLED_ONLY", "") not in ("", "0")


def _preferred() -> dict[str, str]:
    """Return the distribution that is to own a name, by name."""
    pairs = (item.partition("=") for item in _listed("BUDDY_MEMORY_PREFER"))
    return {name.strip().lower(): canonical(owner.strip()) for name, _, owner in pairs}


def _listed(variable: str) -> list[str]:
    return [item.strip() for item in os.environ.get(variable, "").split(",") if item.strip()]


def canonical(distribution: str) -> str:
    """Return the one spelling of a distribution's name."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _distributions() -> Iterator[Distribution]:
    """Yield what is installed; where that fails as a whole, by one entry of the path at a time."""
    from importlib_metadata import distributions

    try:
        yield from cast("list[Distribution]", [*distributions()])
    except Exception as error:
        logger.warning("the metadata of some distributions are broken: %s", describe(error))
        path: list[object] = [*sys.path]  # which may hold anything
        for entry in dict.fromkeys(entry for entry in path if isinstance(entry, str)):
            try:
                yield from cast("list[Distribution]", [*distributions(path=[entry])])
            except Exception as error:
                logger.warning("skipped %s: %s", entry, describe(error))


def _is_claimant(distribution: Distribution) -> bool:
    return "buddy.memory" in (distribution.read_text("entry_points.txt") or "")


def _header(distribution: Distribution, field: str) -> str:
    """Return a field of the metadata, without the parser of e-mails that would read all of them."""
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    found = re.search(rf"^{field}:[ \t]*(\S+)", text, re.MULTILINE)
    if found is None:
        raise ValueError(f"no {field} in the metadata")
    return found[1]


def _has_dist_info(distribution: Distribution) -> bool:
    return distribution.read_text("METADATA") is not None


def _is_shadowed(name: str) -> bool:
    """Tell whether a copy that claims nothing comes first on the path, as for imports."""
    from importlib_metadata import distribution

    first = cast("Distribution", distribution(name))
    return _has_dist_info(first) and not _is_claimant(first)


def _claims(name: str, distribution: Distribution) -> Iterator[Claim]:
    version = _header(distribution, "Version")
    for entry in distribution.entry_points:
        kind = _KINDS.get(entry.group.strip())
        if kind is not None:
            value = entry.value.partition("[")[0].strip()  # without extras
            yield Claim(kind, entry.name.lower(), value, name, version)
