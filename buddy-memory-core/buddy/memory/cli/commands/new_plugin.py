"""``new-plugin``: a complete distribution for a backend of one's own, which works as it stands."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import click

from buddy.memory.cli.output import emit, say
from buddy.memory.cli.parameters import json_option
from buddy.memory.errors import AccessError, ConfigError
from buddy.memory.registry import default as registry

_TEMPLATE = Path(__file__).parents[1] / "plugin"
_PREFIX = "buddy-memory-"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST = 20
_OURS = {"core", "stored", "threaded", "async"}
"""Names whose distribution, or whose classes, would be called as some in core are."""


@click.command("new-plugin")
@click.argument("name")
@click.option(
    "--dir", "folder", type=click.Path(path_type=Path), metavar="FOLDER",
    help="Where to write it; must not exist. Default: ./buddy-memory-NAME",
)  # fmt: skip
@json_option
def new_plugin_command(name: str, folder: Path | None, as_json: bool) -> None:
    """Write the distribution of a new backend.

    NAME becomes the URL's scheme, the distribution buddy-memory-NAME and the classes NameMemoryDb.
    What is written works, keeps every rule and is tested; its Store is what you replace.
    """
    name = _checked(name)
    folder = folder or Path(_PREFIX + name)
    written = write(name, folder)
    if as_json:
        emit({"name": name, "folder": str(folder), "files": written})
        return
    say(f"{folder}", "bold")
    for path in written:
        say(f"  {path}")
    say(f"Next: cd {folder}, and see README.md: install it, run its tests, replace the Store.")


def _checked(name: str) -> str:
    name = name.lower().replace("_", "-").removeprefix(_PREFIX)
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise ConfigError(
            f"{name!r:.80} is no name for a backend: letters and digits, in words joined by '-', "
            f"at most {_LONGEST} characters, a letter first"
        )
    known = registry.backends().get(name)
    if known is not None or name in _OURS:
        owner = known.distribution if known else "buddy-memory-core"
        raise ConfigError(f"the name {name!r} is taken by {owner}; choose another one")
    return name


def write(name: str, folder: Path) -> list[str]:
    """Write the distribution for ``name`` (lower case, words joined by ``-``) into ``folder``,
    which is made; return the paths below it. Raises ConfigError and AccessError."""
    words = {
        "buddy_memory_newname": "buddy_memory_" + name.replace("-", "_"),
        "Newname": "".join(word.capitalize() for word in name.split("-")),
        "newname": name,
        ">=0.1,<0.2": _range(),
    }
    written = []
    try:
        folder.mkdir(parents=True)
        for source in sorted(_TEMPLATE.rglob("*")):
            path = source.relative_to(_TEMPLATE).as_posix()
            if source.is_dir() or "__pycache__" in path:
                continue
            target = folder / _renamed(_replaced(path, words))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(_replaced(source.read_text("utf-8"), words), "utf-8")
            written.append(target.relative_to(folder).as_posix())
    except FileExistsError:
        raise ConfigError(f"{folder} exists; name another folder with --dir") from None
    except OSError as error:
        raise AccessError(f"{folder} cannot be written: {error.strerror}.") from error
    return sorted(written)


def _replaced(text: str, words: dict[str, str]) -> str:
    for word, replacement in words.items():
        text = text.replace(word, replacement)
    return text


def _renamed(path: str) -> str:
    # In here they would be taken for ours, by git and by the tools.
    return ".gitignore" if path == "gitignore.txt" else path.removesuffix(".txt")


def _range() -> str:
    """Return which versions of core the plugin is for: those that are compatible with this one."""
    try:
        major, minor = map(int, metadata.version("buddy-memory-core").split(".")[:2])
    except (metadata.PackageNotFoundError, ValueError):
        major, minor = 0, 1
    return f">={major}.{minor},<{major + 1}" if major else f">=0.{minor},<0.{minor + 1}"
