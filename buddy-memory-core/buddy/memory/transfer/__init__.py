"""Moving memories: out to a file, in from a file, and from one database to another.

    from buddy.memory import open_memory_db
    from buddy.memory.transfer import copy

    with open_memory_db("sqlite:///dev.db") as dev, open_memory_db("${PROD_URL}") as prod:
        result = copy(dev, prod)
        assert result.complete

Ids, owners, times to the microsecond, the order and summaries are kept on every backend, versions
where it can (see ``StoredContract.restore_memories``). A call that was interrupted is repeated:
what is there already is skipped. The file's format is in ``buddy.memory.transfer.lines``.
"""

from buddy.memory.transfer.errors import DestinationError, FileError, SourceError
from buddy.memory.transfer.export import Exported, export_file
from buddy.memory.transfer.loading import Loaded, load
from buddy.memory.transfer.moves import copy, import_file

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
