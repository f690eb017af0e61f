"""A rollout's counts over operators that come and go: each request once, and none is missed."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator

import pytest

from fairlead_operator.evidence.scrape import Scraper
from fairlead_operator.reconcile.counting import Counted, Counter
from fairlead_operator.rollout.ledger import Ledger, from_json, to_json
from tests.unit.evidence.pod import Pod

ADDRESS = "team/fraud"


@pytest.fixture
async def pod() -> AsyncIterator[Pod]:
    new = Pod()
    server = await new.start()
    yield new
    server.close()


def now() -> dt.datetime:
    """Return the second that has begun: status has no parts of it."""
    return dt.datetime.now(dt.UTC).replace(microsecond=0)


class Status:
    """What one operator writes after a pass, and the next one finds: the rollout's own ledger."""

    def __init__(self, since: dt.datetime) -> None:
        self.since, self.readings = since, ""
        self.ledger = to_json(Ledger().next(control_share=9_500, candidate_share=500))

    def requests(self, counted: Counted) -> int:
        """Return what the rollout has seen altogether, with this window."""
        return self._read(counted).all.control.requests

    def write(self, counted: Counted) -> None:
        self.ledger, self.readings = to_json(self._read(counted)), counted.readings

    def _read(self, counted: Counted) -> Ledger:
        return from_json(self.ledger).read(counted.window, "a", "b", self.since)


async def look(operator: Counter, pod: Pod, status: Status) -> Counted:
    counted = await operator(
        ADDRESS, pod.pods, status.since, compare=False, readings=status.readings
    )
    assert counted is not None
    return counted


async def test_what_happens_between_two_operators_is_counted_once(pod: Pod) -> None:
    async with Scraper() as scraper:
        first, second = Counter(scraper), Counter(scraper)
        status = Status(now())
        pod.requests = 100  # from before: nobody's
        status.write(await look(first, pod, status))
        pod.requests = 110
        status.write(await look(first, pod, status))
        pod.requests = 125
        counted = await look(first, pod, status)  # known to the first one, and written nowhere
        assert status.requests(counted) == 25
        pod.requests = 160  # while there is no operator
        counted = await look(second, pod, status)
        assert status.requests(counted) == 60
        status.write(counted)
        pod.requests = 170
        assert status.requests(await look(second, pod, status)) == 70


async def test_an_operator_that_leads_again_counts_nothing_twice(pod: Pod) -> None:
    async with Scraper() as scraper:
        first, second = Counter(scraper), Counter(scraper)
        status = Status(now())
        status.write(await look(first, pod, status))
        pod.requests = 10
        status.write(await look(second, pod, status))
        pod.requests = 30
        status.write(await look(first, pod, status))
        pod.requests = 35
        assert status.requests(await look(second, pod, status)) == 35


async def test_after_a_new_step_the_readings_of_the_last_one_begin_anew(pod: Pod) -> None:
    async with Scraper() as scraper:
        first, second = Counter(scraper), Counter(scraper)
        status = Status(now())
        status.write(await look(first, pod, status))
        pod.requests = 10
        status.write(await look(first, pod, status))
        pod.requests = 15
        await asyncio.sleep(1)
        status.since = now()
        status.write(await look(second, pod, status))
        pod.requests = 22
        assert status.requests(await look(second, pod, status)) == 10 + 7


@pytest.mark.parametrize("text", ["", "x", "AAAA", "e30=", "eJyrrgUAAXUA+Q=="])
async def test_readings_that_cannot_be_read_are_as_none(pod: Pod, text: str) -> None:
    async with Scraper() as scraper:
        status = Status(now())
        status.readings = text
        operator = Counter(scraper)
        pod.requests = 10
        status.write(await look(operator, pod, status))
        pod.requests = 13
        assert status.requests(await look(operator, pod, status)) == 3
