"""The ledger in a world of pods that restart, are replaced, cannot be read; and of operators."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from fairlead_operator.evidence import ledger as ledgers
from fairlead_operator.evidence import modelpage, routerpage, saved
from fairlead_operator.evidence.ledger import Ledger
from fairlead_operator.evidence.readings import Group, Life, Reading
from fairlead_operator.stats.histogram import Histogram
from fairlead_operator.traffic.counts import Counts
from tests.searching import searches

NOW = dt.datetime(2026, 1, 1, 12, 0, tzinfo=dt.UTC)
KEYS = ("stable", "candidate")
EDGES = (1.0, 5.0, 12.1)


def at(seconds: float) -> dt.datetime:
    """Return an instant."""
    return NOW + dt.timedelta(seconds=seconds)


def a_router(
    pod: str = "r", *, time: float = 0, started: float = -100, **clusters: dict[str, int]
) -> Reading:
    """Return a router's reading; `candidate_http={"answered": 3}`."""
    groups = {name: Group(numbers=numbers) for name, numbers in clusters.items()}
    return Reading(pod=pod, at=at(time), started=at(started), groups=groups)


def after(
    ledger: Ledger, *readings: Reading, lives: tuple[Life, ...] = (), pods: str | None = None
) -> Ledger:
    """Return the ledger after readings of all pods that exist."""
    there = [each.pod for each in readings] if pods is None else pods.split()
    return ledger.advance(readings, lives, keys=KEYS, pods=there, needed=there)


@dataclass
class Process:
    """What one process counted of each arm, how much of it was read, and how much is to be."""

    started: float
    counted: Counter[str] = field(default_factory=Counter)
    since_begin: Counter[str] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)


