"""A rollout's counts out of a metrics store: over operators, outages, steps and other providers."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import logging
from collections.abc import AsyncIterator, Iterator

import pytest

from fairlead_operator.evidence.direct import ModelPod, Pods
from fairlead_operator.evidence.exposition import Sample
from fairlead_operator.evidence.prometheus import UNREAD_AFTER, Prometheus, Scraped
from fairlead_operator.evidence.routers import RouterPod
from fairlead_operator.evidence.scrape import Scraper
from fairlead_operator.reconcile.counting import Counted, Counter
from fairlead_operator.rollout.gates import judge
from fairlead_operator.rollout.ledger import Ledger, from_json, to_json
from fairlead_operator.rollout.plan import Limits
from fairlead_operator.rollout.verdict import Gate, Verdict, worst
from fairlead_operator.traffic.counts import STALE_AFTER_S
from tests.unit.evidence.metricstore import MetricStore
from tests.unit.evidence.pod import XX, Pod

KEYS = ("a", "b")
R1, R2 = (RouterPod(name=name, ip="127.0.0.1", ready=True) for name in ("r1", "r2"))


class World:
    """A metrics store, what it has scraped, and the status that operators leave to one another.

    Attributes:
        since: When the split became live: two minutes ago.
        pods: The pods that there are.
    """

    def __init__(self, store: MetricStore, scraper: Scraper) -> None:
        self.store, self._scraper = store, scraper
        self._start = dt.datetime.now(dt.UTC).replace(microsecond=0) - dt.timedelta(seconds=120)
        self.since = self._start
        self.pods = Pods(keys=KEYS, routers=[R1])
        self.readings = ""
        self._ledger = to_json(Ledger().next(control_share=9_500, candidate_share=500))

    def at(self, seconds: float) -> dt.datetime:
        return self._start + dt.timedelta(seconds=seconds)

    def scraped(
        self, pod: str, seconds: float, requests: int, *, up: float = 9_000
    ) -> Iterator[Scraped]:
        """Return a scrape of a router: so many requests of each arm."""
        for arm in KEYS:
            labels = {"envoy_cluster_name": f"{arm}_http", "envoy_response_code_class": "2"}
            yield Scraped(pod, self.at(seconds), Sample(XX, labels, requests))
        yield Scraped(pod, self.at(seconds), Sample("envoy_server_uptime", {}, up + seconds))

    def operator(self, prometheus: Prometheus | None) -> Counter:
        return Counter(self._scraper, prometheus)

    async def look(self, operator: Counter, pods: Pods | None = None) -> Counted:
        counted = await operator(
            "team/fraud", pods or self.pods, self.since, compare=False, readings=self.readings
        )
        assert counted is not None
        return counted

    def evidence(self, counted: Counted) -> Ledger:
        return from_json(self._ledger).read(counted.window, "a", "b", self.since)

    def requests(self, counted: Counted) -> tuple[int, int]:
        """Return what the rollout has seen altogether, with this window, of both arms."""
        sums = self.evidence(counted).all
        return sums.control.requests, sums.candidate.requests

    def write(self, counted: Counted) -> None:
        self._ledger, self.readings = to_json(self.evidence(counted)), counted.readings

    def next_step(self, seconds: float) -> None:
        """Make another split live."""
        self.since = self.at(seconds)
        ledger = from_json(self._ledger).next(control_share=7_500, candidate_share=2_500)
        self._ledger = to_json(ledger)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with MetricStore() as store, Scraper() as scraper:
        yield World(store, scraper)


async def test_an_operator_that_goes_on_loses_nothing_and_counts_nothing_twice(
    world: World,
) -> None:
    both = Pods(keys=KEYS, routers=[R1, R2])
    async with Prometheus(world.store.url) as one, Prometheus(world.store.url) as two:
        first, second = world.operator(one), world.operator(two)
        world.store.scrape(world.scraped("r1", 5, 1_000), world.scraped("r2", 6, 2_000))
        world.store.scrape(world.scraped("r1", 20, 1_010), world.scraped("r2", 21, 2_005))
        world.write(await world.look(first, both))
        world.store.scrape(world.scraped("r1", 35, 1_017))
        counted = await world.look(first, both)  # known to the first one, and written nowhere
        assert world.requests(counted) == (22, 22)
        # While there is no operator r2 goes, whose samples nobody asks for any more.
        world.store.scrape(world.scraped("r1", 50, 1_030))
        counted = await world.look(second)
        assert world.requests(counted) == (35, 35)
        world.write(counted)
        world.store.scrape(world.scraped("r1", 65, 1_031))
        assert world.requests(await world.look(second)) == (36, 36)
        # The first one leads again.
        assert world.requests(await world.look(first)) == (36, 36)


async def test_restarts_are_counted_once_over_operators_though_no_sample_has_them(
    world: World,
) -> None:
    def pods(restarts: int) -> Pods:
        old = world.at(-3600)
        model = ModelPod(
            name="b1", ip="", arm="b", ready=False, created=old, restarts=restarts
        )  # fmt: skip
        return Pods(keys=KEYS, routers=[R1], models=[model])

    async with Prometheus(world.store.url) as one, Prometheus(world.store.url) as two:
        world.write(await world.look(world.operator(one), pods(3)))
        world.write(await world.look(world.operator(one), pods(4)))
        second = world.operator(two)
        assert world.evidence(await world.look(second, pods(6))).all.candidate.restarts == 3
        world.store.broken = "down"
        counted = await world.look(second, pods(7))
        assert world.evidence(counted).all.candidate.restarts == 4
        world.write(counted)
        world.next_step(40)
        assert world.evidence(await world.look(second, pods(9))).all.candidate.restarts == 6


async def test_without_readings_the_same_window_is_asked_for_again(world: World) -> None:
    world.store.scrape(world.scraped("r1", 5, 1_000), world.scraped("r1", 20, 1_010))
    async with Prometheus(world.store.url) as one, Prometheus(world.store.url) as two:
        world.write(await world.look(world.operator(one)))
        world.readings = "of another version"
        world.store.scrape(world.scraped("r1", 35, 1_013))
        assert world.requests(await world.look(world.operator(two))) == (13, 13)


async def test_a_step_is_counted_from_its_first_scrape_on_and_never_from_before(
    world: World,
) -> None:
    world.store.scrape(world.scraped("r1", 5, 1_000), world.scraped("r1", 20, 1_010))
    async with Prometheus(world.store.url) as one, Prometheus(world.store.url) as two:
        operator = world.operator(one)
        world.write(await world.look(operator))
        # 20 more under the old split, which nobody can tell from those of the new one.
        world.store.scrape(world.scraped("r1", 50, 1_030), world.scraped("r1", 65, 1_036))
        world.next_step(40)
        counted = await world.look(operator)
        assert counted.window.begin == world.since
        assert (world.requests(counted), counted.window.arms["a"].requests) == ((16, 16), 6)
        # Another operator finds the last step's readings in status.
        assert world.requests(await world.look(world.operator(two))) == (16, 16)
        world.write(counted)
        world.store.scrape(world.scraped("r1", 80, 1_037))
        assert world.requests(await world.look(operator)) == (17, 17)


async def test_one_that_cannot_be_asked_leaves_evidence_as_it_was_and_says_why(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "fairlead_operator")
    world.store.scrape(world.scraped("r1", 90, 1_000), world.scraped("r1", 105, 1_010))
    async with Prometheus(world.store.url) as prometheus, Prometheus(world.store.url) as other:
        operator = world.operator(prometheus)
        before = await world.look(operator)
        world.write(before)
        world.store.broken = "the disk is full"
        world.store.scrape(world.scraped("r1", 118, 1_030))
        for each in (operator, operator, world.operator(other)):
            counted = await world.look(each)
            assert counted.window.trouble == f"{world.store.url} answered 503: the disk is full"
            assert dataclasses.replace(counted.window, trouble="") == before.window
            assert world.requests(counted) == (10, 10)
            ledger = world.evidence(counted)
            assert ledger.end is not None
            checks = judge(ledger, Limits(min_requests=1), ledger.end + dt.timedelta(seconds=91))
            assert worst(checks) is Verdict.STALE
            assert checks[0].message.startswith("the last counts are 91 s old: ")
            assert "the disk is full" in checks[0].message
            # Another operator finds it in status still.
            world.write(counted)
        world.store.broken = ""
        counted = await world.look(operator)
        assert (world.requests(counted), counted.window.trouble) == ((30, 30), "")
    # Once where it begins and once where it ends, and not with each pass.
    told = [record.getMessage() for record in caplog.records]
    assert [text.partition(":")[0] for text in told] == [
        "evidence cannot be read",
        "evidence cannot be read",  # the other operator
        "evidence can be read again",
    ]


async def test_an_empty_answer_passes_and_condemns_nothing(world: World) -> None:
    """A Prometheus that scrapes other pods, or without the labels that are asked for."""
    world.store.scrape(world.scraped("somebody", 5, 1), world.scraped("somebody", 65, 9_000))
    async with Prometheus(world.store.url) as prometheus:
        counted = await world.look(world.operator(prometheus))
    assert (counted.window.end, counted.window.unread) == (world.since, ("r1",))
    checks = judge(world.evidence(counted), Limits(), dt.datetime.now(dt.UTC))
    assert worst(checks) is Verdict.STALE
    assert checks[0].message.endswith("s old: not counted since they could not be read: r1")


async def test_a_pod_that_has_just_come_holds_nobody_up(world: World) -> None:
    world.store.scrape(world.scraped("r1", 105, 1_000), world.scraped("r1", 118, 1_010))
    new = dataclasses.replace(R2, created=world.at(100))
    async with Prometheus(world.store.url) as prometheus:
        operator = world.operator(prometheus)
        counted = await world.look(operator, Pods(keys=KEYS, routers=[R1, new]))
        assert (counted.window.end, counted.window.unread) == (world.at(118), ())
        old = dataclasses.replace(R2, created=world.at(-100))
        counted = await world.look(operator, Pods(keys=KEYS, routers=[R1, old]))
        assert counted.window.unread == ("r2",)


async def test_counts_may_be_as_old_as_the_usual_scrapes_are_apart(world: World) -> None:
    world.store.scrape(world.scraped("r1", 90, 1_000), world.scraped("r1", 105, 1_400))
    async with Prometheus(world.store.url) as prometheus:
        ledger = world.evidence(await world.look(world.operator(prometheus)))
    for age, verdict in ((31, Verdict.PASS), (90, Verdict.PASS), (91, Verdict.STALE)):
        [errors, *_] = judge(ledger, Limits(), world.at(105 + age))
        assert (errors.gate, errors.verdict) == (Gate.ERRORS, verdict)


async def test_another_provider_goes_on_in_the_middle_of_a_step(world: World) -> None:
    pod = Pod()
    server = await pod.start()
    pods = Pods(keys=KEYS, routers=[dataclasses.replace(R1, port=pod.port)])
    pod.uptime = 9_120
    try:
        async with Prometheus(world.store.url) as prometheus:
            pod.requests = 100
            direct = world.operator(None)
            world.write(await world.look(direct, pods))
            pod.requests = 110
            counted = await world.look(direct, pods)
            world.write(counted)
            assert counted.window.stale_after_s == STALE_AFTER_S
            assert world.requests(counted)[0] == 10
            seen = (dt.datetime.now(dt.UTC) - world.at(0)).total_seconds()
            # A scrape by a clock that is a little ahead: before the last reading, and not after.
            world.store.scrape(world.scraped("r1", seen + 0.01, 105))
            await asyncio.sleep(0.02)
            counted = await world.look(world.operator(prometheus), pods)
            assert world.requests(counted)[0] == 10
            assert counted.window.stale_after_s == UNREAD_AFTER.total_seconds()
            world.write(counted)
            pod.requests = 125
            assert world.requests(await world.look(world.operator(None), pods))[0] == 25
    finally:
        server.close()


async def test_what_a_scraper_of_another_clock_saw_before_is_no_restart(world: World) -> None:
    """Two replicas behind one Service: their scrapes alternate, some milliseconds out of order."""
    world.store.scrape(world.scraped("r1", 5, 1_000), world.scraped("r1", 20, 1_050))
    world.store.scrape(world.scraped("r1", 20.02, 1_049))
    async with Prometheus(world.store.url) as prometheus:
        operator = world.operator(prometheus)
        assert world.requests(await world.look(operator)) == (50, 50)
        world.store.scrape(world.scraped("r1", 20.3, 1_049), world.scraped("r1", 35, 1_060))
        assert world.requests(await world.look(operator)) == (60, 60)


async def test_a_pod_that_is_no_longer_scraped_makes_nobody_ask_for_hours(world: World) -> None:
    both = Pods(keys=KEYS, routers=[R1, dataclasses.replace(R2, ready=False)])
    world.since = world.at(-1000)
    world.store.scrape(world.scraped("r2", -900, 2_000), world.scraped("r1", 100, 1_000))
    async with Prometheus(world.store.url) as prometheus:
        operator = world.operator(prometheus)
        await world.look(operator, both)
        world.store.scrape(world.scraped("r1", 115, 1_010), world.scraped("r2", 116, 2_007))
        assert world.requests(await world.look(operator, both)) == (17, 17)
    back = [int(asked.rpartition("[")[2].removesuffix("s]")) for asked in world.store.asked]
    assert back[0] > 1000 > 100 > back[1]
