"""Chart and operator are upgraded while a rollout and an Experiment are under way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from cluster import release
from cluster.node import Node
from cluster.provider import Provider
from fairlead_operator.planning import names
from tests.e2e import previous, sharing
from tests.e2e.previous import Previous
from tests.e2e.splits import Address, failed
from tests.e2e.test_operator import operator
from tests.e2e.world import EXAMPLES, JSONObject, World, condition, until

ROLLOUT = {
    "steps": [{"weight": 50, "hold": "150s"}],
    "gates": {"minRequests": 20, "maxErrorBasisPoints": 500, "maxLatencyIncreasePercent": 1000},
}
_MODELS = {"one": "breast-cancer/model.onnx", "two": "breast-cancer/2/model.onnx"}


@pytest.fixture(scope="module")
def before(cluster: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Previous]:
    """Return the version before this one; its images are on the node."""
    if not isinstance(cluster, Node):
        pytest.skip("images of two versions and a volume of the host: the node of this project")
    folder = tmp_path_factory.mktemp("previous")
    try:
        yield previous.provide(cluster, folder)
    finally:
        previous.forget(folder)


@pytest.fixture
def installed(world: World, before: Previous) -> Iterator[World]:
    """Install the version before this one, and this one again at the end."""
    # The tables of this version are nothing that the one before could read.
    assert isinstance(world.cluster, Node)
    sharing.empty_recorder(world.cluster)
    values = sharing.values(world.cluster)
    try:
        release.install(world.cluster, *values, names=before.images, chart=before.chart)
        yield world
        world.kubectl("delete", "experiments,modeldeployments", "--all", "--timeout=60s")
    finally:
        release.install(world.cluster, *values, names=world.images)


def experiment() -> JSONObject:
    arms = [("control", "ranker"), ("larger", "ranker-large")]
    return {
        "apiVersion": "fairlead.dev/v1alpha1",
        "kind": "Experiment",
        "metadata": {"name": "checkout"},
        "spec": {
            "target": "ranker",
            "variants": [
                {"name": name, "modelDeployment": model, "weight": 50} for name, model in arms
            ],
            "assignment": {"header": "x-user-id"},
            "metrics": [{"name": "conversion", "type": "binary"}],
        },
    }


def status_of(world: World, kind: str, name: str) -> JSONObject:
    found: JSONObject = world.get(kind, name).get("status") or {}
    return found


def pods(world: World, labels: str) -> dict[str, tuple[str, int]]:
    """Return UID and restarts of every pod with these labels, by name."""
    return {
        pod["metadata"]["name"]: (
            pod["metadata"]["uid"],
            sum(each["restartCount"] for each in pod["status"]["containerStatuses"]),
        )
        for pod in world.all("pods", labels)
    }


def models(world: World) -> dict[str, tuple[str, int]]:
    """Return the pods of all models: an upgrade never touches them."""
    return pods(world, names.OWNER_LABEL)


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_an_upgrade_restarts_nothing_loses_no_request_and_ends_what_was_begun(
    installed: World, before: Previous, held_out: npt.NDArray[np.float64]
) -> None:
    world, features = installed, held_out[0].tolist()
    for name, path in _MODELS.items():
        world.model_file(name, EXAMPLES / path)
    for name, file in (("fraud", "one"), ("ranker", "one"), ("ranker-large", "two")):
        model = {"uri": f"configmap://{file}/model.onnx", "version": "1"}
        world.deploy(name, model, rollout=ROLLOUT if name == "fraud" else {"steps": []})
    for name in ("fraud", "ranker", "ranker-large"):
        world.ready(name, version="1")
    world.apply(experiment())
    until("the Experiment runs", lambda: _reason(world) == "Running", 240)
    address = Address(world, features, name="ranker")
    with (
        world.client("fraud", features, seconds=1200) as answers,
        address.clients(1200, rate=2.0, kinds=("new", "kept")) as asked,
    ):
        world.deploy(
            "fraud", {"uri": "configmap://two/model.onnx", "version": "2"}, rollout=ROLLOUT
        )
        until("half of the traffic goes to version 2", lambda: _live(world), 240)
        until("users were counted", lambda: _units(world) > 50, 180)
        there, told = models(world), _experiment(world)
        routers = pods(world, names.ROUTER_LABEL)
        rollout = status_of(world, "modeldeployment", "fraud")["rollout"]
        release.install(world.cluster, *sharing.values(world.cluster), names=world.images)
        until("the new operator leads", lambda: _led(world))
        after = status_of(world, "modeldeployment", "fraud")["rollout"]
        assert (after["phase"], after["hash"]) == (rollout["phase"], rollout["hash"])
        assert after["liveAt"] == rollout["liveAt"], "the step began anew"
        assert models(world) == there, "a model restarted"
        live = world.ready("fraud", version="2", patience_s=300)
        until("the new operator counted users", lambda: _units(world) > told["units"], 180)
    print(world.kubectl("get", "modeldeployments,experiments"))
    # Routers of another image or bootstrap are replaced one by one, which no client may notice.
    kept = routers.items() & pods(world, names.ROUTER_LABEL).items()
    print(f"{len(kept)} of {len(routers)} routers are still there")
    print(f"upgraded from {before.ref}: {len(answers)} and {len(asked)} answers")
    assert [answer for answer in answers if "error" in answer] == []
    assert failed(asked) == []
    assert [e["outcome"] for e in live["status"]["rollout"]["history"]] == ["Promoted", "Promoted"]
    now = _experiment(world)
    assert now["table"] == told["table"], "users were moved"
    assert now["startedAt"] == told["startedAt"]
    assert _reason(world) == "Running"
    for name in ("fraud", "ranker", "ranker-large"):
        assert condition(world.get("modeldeployment", name), "Ready")["status"] == "True"


def _reason(world: World) -> str:
    return str(status_of(world, "experiment", "checkout").get("reason"))


def _units(world: World) -> int:
    return int(status_of(world, "experiment", "checkout").get("units") or 0)


def _experiment(world: World) -> dict[str, Any]:
    found = status_of(world, "experiment", "checkout")
    return {
        "table": json.dumps(found["assignment"]["table"]),
        "startedAt": found["startedAt"],
        "units": found.get("units") or 0,
    }


def _live(world: World) -> bool:
    status = status_of(world, "modeldeployment", "fraud")
    rollout = status.get("rollout") or {}
    return status.get("weight") == 50 and rollout.get("phase") == "Step" and "liveAt" in rollout


def _led(world: World) -> bool:
    """Whether the operator that runs now holds the Lease: the pod of the new image alone."""
    labels = "app.kubernetes.io/component=operator"
    path = "jsonpath={.items[*].spec.containers[0].image}"
    image = operator(world, "get", "pods", "-l", labels, "-o", path)
    if image.split() != [world.images["operator"]]:
        return False
    return "holding the Lease" in operator(world, "logs", "deployment/fairlead", "--tail=200")
