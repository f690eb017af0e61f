"""Whether batches run on the event loop, and when, going by how the last ones went."""

from __future__ import annotations

import logging

from fairlead_runtime.batching.probe import INLINE_LIMIT_S

log = logging.getLogger(__name__)
FAST_IN_A_ROW = 500
"""Batches in a thread after which a model that was slow for a while is trusted again."""
_SLOW_IN_A_ROW = 3
_SLOW = 5.0  # times the limit
_QUICK_S = INLINE_LIMIT_S / 10  # for many such batches in one turn there is time
_SINGLES, _LOOK = 32, 8


class Pace:
    """Watches batches; the trial at the start may have been too kind, or the machine busy.

    Args:
        inline: Whether batches run on the event loop at first.
        adapts: Whether that may change.

    Attributes:
        inline: Whether they do now.
    """

    def __init__(self, *, inline: bool, adapts: bool) -> None:
        self.inline = inline
        self._adapts = adapts and inline
        self._slow = self._fast = self._singles = self._looks = 0
        self._patience = FAST_IN_A_ROW
        self._quick = False

    def at_once(self, *, full: bool, gathering: bool) -> bool:
        """Whether what waits is to run now, and not in the event loop's next turn.

        A quick model runs a batch as soon as it is full: its requests are still in the caches. A
        request need not wait for others where lately there were none; one in some is gathered all
        the same, to notice when there are.

        Args:
            full: Whether a batch is full.
            gathering: Whether a turn is waited for already.
        """
        if not self._quick or full:
            return self._quick
        if self._singles < _SINGLES or gathering:
            return False
        self._looks += 1
        return self._looks % _LOOK != 0

    def gathered(self, requests: int) -> None:
        """Note how many requests came in a turn."""
        self._singles = self._singles + 1 if requests == 1 else 0

    def ran_inline(self, seconds: float, rows: int) -> None:
        """Note a batch on the event loop; it is the last one there where that proves slow."""
        self._quick = seconds <= _QUICK_S
        self._slow = self._slow + 1 if seconds > _SLOW * INLINE_LIMIT_S else 0
        if self._adapts and self._slow >= _SLOW_IN_A_ROW:
            log.info("%d rows took %.3g ms: batches run in a thread now", rows, seconds * 1e3)
            self.inline, self._fast = False, 0

    def ran_in_thread(self, seconds: float) -> None:
        """Note a batch in a thread; enough fast ones, and they are back on the event loop.

        A model that is slow now and then has longer to prove itself each time.
        """
        if not self._adapts or self.inline:
            return
        self._fast = self._fast + 1 if seconds <= INLINE_LIMIT_S else 0
        if self._fast >= self._patience:
            log.info("%d batches in a row were fast: they run on the event loop again", self._fast)
            self.inline, self._slow, self._patience = True, 0, self._patience * 2
