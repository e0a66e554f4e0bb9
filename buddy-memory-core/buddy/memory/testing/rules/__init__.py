"""The checks, a module for a few related rules each."""

from importlib import import_module

MODULES = (
    "identity",
    "similar_names",
    "nobody",
    "lookups",
    "times",
    "order",
    "pages",
    "scopes",
    "users",
    "writing",
    "payloads",
    "failure",
    "lifecycle",
    "asynchronous",
    "versions",
    "expiry",
    "storage",
    "erasure",
    "freshness",
    "search",
    "histories",
    "bursts",
    "many_rows",
)


def load() -> None:
    """Import every module of checks, which declares them."""
    for name in MODULES:
        import_module(f"{__name__}.{name}")
