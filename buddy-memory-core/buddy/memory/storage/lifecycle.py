"""A database as a whole: made, looked at, emptied, closed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self


class DatabaseLifecycle(ABC):
    """The methods of a synchronous database that are about no row."""

    @abstractmethod
    def create(self) -> None:
        """Make the tables. Does nothing when they exist; safe from any number of processes."""

    @abstractmethod
    def table_exists(self) -> bool:
        """Tell whether the tables were made."""

    @abstractmethod
    def drop_table(self) -> None:
        """Remove the tables of this store with everything in them, and nothing else."""

    @abstractmethod
    def clear(self) -> bool:
        """Delete every row of this store, memories and summaries. True when that is done."""

    def upgrade(self) -> None:
        """Bring tables made by older software up to date, losing nothing. Safe to repeat."""
        return  # Nothing to do unless a backend says otherwise.

    def ping(self) -> None:
        """Return when the backend answered; raise when it did not."""
        self.table_exists()

    def close(self) -> None:
        """Give back what this object opened. Safe to repeat; other calls raise afterwards."""
        return  # Nothing was opened unless a backend says otherwise.

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """Open the database that ``url`` names; options win over the URL's parameters.

        Raises ConfigError when something in it is wrong. Does no I/O.
        """
        from buddy.memory.options import build

        return build(cls, url, options)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings, without secrets."""
        return {"name": type(self).__name__}
