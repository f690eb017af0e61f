"""The sums that statistics take, changed by increments.

For each epoch, variant and metric: the sum over units of the unit's own sum, and of its square.
All are integers (values in millionths), so that they do not depend on the order of events.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from fairlead_recorder.store.database import Session

_WIDTH = 16


def unpack(packed: bytes) -> list[int]:
    """Return a unit's sums by the metrics' positions."""
    return [
        int.from_bytes(packed[at : at + _WIDTH], "little", signed=True)
        for at in range(0, len(packed), _WIDTH)
    ]


def pack(sums: Sequence[int]) -> bytes:
    """Return a unit's sums as bytes."""
    return b"".join(value.to_bytes(_WIDTH, "little", signed=True) for value in sums)


def added(sums: list[int], position: int, value: int, *, binary: bool) -> None:
    """Add an outcome to a unit's sums; of a binary metric several count as one."""
    if len(sums) <= position:
        sums.extend([0] * (position + 1 - len(sums)))
    if not binary:
        sums[position] += value
    elif value:
        sums[position] = 1


class Deltas:
    """What a change adds to the sums of one experiment; written at its end."""

    def __init__(self, experiment: int) -> None:
        self._experiment = experiment
        self._tally: defaultdict[tuple[int, int, int], list[int]] = defaultdict(lambda: [0, 0])
        self._population: defaultdict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0, 0])
        self.counters: Counter[str] = Counter()

    def unit(
        self, epoch: int, variant: int, *, units: int = 0, departed: int = 0, crossed: int = 0
    ) -> None:
        """Count units."""
        cell = self._population[epoch, variant]
        cell[0] += units
        cell[1] += departed
        cell[2] += crossed

    def sums(self, epoch: int, variant: int, old: Sequence[int], new: Sequence[int]) -> None:
        """Replace a unit's sums by others; none are zeros."""
        for position in range(max(len(old), len(new))):
            before = old[position] if position < len(old) else 0
            after = new[position] if position < len(new) else 0
            if before != after:
                cell = self._tally[epoch, variant, position]
                cell[0] += after - before
                cell[1] += after * after - before * before

    def write(self, session: Session) -> None:
        """Add everything to what the database has."""
        for (epoch, variant), (units, departed, crossed) in sorted(self._population.items()):
            session.run(
                "INSERT INTO population VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (experiment, epoch, variant) DO UPDATE SET"
                " units = population.units + excluded.units,"
                " departed = population.departed + excluded.departed,"
                " crossed = population.crossed + excluded.crossed",
                (self._experiment, epoch, variant, units, departed, crossed),
            )
        if self._tally:
            self._write_tally(session)
        for name, value in sorted(self.counters.items()):
            if value:
                count(session, self._experiment, name, value)

    def _write_tally(self, session: Session) -> None:
        kept = {
            (epoch, variant, metric): (int(total), int(squares))
            for epoch, variant, metric, total, squares in session.rows(
                "SELECT epoch, variant, metric, total, squares FROM tally WHERE experiment = ?",
                (self._experiment,),
            )
        }
        for (epoch, variant, metric), (total, squares) in sorted(self._tally.items()):
            before = kept.get((epoch, variant, metric), (0, 0))
            session.run(
                "INSERT INTO tally VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (experiment, epoch, variant, metric) DO UPDATE SET"
                " total = excluded.total, squares = excluded.squares",
                (
                    self._experiment, epoch, variant, metric,
                    str(before[0] + total), str(before[1] + squares),
                ),
            )  # fmt: skip


def count(session: Session, experiment: int, name: str, value: int) -> None:
    """Add to a counter of an experiment."""
    session.run(
        "INSERT INTO counter VALUES (?, ?, ?) ON CONFLICT (experiment, name)"
        " DO UPDATE SET value = counter.value + excluded.value",
        (experiment, name, value),
    )
