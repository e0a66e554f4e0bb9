"""Are our files ours? Another distribution may ship an older ``buddy/memory`` and overwrite them.

pip does not ask before it overwrites a file of another distribution, and removes it with whichever
of the two is uninstalled first. The hashes in our RECORD tell.
"""

from __future__ import annotations

import csv
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

NAME = "buddy-memory-core"
_OURS = ("buddy/memory/", "buddy/agent/", "buddy/__init__.py", "buddy/agent.py", "buddy/memory.py")


class Installation(NamedTuple):
    """``changed`` and ``missing`` files of ours (paths below site-packages), the ``others`` that
    claim such files, and whether there were hashes to compare with (an editable install has none).
    """

    changed: list[str]
    missing: list[str]
    others: list[str]
    verifiable: bool

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.changed or self.missing or self.others)

    def advice(self) -> str:
        """Return what to do when it is not sound."""
        repair = f"pip install --force-reinstall --no-deps {NAME}"
        if self.others:
            return f"pip uninstall {' '.join(self.others)}, then {repair}"
        return repair


def inspect(distribution: metadata.Distribution | None = None) -> Installation:
    """Compare our files with the hashes from when they were installed."""
    try:
        ours = distribution or metadata.distribution(NAME)
    except metadata.PackageNotFoundError:
        return Installation([], [], [], False)
    changed: list[str] = []
    missing: list[str] = []
    verifiable = False
    for path, digest in _recorded(ours):
        verifiable = True
        file = Path(str(ours.locate_file(path)))
        if not file.is_file():
            missing.append(path)
        elif _digest(file) != digest:
            changed.append(path)
    return Installation(changed, missing, sorted(set(_others())), verifiable)


def _recorded(distribution: metadata.Distribution) -> Iterator[tuple[str, str]]:
    for row in csv.reader((distribution.read_text("RECORD") or "").splitlines()):
        if len(row) == 3 and row[0].startswith("buddy/") and row[1].startswith("sha256="):
            yield row[0], row[1].removeprefix("sha256=")


def _digest(file: Path) -> str:
    return urlsafe_b64encode(sha256(file.read_bytes()).digest()).rstrip(b"=").decode()


def _others() -> Iterator[str]:
    for distribution in metadata.distributions():
        try:
            record = distribution.read_text("RECORD") or distribution.read_text(
                "installed-files.txt"
            )
            name = distribution.metadata["Name"]
        except (OSError, ValueError, KeyError):
            continue  # Broken metadata of others is their affair.
        if not record or "buddy/" not in record or not name:
            continue
        paths = (line.removeprefix("../").strip('"') for line in record.splitlines())
        if name.lower().replace("_", "-") != NAME and any(p.startswith(_OURS) for p in paths):
            yield name
