"""An asynchronous database as a whole: made, looked at, emptied, closed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self


class AsyncDatabaseLifecycle(ABC):
    """The methods of DatabaseLifecycle, awaited; what each promises stands there."""

    @abstractmethod
    async def create(self) -> None: ...

    @abstractmethod
    async def table_exists(self) -> bool: ...

    @abstractmethod
    async def drop_table(self) -> None: ...

    @abstractmethod
    async def clear(self) -> bool: ...

    async def upgrade(self) -> None:
        """As MemoryDb.upgrade."""
        return  # Nothing to do unless a backend says otherwise.

    async def ping(self) -> None:
        await self.table_exists()

    async def close(self) -> None:
        """As MemoryDb.close."""
        return  # Nothing was opened unless a backend says otherwise.

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self:
        """As MemoryDb.from_url; not awaited, since it does no I/O."""
        from buddy.memory.options import build

        return build(cls, url, options)

    def to_dict(self) -> dict[str, Any]:
        """As MemoryDb.to_dict."""
        return {"name": type(self).__name__}
