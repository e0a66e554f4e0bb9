"""R1: names that are taken for others."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.record import Corrupt, Key, Kind, Record, Scope, Write
from tests.conformance_kit.broken_backends.declare import on_store, rewritten


class Folding(InMemoryStore):
    """Compares ids, or users, by what ``fold`` makes of them."""

    ids = True
    fold: Callable[[str], str] = staticmethod(lambda text: text)

    def name(self, kind: Kind, user: Any, id: str) -> tuple[Any, str]:
        """Return the user and id of a row that is taken for this one; else the same ones."""
        for key in self._of(kind):
            if self.ids and key.user_id == user and self.fold(key.id) == self.fold(id):
                return user, key.id
            same = isinstance(user, str) and isinstance(key.user_id, str)
            if not self.ids and same and self.fold(key.user_id or "") == self.fold(user):
                return key.user_id, id
        return user, id

    async def put(self, write: Write) -> Record:
        record = write.record
        user, id = self.name(record.kind, record.user_id, record.id)
        return await super().put(rewritten(write, user_id=user, id=id))

    async def get(self, kind: Kind, user_id: Any, id: str) -> Any:
        return await super().get(kind, *self.name(kind, user_id, id))


def _folds(name: str, check: str, fold: Callable[[str], str], ids: bool) -> None:
    on_store(check)(type(name, (Folding,), {"fold": staticmethod(fold), "ids": ids}))


def _unaccented(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


_IDS, _USERS = "R1-similar-ids-are-two-memory", "R1-similar-users-are-two-memory"
_folds("TrimsIds", _IDS, str.rstrip, True)
_folds("FoldsAccents", _IDS, _unaccented, True)
_folds("FoldsCaseOfAllLetters", _IDS, str.casefold, True)
_folds("FoldsWidths", _IDS, lambda text: unicodedata.normalize("NFKC", text), True)
_folds("DropsWhatHasNoWidth", _IDS, lambda text: text.replace("\u200b", ""), True)
_folds("TakesTextForNumbers", _IDS, lambda text: text.lstrip("0"), True)
_folds("CutsIdsAt700", _IDS, lambda text: text[:700], True)
_folds("CutsIdsAt1024", _IDS, lambda text: text[:1024], True)
_folds("FoldsEndsOfLines", _IDS, lambda text: text.replace("\r\n", "\n"), True)
_folds("TrimsUsers", _USERS, str.strip, False)
_folds("CutsUsersAt700", _USERS, lambda text: text[:700], False)
_folds("FoldsCaseOfUsers", _USERS, str.casefold, False)


@on_store("R1-a-bulk-deletion-takes-what-it-names-memory")
class StopsAtTheFirstMissingRow(InMemoryStore):
    async def delete_many(self, kind: Kind, keys: Sequence[Key]) -> int:
        deleted = 0
        for key in keys:
            if not await self.delete(kind, key.user_id, key.id, None):
                break
            deleted += 1
        return deleted


@on_store("R1-a-deleted-user-is-no-pattern-memory")
class DeletesUsersByPattern(InMemoryStore):
    async def delete_all(self, kind: Kind, scope: Scope) -> int:
        records = self._of(kind)
        keys = [key for key in records if fnmatchcase(key.user_id or "", scope.name or "")]
        for key in keys:
            del records[key]
        return len(keys)


@on_store("R1-similar-ids-are-two-memory")
class TrimsIdsOfUsers(InMemoryStore):
    async def get(self, kind: Kind, user_id: str | None, id: str) -> Record | Corrupt | None:
        return await super().get(kind, user_id, id) or await super().get(kind, user_id, id.strip())


@on_store("R1-a-user-and-an-id-are-not-joined-memory")
class JoinsUserAndId(InMemoryStore):
    """Keeps one row under the user, a hash mark and the id."""

    async def put(self, write: Write) -> Record:
        user_id, id = write.record.key
        for other in list(self._of(write.record.kind)):
            if other != write.record.key and f"{other.user_id}#{other.id}" == f"{user_id}#{id}":
                del self._of(write.record.kind)[other]
        return await super().put(write)


@on_store("R1-a-user-and-an-id-are-not-joined-memory")
class EscapesTheSeparatorAlone(Folding):
    """A backslash stands before a separator, and before no backslash."""

    def name(self, kind: Kind, user: Any, id: str) -> tuple[Any, str]:
        def joined(user: Any, id: str) -> str:
            return f"{user}".replace(":", "\\:") + f":{id}"

        taken = (key for key in self._of(kind) if joined(*key) == joined(user, id))
        return next(((key.user_id, key.id) for key in taken), (user, id))
