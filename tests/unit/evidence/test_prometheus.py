"""Scrapes that a Prometheus has, made into the counts that reading the pods would give."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator

import aiohttp
import pytest

from fairlead_operator.evidence import ledger as ledgers
from fairlead_operator.evidence import prometheus
from fairlead_operator.evidence.direct import ModelPod, Pods
from fairlead_operator.evidence.exposition import Sample
from fairlead_operator.evidence.ledger import Ledger
from fairlead_operator.evidence.prometheus import PrometheusError, Scraped
from fairlead_operator.evidence.routers import RouterPod
from fairlead_operator.traffic.counts import Counts

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
ROUTER = RouterPod(name="r1", ip="10.0.0.1", ready=True)
MODEL = ModelPod(name="p1", ip="10.0.0.2", arm="a", ready=True, created=NOW, restarts=1)
PODS = Pods(keys=("a",), routers=[ROUTER], models=[MODEL])
XX = "envoy_cluster_zone_router_own_upstream_rq_xx"


def at(seconds: float) -> dt.datetime:
    return NOW + dt.timedelta(seconds=seconds)


def router(seconds: float, requests: int, uptime: float = 100) -> Iterator[Scraped]:
    """Return what one scrape of the router gave."""
    labels = {"envoy_cluster_name": "a_http", "envoy_response_code_class": "2"}
    yield Scraped("r1", at(seconds), Sample(XX, labels, requests))
    yield Scraped("r1", at(seconds), Sample("envoy_server_uptime", {}, uptime))


def model(seconds: float, checked: int, started: float = -50) -> Iterator[Scraped]:
    """Return what one scrape of the model pod gave."""
    name = "model_predictions_checked_total"
    yield Scraped("p1", at(seconds), Sample(name, {}, checked))
    start = at(started).timestamp()
    yield Scraped("p1", at(seconds), Sample("process_start_time_seconds", {}, start))


def after(ledger: Ledger, now: float, *scrapes: Iterator[Scraped]) -> Ledger:
    found = (each for scrape in scrapes for each in scrape)
    return prometheus.added(ledger, PODS, found, at(now))


def test_all_scrapes_are_readings_whatever_their_order() -> None:
    ledger = after(
        ledgers.new(NOW),
        60,
        model(31, 9),
        router(45, 30, uptime=145),
        router(15, 10, uptime=115),
        model(1, 4),
        router(30, 5, uptime=3),  # a new process in between
        router(44, 29, uptime=17),
    )
    window = ledger.window()
    assert window.arms["a"] == Counts(requests=5 + 24 + 1, predictions=5, restarts=1)
    assert window.end == at(31)
    assert window.unread == ()


def test_what_the_ledger_has_is_not_counted_again() -> None:
    ledger = after(ledgers.new(NOW), 60, router(15, 10), router(30, 20, uptime=115))
    again = after(ledger, 61, router(15, 10), router(30, 20, uptime=115))
    assert again.window().arms["a"].requests == 10
    more = after(again, 75, router(30, 20, uptime=115), router(45, 21, uptime=130))
    assert more.window().arms["a"].requests == 11


def test_scrapes_from_before_the_beginning_are_left_out() -> None:
    ledger = after(ledgers.new(NOW), 60, router(-15, 5), router(15, 10, uptime=130))
    assert "a" not in ledger.window().arms or ledger.window().arms["a"].requests == 0


def test_a_ready_pod_without_a_scrape_for_long_is_unread() -> None:
    ledger = after(ledgers.new(NOW), 60, router(15, 10), model(10, 1))
    assert ledger.unread == ()
    ledger = after(ledger, 104, model(99, 1))
    assert ledger.unread == ()
    ledger = after(ledger, 106, model(105, 1))
    assert (ledger.unread, ledger.end) == (("r1",), at(15))


def test_a_scrape_that_broke_off_is_left_out() -> None:
    half = [each for each in router(20, 12) if each.sample.name == XX]
    ledger = after(ledgers.new(NOW), 60, router(15, 10), iter(half), router(30, 14, uptime=115))
    assert ledger.window().arms["a"].requests == 4


def test_the_question_names_the_pods_and_nothing_else() -> None:
    asked = prometheus.query("team", ["fraud-1", 'a"b'], dt.timedelta(seconds=29.5))
    assert asked.endswith("}[30s]")
    assert 'namespace="team"' in asked
    assert 'pod=~"fraud\\\\-1|a\\"b"' in asked
    names = re.search('__name__=~"(.*?)",namespace', asked)
    assert names is not None
    pattern = re.compile(names[1].replace("\\\\", "\\"))
    for metric in (XX, "envoy_server_uptime", "envoy_cluster_grpc_13", "model_predictions_total"):
        assert pattern.fullmatch(metric), metric
    assert not pattern.fullmatch("envoy_cluster_upstream_cx_total")
    assert prometheus.query("t", ["p"], dt.timedelta(days=9)).endswith("[3601s]")


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {},
        {"data": {"result": [{"metric": {}, "values": [[1, "2"]]}]}},
        {"data": {"result": 3}},
        {"data": {"result": [{"metric": {"pod": "p", "__name__": "m"}, "values": [[1, "x"]]}]}},
    ],
)
def test_another_answer_is_refused(answer: object) -> None:
    with pytest.raises(PrometheusError, match="something else"):
        list(prometheus.scraped(answer))


def test_what_is_no_number_is_left_out() -> None:
    values = [[1, "NaN"], [2, "+Inf"], [3, "4"]]
    series = {"metric": {"pod": "p", "__name__": "m"}, "values": values}
    [found] = prometheus.scraped({"data": {"result": [series]}})
    assert found.sample.value == 4


async def test_a_prometheus_that_is_not_there_is_named() -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(PrometheusError, match=r"http://127\.0\.0\.1:1 cannot be asked"):
            await prometheus.read(
                ledgers.new(NOW), PODS, "team", "http://127.0.0.1:1", session, now=at(5)
            )
