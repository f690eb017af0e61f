"""Runs coroutines at once, up to where they first wait, and on as soon as that is there.

A task waits for a turn of the event loop before it begins, and for another after each wait; for a
small request that is a good part of its whole cost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from fairlead_runtime.batching.pending import Pending

T = TypeVar("T")


def _nobody(_result: object, _error: Exception | None) -> None:
    pass


class Stepper(Generic[T]):
    """Runs one coroutine after the other.

    There is no current task inside of them, so `asyncio.timeout`, `wait_for` and task groups do
    not work there. Waiting for futures, executors and `asyncio.to_thread` does.

    Args:
        loop: The event loop.
        ended: Called with what a coroutine returned, or with None and what it raised; perhaps
            before `begin` returns. Not called where it was cancelled.

    Attributes:
        busy: Whether one is under way.
    """

    __slots__ = ("_awaited", "_cancelled", "_ended", "_loop", "_work", "busy")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        ended: Callable[[T | None, Exception | None], None],
    ) -> None:
        self._loop, self._ended = loop, ended
        self._work: Coroutine[Any, Any, T] | None = None
        self._awaited: asyncio.Future[Any] | None = None
        self._cancelled = self.busy = False

    def begin(self, work: Coroutine[Any, Any, T]) -> None:
        """Run a coroutine; none may be under way."""
        self._work, self.busy, self._cancelled = work, True, False
        self._step()

    def cancel(self) -> None:
        """Cancel the coroutine that is under way, if any: it is told so where it waits."""
        if not self.busy or self._cancelled:
            return
        self._cancelled = True
        awaited = self._awaited
        if awaited is not None and awaited.cancel() and isinstance(awaited, Pending):
            self._step()  # others call back

    def close(self) -> None:
        """Cancel what is under way, for good: nobody is called any more."""
        self.cancel()
        self._ended = _nobody

    def _step(self, _: object = None) -> None:
        work = self._work
        if work is None:
            return
        self._awaited = None
        try:
            awaited = work.throw(asyncio.CancelledError()) if self._cancelled else work.send(None)
        except StopIteration as stop:
            self._end()
            self._ended(stop.value, None)
            return
        except asyncio.CancelledError:
            self._end()
            return
        except Exception as error:  # noqa: BLE001 - handed on
            self._end()
            self._ended(None, error)
            return
        if awaited is None:  # it only lets others have a turn
            self._loop.call_soon(self._step)
            return
        # What tells a future from other things that a coroutine might yield, as a task has it.
        awaited._asyncio_future_blocking = False  # noqa: SLF001 - there is no other way
        self._awaited = awaited
        if isinstance(awaited, Pending):
            awaited.waker = self._step
        else:
            awaited.add_done_callback(self._step)

    def _end(self) -> None:
        self._work, self.busy = None, False
