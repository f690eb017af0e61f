"""One address, split by a real router on a real node, under clients that count what fails."""

from __future__ import annotations

import re

from tests.e2e.splits import Address, check_shares, failed
from tests.e2e.world import condition, until


def test_a_cycle_through_a_split_loses_no_request(address: Address) -> None:
    address.deploy("1")
    address.world.ready("fraud", version="1")
    with address.clients(300) as answers:
        address.cycle("2")
        until("the loser is gone", lambda: len(address.world.all("deployments")) == 1)
    assert failed(answers) == []
    seen = check_shares(answers, address.windows)
    assert len(seen) == 5, f"kinds of clients that were there in a split: {seen}"
    live = address.live()
    assert condition(live, "Ready")["status"] == "True"
    assert "traffic" not in live["status"]
    assert {a["version"] for a in answers[-8:]} == {"2"}


def test_one_grpc_connection_reaches_all_pods_of_a_model_behind_a_router(address: Address) -> None:
    address.deploy("1", 3, router="Always")
    address.world.ready("fraud", version="1")
    pods = address.pods("1")
    before = {pod: _answered(address, pod) for pod in pods}
    with address.clients(40, 30, ("grpc",)) as answers:
        until("enough requests", lambda: address.world.log("paced-fraud").count("\n") > 1_000)
    assert failed(answers) == []
    counts = {pod: _answered(address, pod) - before[pod] for pod in pods}
    even = sum(counts.values()) / 3
    assert sum(counts.values()) == len(answers)
    assert all(abs(count - even) <= 0.2 * even for count in counts.values()), counts


def _answered(address: Address, pod: str) -> int:
    """Return how many predictions a pod has made."""
    path = f"/api/v1/namespaces/{address.world.namespace}/pods/{pod}:8080/proxy/metrics"
    page = address.world.kubectl("get", "--raw", path)
    found = re.findall(r"^model_predictions_total\{[^}]*\} ([0-9.e+]+)$", page, re.MULTILINE)
    return sum(int(float(each)) for each in found)
