"""However a stream is dealt out to replicas that come, go and are read at any instant: added once.

What is lost is what a replica counted after it was last read, and nothing else.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead_operator.reconcile.drift import READ_EVERY_S
from fairlead_operator.stats.drift_watch import Watch, take
from fairlead_runtime.contract.drift_counts import Window, empty, merge
from fairlead_runtime.contract.drift_report import Report, from_document, to_document
from fairlead_runtime.drift.counter import Counter, Tally
from fairlead_runtime.drift.monitor import Monitor
from fairlead_runtime.drift.window import PERIOD_S
from tests.searching import searches
from tests.unit.runtime.drifting import a_profile, rows

PROFILE = a_profile()
COUNTER = Counter(PROFILE)
Rows = tuple[dict[str, Any], dict[str, Any]]


@dataclass
class Clock:
    """The cluster's time."""

    now_s: float = 1_000_000_007.0


@dataclass
class Replica:
    """A process with counters of its own, and a clock that may be wrong."""

    clock: Clock
    wrong_s: float = 0.0
    unread: list[Rows] = field(default_factory=list)
    monitor: Monitor = field(init=False)

    def __post_init__(self) -> None:
        self.monitor = Monitor(PROFILE, version="1", wall=self.wall)

    def wall(self) -> float:
        return self.clock.now_s + self.wrong_s

    def count(self, some: Rows) -> None:
        self.monitor.count(*some)
        self.unread.append(some)

    def tell(self) -> Report:
        """Return what the operator reads: through JSON, as it does."""
        return from_document(json.loads(json.dumps(to_document(self.monitor.report()))))


def counted_by_one(stream: list[Rows]) -> Window:
    """Return the counts of all rows by one counter, with no window and no replica."""
    tally = Tally(COUNTER.layout)
    for some in stream:
        COUNTER.count(*some, tally)
    return COUNTER.layout.window(tally, 0.0, 0.0, coarse=True)


places = st.integers(0, 3)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("rows"), places, st.sampled_from((1, 7, 300, 1500))),
        st.tuples(st.just("wait"), st.sampled_from((0.5, 3.0, 29.0, 59.0, 61.0, 310.0))),
        st.tuples(st.just("read"), st.sets(places)),
        st.tuples(st.just("start"), places, st.sampled_from((0.0, 0.4, -40.0, 7200.0))),
        st.tuples(st.just("remove"), places),
        st.tuples(st.just("set back"), places, st.sampled_from((5.0, 70.0, 86400.0))),
    ),
    max_size=35,
)


@searches(400)
@given(steps)
def test_what_is_merged_is_all_that_was_counted_before_each_replica_was_last_read(
    story: list[tuple[Any, ...]],
) -> None:
    clock = Clock()
    replicas = {0: Replica(clock)}
    watch = take(Watch(), [replicas[0].tell()], clock.now_s)
    told: list[Rows] = []
    for seed, (what, *args) in enumerate(story):
        if what == "wait":
            # Who is first read after an hour is not added: it may have been read before.
            clock.now_s = min(clock.now_s + args[0], Clock().now_s + 3300.0)
        elif what == "start":  # also in another's place: a restart
            replicas[args[0]] = Replica(clock, args[1])
        elif what == "read":  # those that answer
            some = [replicas[place] for place in args[0] if place in replicas]
            watch = take(watch, [each.tell() for each in some], clock.now_s)
            for each in some:
                told += each.unread
                each.unread.clear()
        elif args[0] not in replicas:
            continue
        elif what == "rows":
            replicas[args[0]].count(rows(args[1], seed))
        elif what == "remove":
            del replicas[args[0]]
        else:
            replicas[args[0]].wrong_s -= args[1]
    merged = watch.pending or empty(PROFILE, 0.0, coarse=True)
    once = counted_by_one(told)
    assert (merged.rows, merged.features) == (once.rows, once.features)


@pytest.mark.parametrize("phase_s", [0.0, 0.5, 13.0, 49.5])
@pytest.mark.parametrize("end_s", [118.0, 120.0, 359.0, 400.5])
def test_a_replica_that_goes_takes_less_than_a_sub_window_with_it(
    phase_s: float, end_s: float
) -> None:
    clock = Clock(1_000_000_020.0)
    begin = clock.now_s
    assert begin % PERIOD_S == 0
    replica = Replica(clock)
    some = rows(1)
    watch, reads = Watch(), 0
    for half in range(int(2 * end_s)):
        clock.now_s = begin + half / 2
        if clock.now_s - begin >= phase_s + reads * READ_EVERY_S:
            watch, reads = take(watch, [replica.tell()], clock.now_s), reads + 1
        replica.count(some)
    merged = watch.pending.rows if watch.pending else 0
    assert merged > 0
    assert replica.monitor.rows - merged <= 2 * READ_EVERY_S < 2 * PERIOD_S


@pytest.mark.parametrize("minutes", [2, 25, 59])
@pytest.mark.parametrize("gap_s", [6, 60])
def test_an_operator_that_could_not_read_for_long_loses_nothing(minutes: int, gap_s: int) -> None:
    clock = Clock()
    replica = Replica(clock)
    some = rows(1)
    watch = Watch()
    for second in range(0, 7200, gap_s):
        clock.now_s += gap_s
        replica.count(some)
        if not 3000 < second < 3000 + 60 * minutes:
            watch = take(watch, [replica.tell()], clock.now_s)
    assert watch.pending is not None
    assert watch.pending.rows == replica.monitor.rows == 7200 // gap_s


def test_two_operators_that_read_the_same_replicas_find_the_same() -> None:
    clock = Clock()
    replicas = [Replica(clock), Replica(clock)]
    first = second = Watch()
    for step in range(300):
        clock.now_s += 7.0
        replicas[step % 2].count(rows(3, step))
        told = [each.tell() for each in replicas]
        if step % 3 == 0:
            first = take(first, told, clock.now_s)
        if step % 11 == 0:
            second = take(second, told, clock.now_s)
    told = [each.tell() for each in replicas]
    found = [take(each, told, clock.now_s).pending for each in (first, second)]
    assert found[0] is not None
    assert found[0] == found[1]
    held = merge([each.counted for each in told])
    assert (found[0].rows, found[0].features) == (held.rows, held.features)
