"""The constructor that all classes share: from arguments to a Store."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from buddy.memory.config import redact_url
from buddy.memory.errors import ConfigError
from buddy.memory.storage.database_base import StoreBackedDatabase
from buddy_memory_newname.store import NewnameStore

SCHEME = "newname"
DEFAULT = "newname-memories"


class NewnameConstructor(StoreBackedDatabase):
    """Memories in JSON files, in the folder that ``db_url`` names.

    ``db_url`` is ``newname:///relative/folder``, or with a slash more an absolute
    one; without a folder it is DEFAULT. ``table_name`` names the store in the folder. The first
    write makes both. ``expire`` is how many seconds a row lives that is written without a ``ttl``;
    None: for ever. Raises ConfigError; does no I/O.
    """

    def __init__(
        self,
        table_name: str = "memory",
        db_url: str | None = None,
        *,
        expire: float | None = None,
    ) -> None:
        if not table_name:
            raise ConfigError("table_name must not be empty")
        # The arguments by name: what repr shows, and what a pickle is opened with again.
        settings = {"table_name": table_name, "db_url": db_url, "expire": expire}
        super().__init__(NewnameStore(_folder(db_url), table_name), settings)


def _folder(db_url: str | None) -> Path:
    scheme, found, path = (db_url or f"{SCHEME}://").partition("://")
    if scheme != SCHEME or not found or "?" in path:
        # What is left behind the ? is no option of the constructor, and we have no driver to ask.
        raise ConfigError(f"{redact_url(str(db_url))!r} is not {SCHEME}:///folder?table_name=…")
    return Path(unquote(path.removeprefix("/")) or DEFAULT).absolute()
