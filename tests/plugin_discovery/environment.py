"""Virtual environments of their own, with nothing of the one that runs the tests."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

CORE_NEEDS = ("importlib_metadata", "pluggy", "snowballstemmer", "typing_extensions")
SQL_NEEDS = ("SQLAlchemy",)

_PRELUDE = """
import json, os, sys
def tell(value):
    print(json.dumps(value))
def error(function, *arguments, **options):
    try:
        function(*arguments, **options)
    except Exception as caught:
        return [type(caught).__name__, str(caught)]
"""


class Environment:
    """A virtual environment with these wheels installed by pip.

    What they need comes from the environment of the tests, by links: the tests have no network.
    """

    def __init__(
        self, folder: Path, wheels: Sequence[Path] = (), needs: Sequence[str] = CORE_NEEDS
    ) -> None:
        self.folder = folder
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        self.python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
        self.site = next(folder.glob("lib*/python3*/site-packages"), folder / "Lib/site-packages")
        for need in needs:
            _link(need, self.site)
        if wheels:
            self.install(*wheels)

    def install(self, *wheels: Path) -> None:
        """Install the wheels, all in one call of pip."""
        command = [sys.executable, "-m", "pip", "--python", str(self.python), "install", "--quiet"]
        command += ["--no-index", "--no-deps", "--no-compile", "--disable-pip-version-check"]
        subprocess.run([*command, *map(str, wheels)], check=True)

    def run(
        self, code: str, path: Sequence[Path] = (), cwd: Path | None = None, **variables: str
    ) -> Any:
        """Run a program with every warning an error; return what it ``tell``s.

        ``path`` goes onto sys.path before everything else, ``variables`` into its environment.
        """
        env = {"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(map(str, path)), **variables}
        done = subprocess.run(
            [str(self.python), "-W", "error", "-c", _PRELUDE + code],
            cwd=cwd or self.folder,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def _link(name: str, site: Path) -> None:
    """Link the modules and the metadata of an installed distribution, and of what it needs, into
    another folder."""
    try:
        found = distribution(name)
    except PackageNotFoundError:  # needed by other Pythons
        return
    for need in found.requires or ():
        if "extra" not in need:
            _link(re.split(r"[^\w.-]", need)[0], site)
    tops = {file.parts[0] for file in found.files or ()}
    for top in tops - {"..", "__pycache__"}:
        target = site / top
        if not target.exists():
            target.symlink_to(Path(str(found.locate_file(top))))
