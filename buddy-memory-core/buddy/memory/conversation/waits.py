"""How one implementation waits in both worlds: for a model, between two attempts, for a turn."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import NamedTuple

from buddy.memory.conversation.conflicts import Pause, pause_awaiting, pause_blocking
from buddy.memory.conversation.models import Call, call_awaiting, call_blocking
from buddy.memory.conversation.turns import Turns


class Waits(NamedTuple):
    """What a memory object waits with."""

    call: Call
    pause: Pause
    turn: Callable[[Turns], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def _turn_blocking(turns: Turns) -> AsyncGenerator[None]:
    with turns.blocking():
        yield


BLOCKING = Waits(call_blocking, pause_blocking, _turn_blocking)
AWAITING = Waits(call_awaiting, pause_awaiting, Turns.awaiting)
