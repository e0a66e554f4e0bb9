"""What the documented paths of the backends say when their distribution is missing."""

from __future__ import annotations


def not_installed(distribution: str, error: ModuleNotFoundError) -> ImportError:
    """Return the error to raise from a façade.

    Only the backend's own absence is "not installed"; a failing driver keeps its own error.
    """
    package = distribution.replace("-", "_")
    if error.name is None or error.name.partition(".")[0] != package:
        return error
    return ImportError(
        f"This backend is published on its own: pip install {distribution}", name=package
    )
