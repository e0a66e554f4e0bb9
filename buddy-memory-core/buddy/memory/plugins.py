"""Plugins: found by entry points or registered in code, and none of them costs anything when there
is none: a store is wrapped only when a plugin exists at the time it is opened.

A plugin that cannot be loaded fails the opening of every database, since it may be the one that
encrypts; BUDDY_MEMORY_BLOCK=distribution takes it out.
"""

from __future__ import annotations

import logging
from importlib import import_module
from threading import RLock
from typing import TYPE_CHECKING, Any

from buddy.memory.errors import BackendLoadError, ConfigError, MemoryDbError

if TYPE_CHECKING:
    import pluggy

    from buddy.memory.storage.store import Store

logger = logging.getLogger("buddy.memory")

_lock = RLock()
_manager: pluggy.PluginManager | None = None
_scanned = False


def register(plugin: object, name: str | None = None) -> str:
    """Add a plugin in code; return its name. Databases that are open already do not see it.

    Raises ConfigError for a hook that does not exist, or a name that is taken.
    """
    with _lock:
        manager = _made()
        try:
            name = manager.register(plugin, name)
            manager.check_pending()
        except Exception as error:
            if manager.is_registered(plugin):
                manager.unregister(plugin)
            raise ConfigError(f"this is no plugin: {error}") from error
        if name is None:
            raise ConfigError("this plugin is blocked")
        return name


def unregister(plugin: object) -> None:
    """Take out a plugin that was added in code."""
    with _lock:
        _made().unregister(plugin)


def active() -> pluggy.PluginManager | None:
    """Return the manager when there is any plugin, else None. Loads entry points the first time."""
    global _scanned
    if not _scanned:
        with _lock:
            if not _scanned:
                _load_entry_points()
                _scanned = True
    return _manager if _manager is not None and _manager.get_plugins() else None


def wrap(store: Store, backend: str) -> Store:
    """Return the store, behind the plugins' hooks when there is any plugin."""
    manager = active()
    if manager is None:
        return store
    from buddy.memory.storage.hooked import HookedStore

    return HookedStore(store, backend, manager)


def rewrite(config: str) -> str:
    """Return the config string that the first plugin with an answer gives instead."""
    manager = active()
    if manager is None:
        return config
    try:
        changed = manager.hook.buddy_memory_config(config=config)
    except MemoryDbError:
        raise
    except Exception as error:
        raise ConfigError(
            f"a plugin failed on the config string: {type(error).__name__}"
        ) from error
    return config if changed is None else changed


def announce(db: Any) -> None:
    """Tell the plugins that a database was opened; what goes wrong there is logged."""
    manager = active()
    if manager is None:
        return
    for implementation in manager.hook.buddy_memory_opened.get_hookimpls():
        try:
            implementation.function(*([db] if "db" in implementation.argnames else []))
        except Exception:
            logger.exception(
                "the plugin %s failed in buddy_memory_opened", implementation.plugin_name
            )


def _made() -> pluggy.PluginManager:
    global _manager
    if _manager is None:
        from pluggy import PluginManager

        from buddy.memory.hookspecs import PROJECT, Specs

        _manager = PluginManager(PROJECT)
        _manager.add_hookspecs(Specs)
    return _manager


def _load_entry_points() -> None:
    from buddy.memory.registry import default

    # The last one registered is called first, so the first name goes last.
    for claim in sorted((c for c in default.claims() if c.kind == "plugin"), reverse=True):
        module, _, attributes = claim.value.partition(":")
        try:
            plugin: Any = import_module(module.strip())
            for attribute in filter(None, attributes.strip().split(".")):
                plugin = getattr(plugin, attribute)
            register(plugin, claim.name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            reason = f"{type(error).__name__}: {error}"
            raise BackendLoadError(claim.name, claim.distribution, reason) from error
