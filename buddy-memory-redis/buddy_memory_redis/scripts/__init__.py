"""The Lua scripts: each file is one script, behind what it shares with its neighbours."""

from __future__ import annotations

from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import NamedTuple

_SHARED = {
    "directory": ("claim", "intend", "settle", "scan", "tally"),
    "shelf": ("put", "remove", "probe", "fetch", "list", "count"),
}


class Script(NamedTuple):
    """The text of a script, and the hash by which a server that has it knows it."""

    text: bytes
    sha: bytes


@cache
def script(name: str) -> Script:
    """Return the script called ``name``."""
    shared = next(shared for shared, names in _SHARED.items() if name in names)
    text = b"\n".join(_read(part) for part in ("lib", shared, name))
    return Script(text, sha1(text, usedforsecurity=False).hexdigest().encode())


def _read(name: str) -> bytes:
    return files(__name__).joinpath(f"{name}.lua").read_bytes()


@cache
def text_of(sha: bytes) -> bytes:
    """Return the text of the script with that hash."""
    scripts = (script(name) for names in _SHARED.values() for name in names)
    return next(found.text for found in scripts if found.sha == sha)
