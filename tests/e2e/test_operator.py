"""Models do not depend on the operator: it may be killed, be away, or be replaced."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from cluster import provider, release
from tests.e2e import sharing
from tests.e2e.world import EXAMPLES, World, condition, until

pytestmark = pytest.mark.alone

_ONE = EXAMPLES / "breast-cancer" / "model.onnx"
_TWO = EXAMPLES / "breast-cancer" / "2" / "model.onnx"


def operator(world: World, *args: str) -> str:
    config = world.cluster.kubeconfig
    return provider.kubectl(config, "-n", release.NAMESPACE, *args)


@pytest.fixture
def away(world: World) -> Iterator[World]:
    """Scale the operator to nothing when told, and bring it back at the end."""
    yield world
    operator(world, "scale", "deployment/fairlead", "--replicas=1")
    operator(world, "rollout", "status", "deployment/fairlead", "--timeout=120s")


def scale_away(world: World) -> None:
    operator(world, "scale", "deployment/fairlead", "--replicas=0")
    labels = "app.kubernetes.io/name=fairlead,app.kubernetes.io/component=operator"
    operator(world, "wait", "--for=delete", "pod", "-l", labels, "--timeout=60s")


def test_a_model_serves_and_is_deleted_without_the_operator(
    away: World, held_out: npt.NDArray[np.float64]
) -> None:
    away.model_file("model", _ONE)
    away.deploy("fraud", {"uri": "configmap://model/model.onnx", "version": "1"})
    away.ready("fraud", version="1")
    scale_away(away)
    with away.client("fraud", held_out[0].tolist(), seconds=60) as answers:
        until("some requests", lambda: away.log("client-fraud").count("\n") > 50)
    assert [answer for answer in answers if "error" in answer] == []
    away.kubectl("delete", "modeldeployment", "fraud", "--timeout=20s")
    for kind in ("deployments", "services", "hpa", "pdb", "controllerrevisions"):
        until(f"no {kind}", lambda kind=kind: not away.all(kind))  # type: ignore[misc]
    names = {each["metadata"]["name"] for each in away.all("configmaps")}
    assert names <= {"model", "client", "kube-root-ca.crt"}


def test_an_operator_killed_in_the_middle_of_an_update_ends_it(
    world: World, held_out: npt.NDArray[np.float64]
) -> None:
    world.model_file("one", _ONE)
    world.model_file("two", _TWO)
    world.deploy("fraud", {"uri": "configmap://one/model.onnx", "version": "1"})
    world.ready("fraud", version="1")
    with world.client("fraud", held_out[0].tolist(), seconds=240) as answers:
        world.deploy("fraud", {"uri": "configmap://two/model.onnx", "version": "2"})
        until("the candidate is made", lambda: len(world.all("deployments")) == 2)
        operator(world, "delete", "pod", "--all", "--grace-period=0", "--force")
        world.ready("fraud", version="2")
    assert [answer for answer in answers if "error" in answer] == []


def test_the_charts_own_test_passes(world: World) -> None:
    told = release.helm(
        world.cluster.kubeconfig, "test", release.RELEASE, "--namespace", release.NAMESPACE
    )
    assert "Succeeded" in told


def test_an_upgrade_of_the_operator_restarts_no_model(world: World) -> None:
    world.model_file("model", _ONE)
    world.deploy("fraud", {"uri": "configmap://model/model.onnx", "version": "1"})
    live = world.ready("fraud", version="1")
    before = [pod["metadata"]["uid"] for pod in world.all("pods")]
    status = live["status"]
    try:
        others = ("operator.connectionAgeSeconds=9", "runtimeImage=localhost/fairlead/other:9")
        release.install(world.cluster, *sharing.values(world.cluster), *others, names=world.images)
        world.kubectl("annotate", "modeldeployment", "fraud", "team=risk")  # a pass, surely
        until("the new operator looked", lambda: _led(world))
        assert [pod["metadata"]["uid"] for pod in world.all("pods")] == before
        after = world.get("modeldeployment", "fraud")
        assert after["status"]["revisions"][0]["image"] == status["revisions"][0]["image"]
        assert condition(after, "Ready")["status"] == "True"
    finally:
        release.install(world.cluster, *sharing.values(world.cluster), names=world.images)


def _led(world: World) -> bool:
    """Whether the operator's log says that it holds the Lease and has listed everything."""
    log = operator(world, "logs", "deployment/fairlead", "--tail=200")
    return "holding the Lease" in log
