"""Every query of every dashboard and alert has an answer on a real Prometheus; an alert comes."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.paths import ROOT
from monitoring import catalogue, rules
from monitoring.__main__ import DASHBOARDS
from monitoring.envoy import ROUTER
from monitoring.panels import filled, queries
from tests.apiserver.test_drift import passes
from tests.monitoring.system import DRIFTING, ROLLING, TRYING, System, running
from tests.router.asking import eventually

pytestmark = [pytest.mark.slow, pytest.mark.apiserver, pytest.mark.timeout(1200)]
VALUES = {
    "operator": {},
    "model": {"namespace": ROLLING, "model": "fraud"},
    "router": {"namespace": ROLLING, "model": "fraud"},
    "experiments": {"namespace": TRYING, "experiment": "checkout"},
    "drift": {"namespace": DRIFTING, "model": "fraud"},
}
EVENTS = {
    "envoy_cluster_zone_router_spare_upstream_rq_xx": "an arm lost its pods",
    "envoy_access_logs_open_telemetry_access_log_exposures_logs_dropped": "the recorder is away",
    "envoy_cluster_upstream_rq_xx 5": "no pod is left to answer",
    "envoy_cluster_upstream_rq_retry": "Envoy counts second tries once there is one",
    "envoy_cluster_upstream_rq_retry_success": "the same",
    "envoy_cluster_endpoint_rq_error": "per pod, where one failed",
}
"""What is there only once something has happened, and what: the test lets it happen."""


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    async with running(tmp_path) as made:
        yield made


def asked() -> Iterator[tuple[str, str, str]]:
    """Yield dashboard, panel and query, with the variables filled in."""
    for name, values in VALUES.items():
        document = json.loads((ROOT / DASHBOARDS / f"{name}.json").read_text())
        for title, expr in queries(document):
            yield name, title, filled(expr, **values)


def selectors(node: Any) -> Iterator[str]:
    """Yield every selector of a query that Prometheus has parsed."""
    if isinstance(node, list):
        for each in node:
            yield from selectors(each)
    elif isinstance(node, dict):
        if node.get("type") in ("vectorSelector", "matrixSelector"):
            matchers = ",".join(
                f"{each['name']}{each['type']}{json.dumps(each['value'])}"
                for each in node["matchers"]
            )
            yield f"{{{matchers}}}"
        for each in node.values():
            yield from selectors(each)


async def answered(
    system: System, wanted: list[tuple[str, ...]], act: Callable[[], Awaitable[object]]
) -> None:
    """Act again and again until every query has data."""
    end = time.monotonic() + 240
    while True:
        await act()
        left = []
        for each in wanted:
            found = await system.prometheus.api("query", query=each[-1])
            if not found["result"]:
                left.append(each)
        if not left:
            return
        assert time.monotonic() < end, "\n".join(map(str, left))
        wanted = left


async def test_every_query_has_data_and_an_alert_comes_and_goes(system: System) -> None:
    async def ask() -> None:
        await system.ask(30, wrong=2)

    eventful = [each for each in asked() if any(part in each[2] for part in _eventful())]
    plain = [each for each in asked() if each not in eventful]
    assert len(plain) > 60
    assert 2 <= len(eventful) <= 8
    await answered(system, [*plain], ask)

    needed: list[tuple[str, ...]] = []
    for group in rules.groups():
        for rule in group["rules"]:
            name = rule.get("alert") or rule["record"]
            parsed = await system.prometheus.api("parse_query", query=rule["expr"])
            needed += [(name, selector) for selector in selectors(parsed)]
    names = {name for name, _ in needed}
    assert {alert.name for alert in rules.ALERTS} <= names
    lost = [each for each in needed if "exposures_logs_dropped" in each[1]]
    await answered(system, [each for each in needed if each not in lost], ask)

    await drift_comes_and_goes(system)

    # What needs an event: an arm without pods, then nobody at all, and no recorder.
    assert set(await system.ask(20)) == {200}
    await system.lose("bigger")
    await answered(system, [e for e in eventful if "spare" in e[2]], ask)
    system.recorder.stop()
    await system.lose("control")
    await answered(system, [*eventful, *lost], ask)
    everything = [
        each.name if each.type != "histogram" else f"{each.name}_count"
        for each in (
            *catalogue.operator(), *catalogue.runtime(), *catalogue.recorder(), *ROUTER
        )
    ]  # fmt: skip
    missing = [
        name
        for name in everything
        if name not in EVENTS
        and not (await system.prometheus.api("query", query=f"last_over_time({name}[10m])"))[
            "result"
        ]
    ]
    assert missing == [], "the reference page lists what nobody has"


def _eventful() -> list[str]:
    return ["spare_upstream", 'response_code_class="5"', "exposures_logs_dropped"]


async def drift_comes_and_goes(system: System) -> None:
    """One feature of the drifting model shifts, and comes back."""

    async def firing(name: str, *, wanted: bool) -> bool:
        found = await system.prometheus.api("alerts")
        return wanted is any(
            alert["labels"]["alertname"] == name
            and alert["state"] == "firing"
            and alert["labels"]["namespace"] == DRIFTING
            for alert in found["alerts"]
        )

    assert await firing("FairleadDrifted", wanted=False)
    await passes(system.drifting, system.pods, 20, shift=1.0)
    await eventually(lambda: firing("FairleadDrifted", wanted=True), 60)
    await passes(system.drifting, system.pods, 45)
    await eventually(lambda: firing("FairleadDrifted", wanted=False), 60)
