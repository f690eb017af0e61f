"""Drift on a real node: profiles that reach the pods, counts of replicas, alarms and a gate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from fairlead_operator.stats.drift import judge
from fairlead_operator.stats.drift_watch import samples
from fairlead_runtime.contract.drift_counts import merge
from fairlead_runtime.contract.drift_profile import parse
from fairlead_runtime.contract.drift_report import Report
from fairlead_runtime.drift.monitor import Monitor
from tests.e2e.alerting import Alerts, prometheus
from tests.e2e.drifting import Feed, Rows, Watched, counted
from tests.e2e.world import EXAMPLES, World, condition, until

EXAMPLE = EXAMPLES / "breast-cancer"
AREA = 3
"""The column `mean area`."""
OTHER_UNITS = 1.5
GATES = {
    "minRequests": 20,
    "maxErrorBasisPoints": 500,
    "maxDriftMilli": 300,
    "ignore": ["LatencyIncrease"],  # this machine has two cores for everything
}
ROLLOUT = {
    "assignment": {"header": "x-user-id"},
    "steps": [{"weight": 50, "hold": "20s"}],
    "gates": GATES,
}


@pytest.fixture
def watched(world: World, held_out: Rows) -> Watched:
    return Watched(world, held_out)


def counted_by_one(rows: Rows) -> Monitor:
    """Return the counts of one replica that has seen all of these rows."""
    inputs = {"features": rows.astype(np.float32)}
    session = onnxruntime.InferenceSession(EXAMPLE / "model.onnx")
    names = [each.name for each in session.get_outputs()]
    outputs = dict(zip(names, session.run(names, inputs), strict=True))
    monitor = Monitor(parse((EXAMPLE / "profile.json").read_bytes()), version="1")
    monitor.count(inputs, outputs)
    return monitor


def test_a_profile_that_cannot_be_had_is_a_condition_and_the_model_is_served(
    watched: Watched,
) -> None:
    watched.model("one")
    elsewhere = {"profileUri": "configmap://nowhere/profile.json"}
    model = {"uri": "configmap://one/model.onnx", "version": "1", **elsewhere}
    watched.world.deploy("fraud", model)
    watched.world.ready("fraud", version="1")
    found = watched.drifted("Unknown")
    assert found["reason"] == "ProfileUnusable"
    assert "SourceNotFound: /fairlead/profile/profile.json is not there" in found["message"]
    [pod] = watched.pods()
    assert "model_drift_profile_refused 1.0" in watched.page(pod, "/metrics")
    with watched.fed(Feed(requests=5), "few") as answers:
        until("it answers", lambda: '"done"' in watched.world.log("client-few", 1))
    assert [each["version"] for each in answers] == ["1"] * 5
    assert ("Warning", "ProfileUnusable") in watched.events()


@pytest.mark.slow
@pytest.mark.timeout(1800, func_only=True)
def test_a_shifted_feature_is_named_by_all_replicas_together_and_the_alarm_ends(
    watched: Watched, held_out: Rows, tmp_path: Path
) -> None:
    watched.model("one")
    watched.deploy("1", "one", scaling={"minReplicas": 2, "maxReplicas": 2})
    watched.world.ready("fraud", version="1")

    # Ten times the held-out rows, dealt out to two replicas: as if one had seen them all.
    with watched.fed(Feed(requests=100), "once") as answers:
        until("all is sent", lambda: '"done"' in watched.world.log("client-once", 1))
    assert [each for each in answers if "error" in each] == []

    def all_counted() -> list[Report] | None:
        found = watched.reports()
        return found if sum(each.rows for each in found) == 2000 else None

    reports = until("all is counted", all_counted)
    assert len(reports) == 2
    assert min(each.rows for each in reports) > 200
    merged, alone = (
        merge(map(counted, reports)),
        counted_by_one(np.tile(held_out, (10, 1))).report(),
    )
    inputs = [each.name for each in alone.features if each.role == "input"]
    assert merged.features[: len(inputs)] == counted(alone).features[: len(inputs)]
    together, one = (
        {each.name: each for each in judge(samples(alone.features, window))}
        for window in (merged, counted(alone))
    )
    assert {name: together[name] for name in inputs} == {name: one[name] for name in inputs}

    found = watched.drifted("False")
    assert (found["reason"], watched.live()["status"]["drift"]) == ("NoDrift", "no")
    with prometheus(watched.world.cluster, tmp_path) as alerts:
        the_alarm_begins_and_ends(watched, alerts)


def the_alarm_begins_and_ends(watched: Watched, alerts: Alerts) -> None:
    """Shift a feature, and then no longer; Prometheus fires meanwhile."""

    def firing() -> bool:
        return alerts.firing("FairleadDrifted", watched.world.namespace)

    assert not firing()
    with watched.fed(Feed(column=AREA, factor=OTHER_UNITS), "shifted"):
        found = watched.drifted("True")
        print(watched.world.kubectl("get", "modeldeployments"))
        print(found["message"])
        assert "mean area (PSI " in found["message"]
        assert "of 2 replicas" in found["message"]
        assert "mean area" in watched.live()["status"]["drift"]
        assert ("Warning", "Drifted") in watched.events()
        for pod in watched.pods():
            [line] = [
                each
                for each in watched.page(pod, "/metrics").splitlines()
                if each.startswith('model_input_drift{feature_name="mean area"}')
            ]
            assert float(line.split()[-1]) > 0.2
        until("the alert fires", firing)
    with watched.fed(Feed(), "again"):
        watched.drifted("False")
    until("the alert is resolved", lambda: not firing())
    assert ("Normal", "NoDrift") in watched.events()


@pytest.mark.slow
@pytest.mark.timeout(1800, func_only=True)
def test_a_candidate_fed_through_a_broken_step_is_stopped_by_the_drift_gate(
    watched: Watched,
) -> None:
    """Version 2 comes with the right feature pipeline, version 3 with one of other units."""

    def outcomes() -> list[str]:
        rollout = watched.live()["status"].get("rollout") or {}
        return [each["outcome"] for each in rollout.get("history") or ()]

    def ended(count: int) -> str:
        found = until(
            f"{count} rollouts have ended",
            lambda: each if len(each := outcomes()) >= count else None,
            400,
        )
        return found[-1]

    for name, folder in (("one", ""), ("two", "2")):
        watched.model(name, folder)
    watched.deploy("1", "one", rollout=ROLLOUT)
    watched.world.ready("fraud", version="1")
    feed = Feed(size=10, rate=10, seed=1, column=AREA, factor=1000, only="3")
    with watched.fed(feed, "pipeline") as answers:
        watched.deploy("2", "two", rollout=ROLLOUT)
        assert ended(2) == "Promoted"
        watched.world.ready("fraud", version="2")
        watched.deploy("3", "one", rollout=ROLLOUT)
        assert ended(3) == "GateFailed"
        until("all traffic is back", lambda: watched.live()["status"]["weight"] == 0)
    live = watched.live()
    ready = condition(live, "Ready")
    print(ready["message"])
    assert (ready["reason"], condition(live, "Available")["status"]) == ("RolledBack", "True")
    assert "Drift: " in ready["message"]
    assert "PSI " in ready["message"]
    assert live["status"]["version"] == "2"
    assert [each for each in answers if "error" in each] == []
    given = [each["at"] for each in answers if each["version"] == "3"]
    print(f"version 3 answered {len(given)} requests in {max(given) - min(given):.1f} s")
