"""When drift is looked at, and what raises and clears an alarm; `drift_watch` goes by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fairlead_operator.api import duration

WEEK_S = 7 * 86400.0
FALSE_ALARMS_PER_WEEK = 0.05
"""Over all looks of a week, if every rejection were an alarm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What `spec.drift` says; the defaults are those whose errors `docs/drift.md` has.

    Attributes:
        minimum_rows: The fewest rows of a look.
        look_every_s: The least time between two looks, and the least that a look's rows cover.
        material: The least PSI that matters, chance not included.
        raise_after: Looks in a row over the limit that raise an alarm.
        clear_after: Looks in a row within the limit that clear it.
    """

    minimum_rows: int = 1000
    look_every_s: float = 300.0
    material: float = 0.1
    raise_after: int = 2
    clear_after: int = 6

    @property
    def alpha(self) -> float:
        """The level of one look: more looks in a week have less each."""
        return FALSE_ALARMS_PER_WEEK * self.look_every_s / WEEK_S


DEFAULT = Rules()


def of_spec(given: Mapping[str, Any]) -> Rules:
    """Return what `spec.drift` says, as JSON; what it leaves out has its default.

    Raises:
        ValueError: Something in it is no number or duration.
    """
    every = given.get("lookEvery")
    return Rules(
        minimum_rows=int(given.get("minRows", DEFAULT.minimum_rows)),
        look_every_s=DEFAULT.look_every_s if every is None else float(duration.seconds(str(every))),
        material=int(given.get("maxPsiMilli", DEFAULT.material * 1000)) / 1000,
        raise_after=int(given.get("raiseAfter", DEFAULT.raise_after)),
        clear_after=int(given.get("clearAfter", DEFAULT.clear_after)),
    )
