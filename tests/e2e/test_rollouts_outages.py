"""What is nobody's fault condemns nobody: a registry or a model store that is away for a while."""

from __future__ import annotations

import pytest

from cluster import images
from cluster.controlplane import free_ports
from cluster.imagetool import find_tool
from cluster.node import Node
from tests import models
from tests.e2e.rollouts import Deployment, failures
from tests.e2e.world import condition, until
from tests.registry import registry

pytestmark = pytest.mark.slow


def test_a_registry_that_is_away_condemns_nothing(deployment: Deployment) -> None:
    """The image of a candidate cannot be pulled; when it can be, the rollout goes on by itself."""
    if not isinstance(deployment.world.cluster, Node):
        pytest.skip("the registry is on 127.0.0.1 of the node, which is this machine")
    deployment.first()
    deployment.model("two", shift=0.01)
    [port] = free_ports(1)
    name = images.tag("runtime").removeprefix("localhost/")
    runtime = {"image": f"127.0.0.1:{port}/{name}"}
    with deployment.asked(1, 3) as answers, deployment.watched() as story:
        deployment.deploy("2", "two", runtime=runtime)
        until(
            "status names the image that cannot be had",
            lambda: f"127.0.0.1:{port}" in deployment.ready["message"],
        )
        live = deployment.live()
        assert condition(live, "Ready")["reason"] in ("Validating", "ValidationRetrying")
        assert condition(live, "Stalled")["status"] == "False"
        assert condition(live, "Available")["status"] == "True"
        print(condition(live, "Ready")["message"])
        with registry(port) as host:
            assert images.publish("runtime", host, find_tool()) == runtime["image"]
            assert deployment.ended(2, patience_s=400) == "Promoted"
            deployment.world.ready("fraud", version="2")
    print(story.read_text())
    assert failures(answers) == []
    assert deployment.outcomes() == ["Promoted", "Promoted"]


def test_a_model_store_that_is_away_condemns_nothing(deployment: Deployment) -> None:
    """A candidate's model cannot be downloaded; each try says so, and the last one succeeds."""
    world = deployment.world
    deployment.first()
    path = models.table(deployment.folder / "model.onnx", shift=0.01)
    world.kubectl("create", "configmap", "web", f"--from-file=model.onnx={path}")
    world.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "store", "namespace": world.namespace},
            "spec": {"selector": {"app": "store"}, "ports": [{"port": 80, "targetPort": 8080}]},
        }
    )
    with deployment.asked(1, 3) as answers, deployment.watched() as story:
        deployment.deploy("2", f"http://store.{world.namespace}.svc/model.onnx")
        world.reason("fraud", "ValidationRetrying", patience_s=240)
        live = deployment.live()
        assert "DownloadFailed" in condition(live, "Ready")["message"]
        assert condition(live, "Stalled")["status"] == "False"
        assert condition(live, "Available")["status"] == "True"
        print(condition(live, "Ready")["message"])
        command = ["python3", "-m", "http.server", "--directory", "/script", "8080"]
        world.apply(world.pod("store", command, world.images["runtime"], script="web"))
        assert deployment.ended(2, patience_s=400) == "Promoted"
        world.ready("fraud", version="2")
    print(story.read_text())
    assert failures(answers) == []
    assert deployment.outcomes() == ["Promoted", "Promoted"]
