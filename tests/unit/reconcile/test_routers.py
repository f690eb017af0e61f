"""Router pods as the API server gives them, and what is made of those that cannot be asked."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead_operator.evidence.scrape import Scraper
from fairlead_operator.reconcile import routers
from fairlead_operator.traffic.states import Router


def a_pod(name: str = "r1", *, ready: str = "True", going: bool = False, ip: str = "") -> Any:
    meta: dict[str, Any] = {"name": name, "uid": name}
    if going:
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    conditions = [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": ready}]
    return {"metadata": meta, "status": {"conditions": conditions, "podIP": ip}}


@pytest.mark.parametrize(
    ("pod", "ready"),
    [
        (a_pod(), True),
        (a_pod(ready="False"), False),
        (a_pod(ready="Unknown"), False),
        (a_pod(going=True), False),
        ({"metadata": {"name": "r1"}}, False),
    ],
    ids=["ready", "not ready", "on a node that is silent", "going", "without a status"],
)
def test_a_pod_gets_new_connections_only_when_it_is_ready_and_stays(pod: Any, ready: bool) -> None:
    assert routers.ready(pod) is ready


async def test_a_router_that_cannot_be_asked_is_there_all_the_same() -> None:
    pods = [a_pod("r1"), a_pod("r2", ready="False"), a_pod("r3", going=True)]
    async with Scraper() as scraper:
        found = await routers.reader(scraper)(pods)
    assert found == (
        Router(name="r1", ready=True),
        Router(name="r2", ready=False),
        Router(name="r3", ready=False, going=True),
    )
