"""Reading pods over real sockets: what is asked, and when counting begins anew."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fairlead_operator.evidence.direct import Direct, ModelPod, model_pod
from fairlead_operator.evidence.drift import PORT_NAME
from fairlead_operator.evidence.scrape import Scraper
from fairlead_operator.traffic.counts import Counts
from tests.unit.evidence.pod import Pod


@pytest.fixture
async def pod() -> AsyncIterator[Pod]:
    """Return a router that listens."""
    new = Pod()
    server = await new.start()
    yield new
    server.close()


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


async def test_counting_begins_anew_where_the_split_does(pod: Pod) -> None:
    async with Scraper() as scraper:
        direct = Direct(scraper)
        since = now()
        pod.requests = 100
        assert (await direct.read("team/fraud", pod.pods, since)).window().arms == {}
        pod.requests = 130
        window = (await direct.read("team/fraud", pod.pods, since)).window()
        assert window.arms == {"a": Counts(requests=30)}
        changed = now()
        pod.requests = 150
        first = (await direct.read("team/fraud", pod.pods, changed)).window()
        assert changed <= first.begin == first.end
        assert first.arms == {}
        pod.requests = 157
        window = (await direct.read("team/fraud", pod.pods, changed)).window()
        assert window.arms == {"a": Counts(requests=7)}
        assert window.begin == first.begin < window.end


async def test_a_split_that_is_to_come_does_not_begin_anew_with_each_pass(pod: Pod) -> None:
    async with Scraper() as scraper:
        direct = Direct(scraper)
        later = now() + dt.timedelta(hours=1)
        begin = (await direct.read("x", pod.pods, later)).begin
        pod.requests = 5
        ledger = await direct.read("x", pod.pods, later)
        assert (ledger.begin, ledger.window().arms["a"].requests) == (begin, 5)


async def test_a_router_that_cannot_be_read_stops_the_window_and_loses_nothing(pod: Pod) -> None:
    async with Scraper() as scraper:
        direct = Direct(scraper)
        since = now()
        end = (await direct.read("x", pod.pods, since)).end
        pod.broken, pod.requests = True, 9
        ledger = await direct.read("x", pod.pods, since)
        assert (ledger.end, ledger.unread) == (end, ("r",))
        pod.broken = False
        ledger = await direct.read("x", pod.pods, since)
        assert (ledger.window().arms["a"].requests, ledger.unread) == (9, ())
        assert ledger.end > end


async def test_another_operator_goes_on_with_what_was_stored(pod: Pod) -> None:
    async with Scraper() as scraper:
        first, second = Direct(scraper), Direct(scraper)
        since = now()
        await first.read("x", pod.pods, since)
        pod.requests = 3
        stored = await first.read("x", pod.pods, since)
        pod.requests = 10
        second.restore("x", stored)
        assert (await second.read("x", pod.pods, since)).window().arms["a"].requests == 10
        second.restore("x", stored)  # too late: it knows more
        assert (await second.read("x", pod.pods, since)).window().arms["a"].requests == 10
        second.forget("x")
        assert (await second.read("x", pod.pods, since)).window().arms == {}


async def test_a_router_is_asked_for_a_small_part_of_its_page(pod: Pod) -> None:
    async with Scraper() as scraper:
        await Direct(scraper).read("x", pod.pods, now())
    [asked] = pod.asked
    assert asked.startswith("/stats/prometheus?usedonly&filter=")


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        ({}, {"ip": "", "ready": False, "restarts": 0, "out_of_memory": False}),
        (
            {
                "podIP": "10.0.0.7",
                "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [
                    {"restartCount": 2, "lastState": {"terminated": {"reason": "OOMKilled"}}},
                    {"restartCount": 1, "lastState": {}},
                ],
            },
            {"ip": "10.0.0.7", "ready": True, "restarts": 3, "out_of_memory": True},
        ),
        (
            {
                "podIP": "10.0.0.7",
                "conditions": [{"type": "Ready", "status": "False"}],
                "containerStatuses": [
                    {"restartCount": 1, "lastState": {"terminated": {"reason": "Error"}}}
                ],
            },
            {"ip": "10.0.0.7", "ready": False, "restarts": 1, "out_of_memory": False},
        ),
    ],
)
def test_a_pod_is_read_as_the_api_gives_it(status: dict[str, Any], wanted: dict[str, Any]) -> None:
    manifest = {
        "metadata": {"name": "fraud-1-x", "creationTimestamp": "2026-01-01T12:00:00Z"},
        "status": status,
    }
    created = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
    pod = ModelPod(name="fraud-1-x", arm="fraud-1", created=created, port=8080, **wanted)
    assert model_pod(manifest, "fraud-1") == pod
    inner = {"containers": [{"ports": [{"name": PORT_NAME, "containerPort": 9090}]}]}
    assert model_pod({**manifest, "spec": inner}, "fraud-1").port == 9090
