"""Other people's tests, from the source of a release, on a store of ours.

Nothing of it is kept here: a release is downloaded by version, checked by its SHA-256, and unpacked
into a temporary folder.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import NamedTuple


class Release(NamedTuple):
    """A release of a distribution: its source, as its registry keeps it."""

    name: str
    version: str
    sha256: str

    def unpacked(self, folder: Path) -> Path:
        """Download and unpack it; return the folder with its tests. Raises RuntimeError when the
        file is another one than expected."""
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest"]
        command += [str(folder), "--no-binary", ":all:", "--no-build-isolation"]
        subprocess.run([*command, f"{self.name}=={self.version}"], check=True)
        [archive] = folder.glob("*.tar.gz")
        found = hashlib.sha256(archive.read_bytes()).hexdigest()
        if found != self.sha256:
            raise RuntimeError(f"{archive.name} has the SHA-256 {found}, not {self.sha256}")
        with tarfile.open(archive) as files:
            files.extractall(folder, filter="data")
        [source] = (path for path in folder.iterdir() if path.is_dir())
        return source


class Outcome(NamedTuple):
    """What a run of foreign tests came to: the names of those that failed, and how many passed."""

    passed: int
    failed: set[str]
    output: str


def run_tests(
    source: Path, files: list[str], plugin: Path, environment: dict[str, str], at_once: int = 2
) -> Outcome:
    """Run test files of a release in processes of their own, with a plugin that puts our store
    where they expect another. Those that look at a clock want to run alone."""
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "--tb=line", "-p", "no:cacheprovider"]
    command += [
        "-n",
        str(at_once),
        "-p",
        plugin.stem,
        "-c",
        os.devnull,
        "--rootdir",
        str(source),
        "--asyncio-mode=auto",
    ]
    ran = subprocess.run(
        [*command, *files],
        cwd=source,
        env={
            **os.environ,
            **environment,
            "PYTHONPATH": os.pathsep.join([str(source), str(plugin.parent)]),
        },
        capture_output=True,
        text=True,
    )
    lines = ran.stdout.splitlines()
    failed = {m[1] for line in lines if (m := re.match(r"(?:FAILED|ERROR) (\S+)", line))}
    passed = sum(line.startswith("PASSED ") for line in lines)
    return Outcome(passed, failed, ran.stdout + ran.stderr)
