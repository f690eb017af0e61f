"""How much of the machine others had while a round ran, and whether the round counts."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass
from pathlib import Path

MOST_OTHERS = 0.05
"""Of the time of all cores, which other processes may have worked during a round that counts."""
MOST_STOLEN = 0.02
"""Of the same, which the hypervisor may have given to other machines."""
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """CPU time of all cores together since the start of the machine, in seconds."""

    worked: float
    stolen: float
    whole: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """What others had of all cores during a round."""

    others: float
    stolen: float

    @property
    def quiet(self) -> bool:
        """Whether the round counts, by a rule that does not know what it gave."""
        return self.others <= MOST_OTHERS and self.stolen <= MOST_STOLEN


def parsed(stat: str) -> Clocks:
    """Return the clocks of a text as `/proc/stat` has it.

    Interrupts are left out of what was worked: those of loopback are the load's own.
    """
    fields = stat.split("\n", 1)[0].split()[1:9]
    user, nice, system, *rest = (int(each) / _TICKS for each in fields)
    worked = user + nice + system
    return Clocks(worked=worked, stolen=rest[-1], whole=worked + sum(rest))


def clocks() -> Clocks:
    """Return the machine's clocks now."""
    return parsed(Path("/proc/stat").read_text())


def own_s() -> float:
    """Return the CPU time of this process and of those that it has waited for."""
    both = (resource.getrusage(each) for each in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in both)


def shares(before: Clocks, after: Clocks, mine_s: float) -> Shares:
    """Return what others had between two moments, of which so much was the measurement's own."""
    whole = max(1e-9, after.whole - before.whole)
    return Shares(
        others=max(0.0, after.worked - before.worked - mine_s) / whole,
        stolen=(after.stolen - before.stolen) / whole,
    )
