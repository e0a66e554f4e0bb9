"""Entry points of installed distributions, as claims to backend names.

Nothing here imports a plugin, and no other distribution's broken metadata can stop the scan.
``importlib.metadata`` would read and parse the metadata of every distribution; most have nothing
for us, which the bytes of one small file tell.
"""

from __future__ import annotations

import itertools
import logging
import os
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

GROUPS = {"v1": "buddy.memory.db", "v2": "buddy.memory.v2.db", "async": "buddy.memory.v2.db.async"}
"""The entry-point group of each kind of backend."""

PLUGINS = "buddy.memory.plugins"
"""The entry-point group of plugins, whose claims have the kind "plugin"."""

logger = logging.getLogger("buddy.memory")


class Claim(NamedTuple):
    """A distribution says: this name is that class. ``kind`` is a key of GROUPS, or "plugin"."""

    kind: str
    name: str
    value: str
    distribution: str
    version: str


def scan() -> list[Claim]:
    """Return every claim on ``sys.path``; one that is seen twice counts once."""
    claims: dict[Claim, None] = {}
    for distribution in _candidates():
        try:
            claims.update(dict.fromkeys(_claims(distribution)))
        except Exception as error:
            logger.debug("skipped unreadable metadata of a distribution: %r", error)
    return list(claims)


def _claims(distribution: Any) -> Iterator[Claim]:
    kinds = {PLUGINS: "plugin", **{group: kind for kind, group in GROUPS.items()}}
    name, version = _owner(distribution)
    for entry in distribution.entry_points:
        if entry.group in kinds:
            yield Claim(kinds[entry.group], entry.name, entry.value, name, version)


def _owner(distribution: Any) -> tuple[str, str]:
    """Return its normal name and its version.

    ``distribution.metadata`` would import a mail parser and have it read the whole README too.
    """
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO")
    head = itertools.takewhile(str.strip, text.splitlines())
    fields = dict(line.split(": ", 1) for line in head if ": " in line)
    name = fields["Name"].strip().lower().replace("_", "-").replace(".", "-")
    return name, fields["Version"].strip()


def _candidates() -> Iterator[Any]:
    """Yield the distributions whose entry points mention us."""
    for folder in dict.fromkeys(sys.path):
        try:
            names = os.listdir(folder or ".")  # noqa: PTH208  (a hundred objects fewer to make)
        except OSError:
            yield from _in_archive(folder)
            continue
        for name in names:
            if name.endswith((".dist-info", ".egg-info")):
                path = f"{folder or '.'}/{name}"
                if _mentions_us(f"{path}/entry_points.txt"):
                    from importlib.metadata import Distribution

                    yield Distribution.at(path)


def _mentions_us(file: str) -> bool:
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError:
        return False
    try:
        return b"buddy.memory" in os.read(descriptor, 1_000_000)
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _in_archive(path: str) -> Iterator[Any]:
    """Yield the distributions of a zip file on ``sys.path``; of anything else, none."""
    if not os.path.isfile(path):  # noqa: PTH113
        return
    from importlib.metadata import distributions

    try:
        yield from distributions(path=[path])
    except Exception as error:
        logger.debug("skipped %s: %r", path, error)
