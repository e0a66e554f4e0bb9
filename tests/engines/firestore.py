"""Google's own emulator of Firestore, where it is on the machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from urllib.error import URLError
from urllib.request import urlopen

from tests.engines.engine import Engine
from tests.servers.backends import GOOGLE
from tests.servers.postgres import free_port

JAR = Path(
    "/usr/lib/google-cloud-sdk/platform/cloud-firestore-emulator/cloud-firestore-emulator.jar"
)
"""Of Debian's package google-cloud-cli-firestore-emulator."""

MAIN = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
START_SECONDS = 60


def available() -> bool:
    """Tell whether the emulator is here, or one is running somewhere."""
    return "FIRESTORE_EMULATOR_HOST" in os.environ or bool(JAR.exists() and shutil.which("java"))


@contextmanager
def emulator() -> Iterator[str]:
    """Start the emulator, unless FIRESTORE_EMULATOR_HOST names one; yield its address."""
    if address := os.environ.get("FIRESTORE_EMULATOR_HOST"):
        yield address
        return
    port = free_port()
    # In English, or it cannot read its own messages; by its class, since the jar names none.
    command = ["java", "-Duser.language=en", "-cp", str(JAR), MAIN]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*command, "--host=127.0.0.1", f"--port={port}"], stdout=log, stderr=log
        )
        try:
            _wait_for(port, process)
            os.environ["FIRESTORE_EMULATOR_HOST"] = f"127.0.0.1:{port}"
            yield f"127.0.0.1:{port}"
        finally:
            del os.environ["FIRESTORE_EMULATOR_HOST"]
            process.terminate()
            process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = monotonic() + START_SECONDS
    while True:
        try:
            with urlopen(f"http://127.0.0.1:{port}/", timeout=1) as answer:
                if answer.status == 200:
                    return
        except (URLError, OSError):
            assert process.poll() is None, "the emulator ended"
            assert monotonic() < deadline, "the emulator does not answer"
            sleep(0.1)


@contextmanager
def google() -> Iterator[Engine]:
    """The emulator, which loses everything when it ends: it is not killed."""
    with emulator() as address:
        yield Engine(
            "Firestore, Google's emulator",
            _version(),
            "firestore://test-project?collection_name=engines",
            tests=(["tests/model_based", "-k", "firestore"], {GOOGLE: address}),
        )


def _version() -> str:
    command = ["dpkg-query", "-W", "-f", "${Version}", "google-cloud-cli-firestore-emulator"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"emulator {found.stdout or '(of unknown version)'}"
