"""Whether the next batch waits for the clients of the last one, going by whether they came back.

Clients that ask again once they are answered fall into two groups otherwise: one waits while the
other's batch runs, for ever. Where much of a batch's time is the same for one row and for many, two
half batches take nearly twice the time of a whole one.
"""

from __future__ import annotations

from fairlead_runtime.batching.probe import Profile

LEAST_GAIN = 2.0
"""From this many times the rows a second of single ones on, larger batches are worth a wait."""
MOST_S = 0.005
"""The longest wait."""
_LEAST_S = 0.0004  # a shorter one is not worth its bookkeeping
_ENOUGH = 0.75
"""Of those who were answered; the last ones are read while the batch runs."""
_WORTH, _STEP, _LOOK = 0.5, 0.25, 32  # share that comes back, how fast it is learnt, tries apart


class Regroup:
    """Decides on a wait after each batch, and learns from it.

    Args:
        profile: What a row and a batch take.

    Attributes:
        wait_s: How long a wait lasts at most: half of what a batch takes whatever its rows. 0 where
            none is worth it.
    """

    def __init__(self, profile: Profile) -> None:
        self.wait_s = 0.0
        if profile.gain >= LEAST_GAIN:
            row_s = max(0.0, profile.batch_s - profile.single_s) / (profile.batch_rows - 1)
            wait_s = min(MOST_S, (profile.single_s - row_s) / 2)
            self.wait_s = wait_s if wait_s >= _LEAST_S else 0.0
        self._came = 1.0
        self._skipped = 0
        self._answered = self._already = 0

    def begin(self, *, answered: int, waiting: int) -> bool:
        """Whether the next batch is to wait.

        Args:
            answered: Requests of the batch that is done.
            waiting: Requests that wait already.
        """
        if not self.wait_s:
            return False
        if self._came < _WORTH and self._skipped < _LOOK:
            self._skipped += 1
            return False
        self._skipped = 0
        self._answered, self._already = answered, waiting
        return True

    def enough(self, waiting: int) -> bool:
        """Whether enough came, where so many wait now."""
        return waiting >= self._already + self._answered * _ENOUGH

    def end(self, waiting: int) -> None:
        """Note how many wait at the end of the wait."""
        came = min(1.0, max(0, waiting - self._already) / self._answered)
        self._came += _STEP * (came - self._came)
