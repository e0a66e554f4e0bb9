"""``backends``: what there is to choose from. Imports no driver."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.util import find_spec

import click

from buddy.memory.cli.formatting import plain
from buddy.memory.cli.output import emit, table
from buddy.memory.cli.parameters import json_option
from buddy.memory.registry import Backend
from buddy.memory.registry import default as registry

GOOD_FOR = {
    "buddy-memory-sqlite": "one machine: a file, no server",
    "buddy-memory-postgres": "production: many processes, SQL over the memories",
    "buddy-memory-mongo": "where MongoDB runs anyway; sharding",
    "buddy-memory-redis": "low latency, memories that expire",
    "buddy-memory-firestore": "Google Cloud without servers of one's own",
}


@dataclass
class Known:
    """One backend, under all its names."""

    names: list[str]
    distribution: str
    version: str | None
    kinds: list[str]
    good_for: str
    problem: str
    """Why it cannot be used and what to do about it; empty when it can."""


def known() -> list[Known]:
    """Return every backend that the registry knows, those that can be used first."""
    groups: dict[tuple[str, tuple[str, ...]], list[Backend]] = {}
    for backend in registry.backends().values():
        classes = tuple(sorted(backend.classes.values()))
        groups.setdefault((backend.distribution, classes), []).append(backend)
    found = [_known(backends) for backends in groups.values()]
    return sorted(found, key=lambda item: (bool(item.problem), item.names))


def _known(backends: list[Backend]) -> Known:
    first = backends[0]
    kinds = [kind for kind in ("v1", "v2", "async") if kind in first.classes]
    return Known(
        [backend.name for backend in backends],
        first.distribution,
        first.version,
        kinds,
        GOOD_FOR.get(first.distribution) or _summary(first.distribution),
        _problem(first),
    )


def _summary(distribution: str) -> str:
    try:
        return metadata.metadata(distribution)["Summary"] or ""
    except (metadata.PackageNotFoundError, KeyError, ValueError):
        return ""


def _problem(backend: Backend) -> str:
    name = backend.distribution
    if name in os.environ.get("BUDDY_MEMORY_BLOCK", "").replace(" ", "").split(","):
        return "blocked by BUDDY_MEMORY_BLOCK"
    if ", " in name:
        return f"claimed by several: set BUDDY_MEMORY_PREFER={backend.name}=DISTRIBUTION"
    missing = _missing_packages(backend.classes)
    if backend.version is None:
        # Frozen applications have the package and no metadata.
        return f"not installed: pip install {name}" if missing else ""
    if missing:
        return f"broken, {missing[0]} is missing: pip install --force-reinstall {name}"
    if drivers := _missing_requirements(name):
        return f"{', '.join(drivers)} is missing: pip install {name}"
    return ""


def _missing_packages(classes: Mapping[str, str]) -> list[str]:
    # Of the top-level package only: finding a module inside would import what is above it.
    packages = {path.partition(":")[0].partition(".")[0].strip() for path in classes.values()}
    return sorted(package for package in packages if not _is_there(package))


def _is_there(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def _missing_requirements(distribution: str) -> list[str]:
    try:
        requirements: Iterable[str] = metadata.requires(distribution) or ()
    except metadata.PackageNotFoundError:
        return []
    # Those with a marker may not be needed here.
    names = [re.split(r"[^\w.-]", text, maxsplit=1)[0] for text in requirements if ";" not in text]
    return [name for name in names if not _is_installed(name)]


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


@click.command("backends")
@json_option
def backends_command(as_json: bool) -> None:
    """List every backend, installed or not."""
    backends = known()
    if as_json:
        emit([{**asdict(b), "installed": b.version is not None} for b in backends])
        return
    table(
        ("Names", "API", "Distribution", "Good for, or what to do"),
        [
            (
                "\n".join(map(plain, b.names)),
                " ".join(b.kinds),
                f"{b.distribution} {b.version or ''}".strip(),
                plain(f"✗ {b.problem}" if b.problem else b.good_for),
            )
            for b in backends
        ],
    )
