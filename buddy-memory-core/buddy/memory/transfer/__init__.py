"""Moving memories: out to a file, in from a file, and from one database to another.

    from buddy.memory import open_memory_db
    from buddy.memory.transfer import copy

    with open_memory_db("sqlite:///dev.db") as dev, open_memory_db("${PROD_URL}") as prod:
        result = copy(dev, prod)
        assert result.complete

Users, ids, times to the microsecond, the order and summaries are kept on every backend; versions,
ends and vectors where it has a Store (see ``StoreBackedContract.restore_records``). A call that was
interrupted is repeated: what is there already is skipped. The format of the file is described in
``buddy.memory.transfer.jsonl_format``.
"""

from buddy.memory.transfer.copy import copy
from buddy.memory.transfer.errors import DestinationError, FileError, SourceError
from buddy.memory.transfer.export import Exported, export_file
from buddy.memory.transfer.importing import import_file
from buddy.memory.transfer.loader import load
from buddy.memory.transfer.result import Loaded

__all__ = [
    "DestinationError",
    "Exported",
    "FileError",
    "Loaded",
    "SourceError",
    "copy",
    "export_file",
    "import_file",
    "load",
]
