"""An answer to come, for those who are told of it at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from fairlead_runtime.protocol.types import InferResponse

log = logging.getLogger(__name__)


class Pending(asyncio.Future[InferResponse]):
    """A future whose one waiter may be called as soon as it is settled.

    A future's own callbacks are called a turn of the event loop later, which asks the kernel for
    news in between. Whoever has no use for that sets `waker` instead; all else is a future's.

    Attributes:
        waker: Called once it is settled; None where nobody wants that. Must be set by the maker:
            a constructor of our own would cost half a microsecond for each request.
    """

    __slots__ = ("waker",)

    waker: Callable[[], None] | None

    def settle(self, result: InferResponse | Exception) -> None:
        """Give it its answer or error, unless it has one or was cancelled."""
        if self.done():
            return
        if isinstance(result, InferResponse):
            self.set_result(result)
        else:
            self.set_exception(result)
        if self.waker is not None:
            try:
                self.waker()
            except Exception:  # others wait for the same batch
                log.exception("an answer could not be handed over")
