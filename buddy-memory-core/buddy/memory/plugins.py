"""Plugins: found by entry points or registered in code, and none of them costs anything when there
is none: a store is wrapped only when a plugin exists at the time it is opened.

Whatever could leave a payload untransformed fails: a plugin that cannot be loaded fails the opening
of every database, since it may be the one that encrypts, and so does a database that the transforms
of a plugin would not reach. BUDDY_MEMORY_BLOCK=distribution takes a plugin out.
"""

from __future__ import annotations

import logging
from threading import RLock
from typing import TYPE_CHECKING, Any

from buddy.memory.entry_points import Claim, installed
from buddy.memory.errors import BackendLoadError, ConfigError, MemoryDbError
from buddy.memory.import_path import describe, resolve
from buddy.memory.receipt import Receipt, listeners

if TYPE_CHECKING:
    import pluggy

    from buddy.memory.storage.store import Store

logger = logging.getLogger("buddy.memory")

_lock = RLock()
_in_code: list[tuple[object, str]] = []
_installed: list[tuple[Claim, object]] = []
_manager: pluggy.PluginManager | None = None
"""Replaced and never changed: a database being opened sees all hooks of a plugin or none."""


def register(plugin: object, name: str | None = None) -> str:
    """Add a plugin in code; return its name, as errors show it.

    Databases that are open already do not see it. It runs before the installed ones, and before
    those that were registered earlier. Raises ConfigError for a hook that does not exist, a
    plugin that is there already, or a name that is taken.
    """
    with _lock:
        manager = _made(_installed, _in_code)
        name = _add(manager, plugin, name or _free_name(manager, plugin))
        _in_code.append((plugin, name))
        _use(manager)
        return name


def unregister(plugin: object) -> None:
    """Take out a plugin that was added in code; ConfigError when it was not."""
    with _lock:
        left = [(known, name) for known, name in _in_code if known is not plugin]
        if len(left) == len(_in_code):
            raise ConfigError("this plugin was not registered in code")
        _use(_made(_installed, left))
        _in_code[:] = left


def active() -> pluggy.PluginManager | None:
    """Return the manager when there is any plugin, else None.

    Loads installed plugins the first time, and again after ``refresh()`` or a change of
    BUDDY_MEMORY_BLOCK.
    """
    claims = sorted((c for c in installed.allowed() if c.kind == "plugin"), key=_order)
    if claims != [claim for claim, _ in _installed]:
        # Imported without the lock: an import waits for other imports, and these for the lock.
        found = [(claim, _imported(claim)) for claim in claims]
        with _lock:
            _use(_made(found, _in_code))
            _installed[:] = found
    manager = _manager
    return manager if manager is not None and manager.get_plugins() else None


def wrap(store: Store, backend: str, *, awaited: bool) -> Store:
    """Return the store, behind the plugins' hooks when there is any plugin.

    ``awaited`` says that an event loop drives the calls.
    """
    manager = active()
    if manager is None:
        return store
    from buddy.memory.storage.hooked_store import HookedStore

    return HookedStore(store, backend, manager, awaited=awaited)


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
    """Tell the plugins that a database was opened; what goes wrong there is logged.

    Raises ConfigError for a database without a Store where a plugin transforms payloads: they
    would be stored as they are.
    """
    manager = active()
    if manager is None:
        return
    _check_reach(db, manager)
    _tell(manager.hook.buddy_memory_opened, db=db)


def _tell_forgotten(receipt: Receipt) -> None:
    """Show the plugins the receipt of a user; what goes wrong there is logged."""
    manager = active()
    if manager is not None:
        _tell(manager.hook.buddy_memory_forgotten, receipt=receipt)


# What erases is below this module, and cannot call it.
listeners.append(_tell_forgotten)


def _tell(hook: pluggy.HookCaller, **said: Any) -> None:
    """Call every plugin's implementation of a hook by which nothing can be changed."""
    for implementation in reversed(hook.get_hookimpls()):
        try:
            implementation.function(*[said[name] for name in implementation.argnames])
        except Exception:
            logger.exception("the plugin %s failed in %s", implementation.plugin_name, hook.name)


def check_vectors_may_be_stored() -> None:
    """Raise ConfigError where a plugin transforms payloads and not vectors, which tell the text."""
    manager = active()
    if manager is None:
        return
    for implementation in manager.hook.buddy_memory_before_write.get_hookimpls():
        if not getattr(implementation.plugin, "transforms_vectors", False):
            raise ConfigError(
                f"the plugin {implementation.plugin_name} transforms payloads, and vectors would "
                "reveal their text: use no embedder beside it"
            )


def _check_reach(db: Any, manager: pluggy.PluginManager) -> None:
    if getattr(getattr(db, "sync_db", db), "passes_hooks", False):
        return
    hook, name = manager.hook, type(db).__name__
    transforms = hook.buddy_memory_before_write.get_hookimpls()
    transforms += hook.buddy_memory_after_read.get_hookimpls()
    if transforms:
        names = ", ".join(sorted({implementation.plugin_name for implementation in transforms}))
        raise ConfigError(
            f"{name} has no Store, so what it stores would not pass the plugin {names}. "
            "Use another backend, or shut the plugin out by BUDDY_MEMORY_BLOCK."
        )
    if hook.buddy_memory_operation.get_hookimpls():
        logger.warning("no plugin observes the operations of %s: it has no Store", name)


def _empty() -> pluggy.PluginManager:
    from pluggy import PluginManager

    from buddy.memory.hookspecs import PROJECT, Specs

    manager = PluginManager(PROJECT)
    manager.add_hookspecs(Specs)
    return manager


def _add(manager: pluggy.PluginManager, plugin: object, name: str | None) -> str:
    if manager.is_registered(plugin):
        raise ConfigError(f"this plugin is registered already, as {manager.get_name(plugin)}")
    try:
        added = manager.register(plugin, name)
        manager.check_pending()
    except Exception as error:
        if manager.is_registered(plugin):
            manager.unregister(plugin)
        raise ConfigError(f"this is no plugin: {error}") from error
    if added is None:
        raise ConfigError("this plugin is blocked")
    return added


def _free_name(manager: pluggy.PluginManager, plugin: object) -> str:
    """Return what a plugin without a name is called; pluggy would take a number."""
    name = base = getattr(plugin, "__name__", None) or type(plugin).__name__
    number = 1
    while manager.has_plugin(name):
        number += 1
        name = f"{base} {number}"
    return name


def _order(claim: Claim) -> tuple[str, str]:
    return claim.name, claim.distribution


def _imported(claim: Claim) -> object:
    try:
        return resolve(claim.value)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise _failed(claim, error) from error


def _failed(claim: Claim, error: BaseException) -> BackendLoadError:
    reason = f"{describe(error)}. BUDDY_MEMORY_BLOCK={claim.distribution} opens without it."
    return BackendLoadError(claim.name, claim.distribution, reason, "plugin")


def _made(
    found: list[tuple[Claim, object]], in_code: list[tuple[object, str]]
) -> pluggy.PluginManager:
    """Return a new manager with these plugins."""
    manager = _empty()
    # pluggy calls first what was registered last.
    for claim, plugin in reversed(found):
        try:
            _add(manager, plugin, f"{claim.name} of {claim.distribution}")
        except ConfigError as error:
            raise _failed(claim, error) from error
    for plugin, name in in_code:
        _add(manager, plugin, name)
    return manager


def _use(manager: pluggy.PluginManager) -> None:
    global _manager
    _manager = manager
