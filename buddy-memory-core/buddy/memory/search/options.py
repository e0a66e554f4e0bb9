"""What a database says of its search."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from buddy.memory.errors import ConfigError
from buddy.memory.search.row_text import TextOf, default_texts

if TYPE_CHECKING:
    from buddy.memory.search.embedder import Embedder

ON_EMBED_ERROR = ("store", "raise")


class SearchOptions(NamedTuple):
    """What a database says of its search; see ``StoreBackedDatabase.configure_search``."""

    text: TextOf = default_texts
    language: str = "english"
    embedder: Embedder | None = None
    on_embed_error: str = "store"
    search_max_rows: int = 200_000

    def check(self) -> None:
        """Raise ConfigError for an option that cannot be used."""
        # Nothing of this is needed by a database that is opened as most are.
        from buddy.memory.search.embedder import Embedder
        from buddy.memory.search.words import analyzer

        analyzer(self.language)
        if not callable(self.text):
            raise ConfigError("text must be a function from a payload to a list of texts")
        if self.embedder is not None and type(self.embedder) is not Embedder:
            raise ConfigError(f"embedder must be an Embedder, not {type(self.embedder).__name__}")
        if self.on_embed_error not in ON_EMBED_ERROR:
            raise ConfigError(f"on_embed_error must be one of {', '.join(ON_EMBED_ERROR)}")
        if type(self.search_max_rows) is not int or self.search_max_rows < 1:
            raise ConfigError("search_max_rows must be an int >= 1")
