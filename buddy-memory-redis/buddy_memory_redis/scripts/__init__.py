"""The Lua scripts: each is one file, behind the files that it shares with others."""

from __future__ import annotations

from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import NamedTuple

_SHARED = {
    **dict.fromkeys(
        ("count", "ended", "find", "heads", "indexed", "mark", "page", "read", "users"), ("lib",)
    ),
    **dict.fromkeys(("clear", "reserve"), ("lib",)),
    **dict.fromkeys(
        ("delete", "delete_range", "index", "put", "rewrite", "sweep", "touch"), ("lib", "change")
    ),
}


class Script(NamedTuple):
    """The text of a script, and the hash by which a server that has it knows it."""

    text: str
    sha: str


@cache
def script(name: str) -> Script:
    """Return the script called ``name``."""
    text = "\n".join(_read(part) for part in (*_SHARED.get(name, ()), name))
    found = Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())
    _texts[found.sha] = text
    return found


_texts: dict[str, str] = {}


def text_of(sha: str) -> str:
    """Return the text of a script that was asked for, by its hash."""
    return _texts[sha]


def _read(name: str) -> str:
    return files(__name__).joinpath(f"{name}.lua").read_text("utf-8")
