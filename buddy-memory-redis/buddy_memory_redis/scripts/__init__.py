"""The Lua scripts: each is one file, behind the files that it shares with its neighbours."""

from __future__ import annotations

from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import NamedTuple

_DIRECTORY, _SHELF = ("lib", "directory"), ("lib", "shelf")

_SHARED = {
    **dict.fromkeys(("intend", "reserve", "scan", "settle", "tally"), _DIRECTORY),
    **dict.fromkeys(("count", "fetch", "list", "probe", "remove"), _SHELF),
    "claim": (*_DIRECTORY, "claiming"),
    "put": ("quick", "quick_put", *_SHELF, "putting"),
    # What is local to the directory's files is out of sight where the shelf's have the same name.
    "erase": ("quick", "quick_erase", *_DIRECTORY, "shelf"),
    "upsert": ("quick", "quick_upsert", *_DIRECTORY, "claiming", "shelf", "putting"),
    "near": (),
}


class Script(NamedTuple):
    """The text of a script, and the hash by which a server that has it knows it."""

    text: bytes
    sha: bytes


@cache
def script(name: str) -> Script:
    """Return the script called ``name``."""
    text = b"\n".join(_read(part) for part in (*_SHARED[name], name))
    return Script(text, sha1(text, usedforsecurity=False).hexdigest().encode())


def _read(name: str) -> bytes:
    return files(__name__).joinpath(f"{name}.lua").read_bytes()


@cache
def text_of(sha: bytes) -> bytes:
    """Return the text of the script with that hash."""
    return next(found.text for found in map(script, _SHARED) if found.sha == sha)