class Pods(RuleBasedStateMachine):
    """Nothing is counted that did not happen; lost is what was counted after a last reading."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 0.0
        self.serial = 0
        self.pods: dict[str, Process] = {}
        self.happened: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.ledger = ledgers.new(at(0))

    @initialize()
    def begin(self) -> None:
        self.add_pod()
        self.add_pod()
        for process in self.pods.values():
            process.started = -50.0
            process.counted.update(stable=1000, candidate=100)
        self.read(broken=set())
        for process in self.pods.values():
            process.unread.clear()

    @rule()
    def add_pod(self) -> None:
        self.serial += 1
        self.wait(10)
        self.pods[f"r{self.serial}"] = Process(self.time)

    @rule(seconds=st.floats(0.5, 30))
    def wait(self, seconds: float) -> None:
        self.time += seconds

    @rule(arm=st.sampled_from(KEYS), count=st.integers(1, 2_000), which=st.integers(0, 99))
    def serve(self, arm: str, count: int, which: int) -> None:
        if self.pods:
            process = self._pod(which)[1]
            process.counted[arm] += count
            process.unread[arm] += count
            self.happened[arm] += count

    @rule(which=st.integers(0, 99))
    def restart(self, which: int) -> None:
        if self.pods:
            name, process = self._pod(which)
            self.lost.update(process.unread)
            # Envoy tells its age in whole seconds, and needs one or two to come up.
            self.wait(ledgers.RESTARTED_AFTER.total_seconds() + 2)
            self.pods[name] = Process(self.time)

    @rule(which=st.integers(0, 99))
    def remove(self, which: int) -> None:
        if self.pods:
            name, process = self._pod(which)
            self.lost.update(process.unread)
            del self.pods[name]

    @rule(broken=st.sets(st.integers(0, 3), max_size=2))
    def read(self, broken: set[int]) -> None:
        readings = []
        for index, (name, process) in enumerate(self.pods.items()):
            if index not in broken:
                readings.append(self._reading(name, process))
                process.unread.clear()
        self.ledger = after(self.ledger, *readings, pods=" ".join(self.pods))

    @rule()
    def another_operator_goes_on(self) -> None:
        self.ledger = saved.from_json(json.loads(json.dumps(saved.to_json(self.ledger))))

    @invariant()
    def never_more_than_happened_and_nothing_lost_that_was_read(self) -> None:
        for arm in KEYS:
            counts = self.ledger.window().arms.get(arm, Counts())
            unread = sum(process.unread[arm] for process in self.pods.values())
            assert counts.requests <= self.happened[arm]
            assert counts.requests == self.happened[arm] - self.lost[arm] - unread
            assert counts.client_errors == counts.requests
            assert (counts.latency.count if counts.latency else 0) == counts.requests

    def _pod(self, which: int) -> tuple[str, Process]:
        names = list(self.pods)
        name = names[which % len(names)]
        return name, self.pods[name]

    def _reading(self, name: str, process: Process) -> Reading:
        groups = {
            f"{arm}_http": Group(
                numbers={routerpage.ANSWERED: count, routerpage.REFUSED: count},
                latency=Histogram(EDGES, (count // 3, count - count // 3, 0, 0)),
            )
            for arm, count in process.counted.items()
        }
        return Reading(pod=name, at=at(self.time), started=at(process.started), groups=groups)


TestPods = Pods.TestCase
TestPods.settings = searches(150, steps=40)


def test_what_was_counted_before_the_beginning_is_not_counted() -> None:
    first = a_router(candidate_http={"answered": 70, "failed": 7})
    second = a_router(time=10, candidate_http={"answered": 100, "failed": 8})
    ledger = after(ledgers.new(NOW), first)
    assert ledger.window().arms == {"candidate": Counts()} or not ledger.window().arms
    assert after(ledger, second).window().arms["candidate"] == Counts(requests=30, errors=1)


def test_a_pod_younger_than_the_beginning_is_counted_whole() -> None:
    ledger = after(ledgers.new(NOW), a_router(started=1, time=5, stable_http={"answered": 7}))
    assert ledger.window().arms["stable"].requests == 7


def test_a_restart_is_noticed_though_no_counter_fell() -> None:
    ledger = after(ledgers.new(NOW), a_router(candidate_http={"answered": 70, "failed": 0}))
    grown = after(ledger, a_router(started=20, time=60, candidate_http={"answered": 90}))
    assert grown.window().arms["candidate"].requests == 90


def test_a_cluster_that_came_back_begins_at_nothing() -> None:
    """Envoy forgets a removed cluster's counters; all of a group's fall together."""
    ledger = after(ledgers.new(NOW), a_router(candidate_http={"answered": 70, "failed": 60}))
    grown = after(ledger, a_router(time=9, candidate_http={"answered": 75, "failed": 2}))
    assert grown.window().arms["candidate"] == Counts(requests=75, errors=2)


def test_a_pod_that_is_gone_keeps_what_was_read_of_it_and_is_forgotten() -> None:
    ledger = after(ledgers.new(NOW), a_router("a"), a_router("b"))
    ledger = after(ledger, a_router("a", time=5, stable_http={"answered": 5}), pods="a b")
    assert ledger.unread == ("b",)
    ledger = after(ledger, a_router("b", time=9, stable_http={"answered": 2}))
    assert ledger.window().arms["stable"].requests == 7
    assert set(ledger.seen) == {"b"}
    assert ledger.unread == ()


def test_the_window_ends_with_the_oldest_reading_of_a_pod_that_should_answer() -> None:
    ledger = after(ledgers.new(NOW), a_router("a", time=1), a_router("b", time=2))
    ledger = after(ledger, a_router("a", time=30), pods="a b")
    assert (ledger.end, ledger.unread) == (at(2), ("b",))
    ledger = ledger.advance([a_router("a", time=40)], (), keys=KEYS, pods=["a", "b"], needed=["a"])
    assert (ledger.end, ledger.unread) == (at(40), ())


def test_a_new_beginning_counts_from_the_last_readings_on() -> None:
    ledger = after(ledgers.new(NOW), a_router(stable_http={"answered": 10}))
    ledger = after(ledger, a_router(time=5, stable_http={"answered": 20})).again()
    assert (ledger.begin, ledger.window().arms) == (at(5), {})
    ledger = after(ledger, a_router(time=9, stable_http={"answered": 26}))
    assert ledger.window().arms["stable"].requests == 6


def test_copies_are_counted_apart() -> None:
    router = a_router(started=1, candidate_http_mirror={"answered": 9, "failed": 4})
    window = after(ledgers.new(NOW), router).window()
    assert window.arms == {}
    assert window.mirrored == {"candidate": Counts(requests=9, errors=4)}


def test_arms_that_nobody_asks_for_are_not_counted() -> None:
    router = a_router(started=1, old_http={"answered": 9}, admin={"answered": 5})
    assert after(ledgers.new(NOW), router).window().arms == {}


def a_life(restarts: int, *, killed: bool = False, created: float = -100) -> Life:
    """Return what the cluster says about a pod of the candidate."""
    return Life(
        pod="c",
        arm="candidate",
        created=at(created),
        restarts=restarts,
        out_of_memory=killed,
    )


def test_restarts_are_counted_from_what_was_seen_first() -> None:
    ledger = after(ledgers.new(NOW), lives=(a_life(3),), pods="c")
    assert ledger.window().arms["candidate"].restarts == 0
    ledger = after(ledger, lives=(a_life(5, killed=True),), pods="c")
    ledger = after(ledger, lives=(a_life(5, killed=True),), pods="c")
    counts = ledger.window().arms["candidate"]
    assert (counts.restarts, counts.oom_kills) == (2, 1)


def test_restarts_of_a_pod_younger_than_the_beginning_all_count() -> None:
    ledger = after(ledgers.new(NOW), lives=(a_life(2, created=5),), pods="c")
    assert ledger.window().arms["candidate"].restarts == 2


def test_a_model_pod_tells_of_nan_and_of_what_it_served() -> None:
    numbers = {"answered": 50, "failed": 3, modelpage.CHECKED: 40, modelpage.NON_FINITE: 8}
    reading = Reading(
        pod="c",
        at=at(5),
        started=at(1),
        arm="candidate",
        groups={modelpage.MODEL: Group(numbers=numbers)},
    )
    window = after(ledgers.new(NOW), reading).window()
    assert window.arms["candidate"] == Counts(predictions=40, non_finite=8)
    assert window.served["candidate"] == Counts(requests=50, errors=3)


def test_no_part_is_more_than_its_whole_though_envoy_counts_them_at_different_times() -> None:
    router = a_router(started=1, stable_grpc={"answered": 2, "grpc_failed": 3, "grpc_refused": 1})
    counts = after(ledgers.new(NOW), router).window().arms["stable"]
    assert (counts.requests, counts.errors, counts.client_errors) == (2, 2, 0)


@given(
    st.lists(st.tuples(st.text(max_size=5), st.integers(0, 10**9)), max_size=4),
    st.booleans(),
    st.integers(0, 10**6),
)
def test_a_stored_ledger_is_the_same(
    clusters: list[tuple[str, int]], measured: bool, restarts: int
) -> None:
    latency = Histogram(EDGES, (1, 0, 2, 0)) if measured else None
    groups = {name: Group(numbers={"answered": n}, latency=latency) for name, n in clusters if n}
    reading = Reading(pod="r", at=at(2.25), started=at(-9), groups=groups)
    counts = Counts(requests=9, errors=1, latency=latency, oom_kills=2)
    ledger = Ledger(
        begin=NOW,
        end=at(2.25),
        arms={"stable": counts},
        mirrored={"candidate": counts},
        served={"stable": Counts()},
        seen={"r": reading},
        restarts={"c": restarts},
        unread=("x",),
    )
    assert saved.from_json(json.loads(json.dumps(saved.to_json(ledger)))) == ledger
    assert saved.unpack(saved.pack(ledger)) == ledger


def test_a_stored_ledger_holds_no_floats_and_is_bounded() -> None:
    edges = tuple(float(edge) for edge in range(1, 121))
    latency = Histogram(edges, (12_345,) * 121)
    group = Group(numbers={"answered": 10**7, "failed": 10**6}, latency=latency)
    routers = {
        f"fraud-fl-router-{i:05}": Reading(
            pod=f"fraud-fl-router-{i:05}",
            at=NOW,
            started=NOW,
            groups={f"fraud-{arm:08}_{p}": group for arm in range(8) for p in ("http", "grpc")},
        )
        for i in range(2)
    }
    models = {
        f"fraud-{i:08}": Reading(
            pod=f"fraud-{i:08}", at=NOW, started=NOW, arm="a", groups={"model": group}
        )
        for i in range(500)
    }
    counts = Counts(requests=1, latency=latency)
    ledger = Ledger(
        begin=NOW,
        end=NOW,
        arms={f"fraud-{arm:08}": counts for arm in range(8)},
        seen={**models, **routers},
        restarts=dict.fromkeys(models, 1),
    )
    assert saved.unpack(saved.pack(ledger)) is not None
    assert len(saved.pack(ledger)) < 20_000
    document = saved.to_json(ledger, limits_ms=(5, 60, 75))
    text = json.dumps(document, separators=(",", ":"))
    assert len(text) < 20_000
    assert set(routers) <= set(saved.from_json(document).seen)

    def leaves(value: object) -> list[object]:
        if isinstance(value, dict):
            return [leaf for each in value.values() for leaf in leaves(each)]
        if isinstance(value, list):
            return [leaf for each in value for leaf in leaves(each)]
        return [value]

    assert {type(leaf) for leaf in leaves(document)} <= {int, str}


def test_with_fewer_edges_stored_what_is_above_them_stays_exact() -> None:
    def router(time: float, *buckets: int) -> Reading:
        group = Group(numbers={"answered": sum(buckets)}, latency=Histogram(EDGES, buckets))
        return Reading(pod="r", at=at(time), started=at(-9), groups={"stable_http": group})

    ledger = after(ledgers.new(NOW), router(1, 5, 5, 5, 5))
    ledger = after(ledger, router(2, 6, 6, 5, 6))
    ledger = saved.from_json(saved.to_json(ledger, limits_ms=(5.0,)))
    counts = after(ledger, router(3, 6, 8, 6, 7)).window().arms["stable"]
    assert counts.requests == 7
    assert counts.latency == Histogram((5.0,), (4, 3))


def test_a_pod_whose_last_reading_was_not_stored_counts_from_its_next_reading_on() -> None:
    ledger = after(ledgers.new(NOW), a_router(stable_http={"answered": 10}))
    restored = dataclasses.replace(ledger, seen={})
    again = after(restored, a_router(time=5, stable_http={"answered": 20}))
    assert "stable" not in again.window().arms
    again = after(again, a_router(time=9, stable_http={"answered": 23}))
    assert again.window().arms["stable"].requests == 3


def test_a_young_pod_that_was_not_stored_does_not_count_twice() -> None:
    def looked(ledger: Ledger, time: float, count: int, restarts: int) -> Ledger:
        young = range(saved.MOST_PODS + 1)
        readings = [
            a_router(f"r{i:03}", time=time, started=5, stable_http={"answered": count})
            for i in young
        ]
        lives = [dataclasses.replace(a_life(restarts, created=4), pod=f"c{i:03}") for i in young]
        there = [*(each.pod for each in readings), *(each.pod for each in lives)]
        return ledger.advance(readings, lives, keys=KEYS, pods=there, needed=there)

    def counted(ledger: Ledger) -> tuple[int, int]:
        arms = ledger.window().arms
        return arms["stable"].requests, arms["candidate"].restarts

    all_of_them, stored = saved.MOST_PODS + 1, saved.MOST_PODS
    ledger = looked(ledgers.new(NOW), 10, 7, 1)
    assert counted(ledger) == (7 * all_of_them, all_of_them)
    for _ in range(2):  # the second operator stores what it had from the first one
        restored = saved.unpack(saved.pack(ledger))
        assert restored is not None
        ledger = restored
    ledger = looked(ledger, 20, 9, 2)
    # Of the one that was left out nobody knows from where it went on.
    assert counted(ledger) == (7 * all_of_them + 2 * stored, all_of_them + stored)
    ledger = looked(ledger, 30, 10, 2)
    assert counted(ledger)[0] == 7 * all_of_them + 2 * stored + all_of_them


def test_what_is_no_stored_ledger_is_refused() -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        saved.from_json({"begin": 1})
