"""What a test may ask of the server: counts, faults, an empty database."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

from tests.firestore_server.protocol import Refusal


class Control:
    """Counted requests and billed operations, and the faults that wait to happen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[dict[str, Any]] = []
        self.requests: Counter[str] = Counter()
        self.billed: Counter[str] = Counter()

    def counts(self) -> dict[str, dict[str, int]]:
        return {"requests": dict(self.requests), "billed": dict(self.billed)}

    def reset(self) -> None:
        self.requests.clear()
        self.billed.clear()

    def bill(self, kind: str, count: int) -> None:
        self.billed[kind] += count

    def add_fault(self, fault: dict[str, Any]) -> None:
        """Let requests fail: ``method`` ("*": any), ``code``, ``text``, ``times`` (-1: always),
        ``skip`` (so many first), ``delay`` (seconds), ``after`` (apply the request, then fail)."""
        with self._lock:
            self._faults.append({"method": "*", "times": 1, "skip": 0, "after": False, **fault})

    def clear_faults(self) -> None:
        with self._lock:
            self._faults.clear()

    def take_fault(self, method: str) -> dict[str, Any] | None:
        """Count the request; return the fault that it meets, if any."""
        with self._lock:
            self.requests[method] += 1
            for fault in self._faults:
                if fault["method"] not in ("*", method):
                    continue
                if fault["skip"]:
                    fault["skip"] -= 1
                    continue
                fault["times"] -= 1
                if fault["times"] == 0:
                    self._faults.remove(fault)
                return dict(fault)
        return None


def strike(fault: dict[str, Any]) -> None:
    """Do what a fault says: wait, then refuse."""
    time.sleep(fault.get("delay", 0))
    if "code" in fault:
        raise Refusal(fault["code"], fault.get("text", "injected"))
