"""What every stored database, sync or async, shows of itself: repr, settings, copies, pickles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from buddy.memory import plugins
from buddy.memory.config import redact_url
from buddy.memory.search.options import SearchOptions
from buddy.memory.search.row_text import TextOf, default_texts
from buddy.memory.storage import clock
from buddy.memory.storage.expiry import check_duration
from buddy.memory.storage.record import Kind
from buddy.memory.storage.row_mapping import RowMapping
from buddy.memory.storage.rules import Rules
from buddy.memory.storage.store import Store
from buddy.memory.storage.store_operations import StoreOperations

if TYPE_CHECKING:
    from buddy.memory.search.embedder import Embedder

_PLAIN = (str, int, float, bool, type(None))
_SECRET = ("password", "token", "secret", "credentials")


class StoreBackedDatabase:
    """Holds a Rules and the constructor's arguments, and never shows a secret (R10, R11)."""

    _mappings: ClassVar[Mapping[Kind, RowMapping[Any]]]
    """How rows of this version of the API become records."""

    _awaited: ClassVar[bool] = False
    """Whether an event loop drives the calls."""

    _search_options = SearchOptions()

    keeps_ends: bool = True

    passes_hooks: ClassVar[bool] = True
    """What this database stores goes through the hooks of plugins."""

    def __init__(
        self, store: Store, settings: Mapping[str, Any] | None = None, *, portable: bool = True
    ) -> None:
        """Take the store and the constructor's arguments, by which a pickle is opened again.

        ``expire`` among them is how many seconds a row lives of whose end nobody says anything.

        ``portable`` is False when they do not lead back to the same data: a database in memory.
        """
        name, expire = type(self).__name__, (settings or {}).get("expire")
        if expire is not None:
            expire = check_duration(expire, "expire", clock.utc_now())
        store = plugins.wrap(store, name, awaited=self._awaited)
        self._use(Rules(store, name, expire=expire))
        self._settings = dict(settings or {})
        self._portable = settings is not None and portable

    def configure_search(
        self,
        *,
        embedder: Embedder | None = None,
        text: TextOf = default_texts,
        language: str = "english",
        on_embed_error: str = "store",
        search_max_rows: int = 200_000,
    ) -> None:
        """Say how this database is searched; ``open_memory_db`` takes the same options.

        ``embedder`` makes vectors of what is written from now on, and of queries. ``text`` returns
        the texts of a payload (by default its memory and topics). ``language`` is that of the
        keyword search ("english", "german", …, or "none"). ``on_embed_error`` is "store" (a row is
        stored without a vector, and a warning names it) or "raise" (it is not stored). A search of
        a user with more rows than ``search_max_rows`` raises UnsupportedError. Raises ConfigError.
        """
        options = SearchOptions(text, language, embedder, on_embed_error, search_max_rows)
        options.check()
        if embedder is not None:
            plugins.check_vectors_may_be_stored()
        self._search_options = options
        self._use(self._rules)

    def _use(self, rules: Rules) -> None:
        self._rules = rules
        self._store_operations = StoreOperations(
            rules, self._mappings, self._search_options, awaited=self._awaited
        )

    @property
    def _operations(self) -> StoreOperations:
        return self._store_operations

    @property
    def in_memory(self) -> bool:
        """Whether the settings do not lead back to the rows: they end with this process."""
        return bool(self._settings) and not self._portable

    def to_dict(self) -> dict[str, Any]:
        """Return the class name and the settings, without secrets and live objects."""
        shown = {
            key: redact_url(value) if isinstance(value, str) and "://" in value else value
            for key, value in self._settings.items()
            if isinstance(value, _PLAIN) and key not in _SECRET
        }
        return {"name": type(self).__name__, **shown}

    def __repr__(self) -> str:
        shown = [f"{k}={v!r}" for k, v in self.to_dict().items() if k != "name" and v is not None]
        return f"{type(self).__name__}({', '.join(shown)})"

    def __copy__(self) -> Any:
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._use(self._rules.share())
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """A copy of an agent talks to the same store; only ``close`` is its own."""
        return self.__copy__()

    def __reduce__(self) -> tuple[Any, ...]:
        name = type(self).__name__
        if not self._portable:
            raise TypeError(
                f"{name} cannot be pickled: its data live in this process. Use a database outside."
            )
        live = [key for key, value in self._settings.items() if not isinstance(value, _PLAIN)]
        if live:
            raise TypeError(
                f"{name} cannot be pickled: it was built from a live {live[0]}. Give it a URL."
            )
        search = self._search_options
        if search == SearchOptions():
            return _reopen, (type(self), self._settings)
        import pickle  # Who pickles has it.

        try:
            pickle.dumps(search)
        except Exception as error:
            raise TypeError(
                f"{name} cannot be pickled: its embedder or its text function cannot "
                f"({error}). Use functions of a module."
            ) from error
        return _reopen, (type(self), self._settings, search)


def _reopen(cls: type[Any], settings: dict[str, Any], search: SearchOptions | None = None) -> Any:
    db = cls(**settings)
    if search is not None:
        db.configure_search(**search._asdict())
    return db
