"""Entry points of installed distributions, as claims to backend names.

Nothing here imports a plugin, and no other distribution's broken metadata can stop the scan.
``importlib.metadata`` would read and parse the metadata of every distribution, and importing it
takes longer than this whole scan; most distributions have nothing for us, which the bytes of one
small file tell.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator
from typing import NamedTuple

from buddy.memory.errors import AmbiguousBackendError
from buddy.memory.import_path import SynchronousClassError

GROUPS = {"v1": "buddy.memory.db", "v2": "buddy.memory.v2.db", "async": "buddy.memory.v2.db.async"}
"""The entry-point group of each kind of backend."""

PLUGINS = "buddy.memory.plugins"
"""The entry-point group of plugins, whose claims have the kind "plugin"."""

_KINDS = {PLUGINS: "plugin", **{group: kind for kind, group in GROUPS.items()}}
_CHUNK = 65_536  # bytes; nearly every file is shorter, and a larger buffer is slow to get

logger = logging.getLogger("buddy.memory")


class Claim(NamedTuple):
    """A distribution says: this name is that class. ``kind`` is a key of GROUPS, or "plugin"."""

    kind: str
    name: str
    value: str
    distribution: str
    version: str


def scan() -> list[Claim]:
    """Return every claim on ``sys.path``, each once.

    Of a distribution that is there several times, the first on the path counts, as for imports.
    An ``.egg-info`` counts only where there is no ``.dist-info``: it lies in a source tree, stays
    behind there, and grows old.
    """
    path: list[object] = [*sys.path]  # which may hold anything
    shown: dict[str, tuple[str, str]] = {}
    for place in dict.fromkeys(entry for entry in path if isinstance(entry, str)):
        for info in _infos(place):
            key = info.rpartition(".")[0].partition("-")[0].lower().replace(".", "_")
            known = shown.get(key)
            if known is None or (known[1].endswith(".egg-info") and not info.endswith(".egg-info")):
                shown[key] = place, info
    claims: dict[Claim, None] = {}
    for place, info in shown.values():
        text = _read(place, f"{info}/entry_points.txt")
        if b"buddy.memory" in text:
            claims.update(dict.fromkeys(_claims(place, info, text)))
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


def _preferred() -> dict[str, str]:
    """Return the distribution that is to own a name, by name."""
    pairs = (item.partition("=") for item in _listed("BUDDY_MEMORY_PREFER"))
    return {name.strip().lower(): canonical(owner.strip()) for name, _, owner in pairs}


def _listed(variable: str) -> list[str]:
    return [item.strip() for item in os.environ.get(variable, "").split(",") if item.strip()]


def canonical(distribution: str) -> str:
    """Return the one spelling of a distribution's name."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _claims(place: str, info: str, text: bytes) -> Iterator[Claim]:
    name, version = [*info.rpartition(".")[0].split("-"), ""][:2]
    kind = None
    # A line that is wrong takes nothing with it but itself.
    for line in map(str.strip, text.decode("utf-8", "replace").lstrip("\ufeff").splitlines()):
        if line.startswith("[") and line.endswith("]"):
            kind = _KINDS.get(line[1:-1].strip())
        elif kind is not None and line and line[0] not in "#;":
            entry, is_pair, value = (part.strip() for part in line.partition("="))
            if not (is_pair and entry):
                logger.debug("skipped the line %r of %s", line, info)
                continue
            value = value.partition("[")[0].strip()  # without extras
            version = version or _version(place, info)
            yield Claim(kind, entry.lower(), value, canonical(name), version)


def _version(place: str, info: str) -> str:
    """Return the version that stands in an ``.egg-info``, whose name has none; else ""."""
    found = re.search(rb"^Version: *(\S+)", _read(place, f"{info}/PKG-INFO"), re.MULTILINE)
    return found[1].decode("utf-8", "replace") if found else ""


def _infos(place: str) -> list[str]:
    """Return the names of the metadata folders in a folder or zip file of ``sys.path``.

    The newest version comes first where a broken upgrade left two. "~" marks what pip could not
    remove.
    """
    try:
        names = os.listdir(place or ".")  # noqa: PTH208  (a hundred objects fewer to make)
    except (OSError, ValueError):  # not there, not a folder, or no path at all
        names = list({name.partition("/")[0] for name in _in_archive(place)})
    infos = [n for n in names if n.endswith((".dist-info", ".egg-info")) and n[0] != "~"]
    return sorted(infos, reverse=True)


def _in_archive(place: str) -> list[str]:
    """Return the names in a zip file; of anything else, none."""
    if not os.path.isfile(place):  # noqa: PTH113
        return []
    from zipfile import BadZipFile, ZipFile

    try:
        with ZipFile(place) as archive:
            return archive.namelist()
    except (BadZipFile, OSError) as error:
        logger.debug("skipped %s: %r", place, error)
        return []


def _read(place: str, name: str) -> bytes:
    """Return a file in a folder or zip file of ``sys.path``; b"" where it cannot be read."""
    try:
        descriptor = os.open(f"{place or '.'}/{name}", os.O_RDONLY)
    except NotADirectoryError:
        return _read_archived(place, name) if os.path.isfile(place) else b""  # noqa: PTH113
    except (OSError, ValueError):
        return b""
    try:
        text = chunk = os.read(descriptor, _CHUNK)
        while len(chunk) == _CHUNK:
            chunk = os.read(descriptor, _CHUNK)
            text += chunk
        return text
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _read_archived(place: str, name: str) -> bytes:
    from zipfile import BadZipFile, ZipFile

    try:
        with ZipFile(place) as archive:
            return archive.read(name)
    except (BadZipFile, KeyError, OSError, RuntimeError, ValueError) as error:
        logger.debug("skipped %s of %s: %r", name, place, error)
        return b""
