"""What the tests of the author's road share with those of the command."""

from tests.cli.conftest import process, run

__all__ = ["process", "run"]
