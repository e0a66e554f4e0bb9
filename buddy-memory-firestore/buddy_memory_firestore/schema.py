"""The two collections: made, recognized, dropped.

Each has a marker, ``{collection}/%store``, which says what is kept in it and in which layout, and
holds a random token, the generation: a collection that is made again has another one. All
markers of a store are made in one commit, before its first row, so that no two stores can take one
collection for different things.
"""

from __future__ import annotations

from enum import Enum
from os import urandom
from typing import Any

from buddy.memory.errors import SchemaError
from buddy.memory.storage.record import Kind
from buddy_memory_firestore import names
from buddy_memory_firestore.calls import Calls, Write
from buddy_memory_firestore.errors import PreconditionFailed
from buddy_memory_firestore.legacy import is_legacy

LAYOUT = 2
"""The layout of today, as the markers tell it."""

_SHAPE = ["id", "version", "order", "stamps"]


class State(Enum):
    """What is at the place."""

    ABSENT = "nothing"
    MADE = "a store in the layout of today"
    LEGACY = "rows of older software, some of which may have been moved"


class Schema:
    """The pair of collections of a store, and what is known of them."""

    def __init__(self, calls: Calls, collection: str) -> None:
        self._calls = calls
        self.collections = {Kind.MEMORY: collection, Kind.SUMMARY: f"{collection}_summaries"}
        self._is_made = False

    def marker(self, kind: Kind) -> str:
        """Return the path of the marker of a collection."""
        return f"{self.collections[kind]}/{names.MARKER}"

    def forget(self) -> None:
        """Look at the place again before it is used."""
        self._is_made = False

    # --- recognizing

    async def check(self) -> None:
        """Raise SchemaError where the place is not ours to use. Asked until the place was made."""
        if not self._is_made:
            await self._calls.connection.single_flight((self, "check"), self._check)

    async def _check(self) -> None:
        await self._look(self._calls.within_timeout())

    async def _look(self, calls: Calls) -> dict[Kind, Any]:
        """Return the markers. Raises SchemaError, also for the rows of older software."""
        markers, state = await self.state(calls)
        if state is State.LEGACY:
            raise SchemaError(
                f"The collection {self.collections[Kind.MEMORY]!r} holds the rows of older "
                "software.",
                "Call upgrade(), which moves them. From the command line: buddy-memory upgrade URL",
            )
        self._is_made = len(markers) == len(Kind)
        return markers

    async def state(self, calls: Calls) -> tuple[dict[Kind, Any], State]:
        """Return the markers and what they mean. Raises SchemaError where the place is another's,
        or has the layout of an earlier release."""
        paths = {kind: self.marker(kind) for kind in Kind}
        found = await calls.get(list(paths.values()))
        markers = {kind: found[path] for kind, path in paths.items() if path in found}
        for kind, marker in markers.items():
            self._check_marker(kind, marker)
        memories = markers.get(Kind.MEMORY)
        if memories is None:
            return markers, await self._state_without_marker(calls)
        return markers, State.LEGACY if "upgrading" in memories.fields else State.MADE

    def _check_marker(self, kind: Kind, marker: Any) -> None:
        collection, fields = self.collections[kind], marker.fields
        if "layout" not in fields or fields["layout"].integer_value != LAYOUT:
            raise self._earlier(collection)
        if fields["kind"].string_value == kind.value:
            return
        if kind is Kind.MEMORY:
            raise SchemaError(
                f"The collection {collection!r} holds the summaries of another store.",
                "Choose another collection_name.",
            )
        raise SchemaError(
            f"The summaries of {self.collections[Kind.MEMORY]!r} would be kept in {collection!r}, "
            "which holds the memories of another store.",
            "Choose another collection_name.",
        )

    def _earlier(self, collection: str) -> SchemaError:
        return SchemaError(
            f"The collection {collection!r} has the layout of an earlier buddy-memory.",
            "Export it with the release that wrote it, and import it here.",
        )

    async def _state_without_marker(self, calls: Calls) -> State:
        """Return what the first documents show: older software made no marker, and the markers of
        an earlier release may be missing."""
        collection = self.collections[Kind.MEMORY]
        found, _ = await calls.list_documents("", collection, 2, _SHAPE)
        for document in found:
            if await is_legacy(calls, document):
                return State.LEGACY
            if _is_earlier(document):
                raise self._earlier(collection)
        return State.ABSENT

    # --- making and dropping

    async def create(self) -> None:
        """Make the markers that are missing. Raises SchemaError as ``check`` does."""
        if not self._is_made:
            await self._calls.connection.single_flight((self, "create"), self._create)

    async def _create(self) -> None:
        calls = self._calls.within_timeout()
        while not self._is_made:
            markers = await self._look(calls)
            missing = [kind for kind in Kind if kind not in markers]
            try:
                if missing:
                    await calls.commit([await self._marking(kind) for kind in missing])
                self._is_made = True
            except PreconditionFailed:  # Another client made some of them at this moment.
                await calls.again(calls.deadline, "others keep making and dropping this store")

    async def _marking(self, kind: Kind) -> Any:
        write = await self.marking(kind)
        write.current_document.exists = False
        return write

    async def marking(self, kind: Kind, *, upgrading: bool = False) -> Any:
        """Return the Write that marks a collection as made, or as being upgraded."""
        write = Write()
        write.update.name = await self._calls.name(self.marker(kind))
        fields = write.update.fields
        fields["layout"].integer_value = LAYOUT
        fields["kind"].string_value = kind.value
        fields["generation"].string_value = urandom(8).hex()
        if upgrading:
            fields["upgrading"].boolean_value = True
        return write

    async def generation(self, kind: Kind) -> str:
        """Return the token of a collection as it is now, "" where it was not made."""
        path = self.marker(kind)
        marker = (await self._calls.get([path])).get(path)
        return "" if marker is None else str(marker.fields["generation"].string_value)

    async def unmark(self) -> None:
        """Delete the markers: the last step of dropping."""
        self.forget()
        paths = [self.marker(kind) for kind in Kind]
        await self._calls.commit([Write(delete=await self._calls.name(path)) for path in paths])

    async def exists(self) -> bool:
        """Tell whether the place was made, or holds a document all the same: one that was written
        beside a drop."""
        if await self._look(self._calls.within_timeout()):
            return True
        return any([await self._calls.any(name) for name in self.collections.values()])


def _is_earlier(document: Any) -> bool:
    """Tell whether a document is a row in the layout of an earlier release."""
    fields = document.fields
    return "stamps" not in fields and all(
        name in fields and fields[name].WhichOneof("value_type") == wanted
        for name, wanted in {
            "id": "string_value",
            "version": "integer_value",
            "order": "integer_value",
        }.items()
    )
