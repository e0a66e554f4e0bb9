"""The checks, a module for a few related rules each."""

from importlib import import_module

MODULES = (
    "identity",
    "times",
    "reading",
    "writing",
    "payloads",
    "failure",
    "lifecycle",
    "versions",
    "storage",
)


def load() -> None:
    """Import every module of checks, which declares them."""
    for name in MODULES:
        import_module(f"{__name__}.{name}")
