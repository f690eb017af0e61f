"""The autoscaler adds a real replica where CPU is short, and removes it without a lost request."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from cluster import build
from tests.e2e.world import EXAMPLES, World, until

_AT_ONCE = {"stabilizationWindowSeconds": 0}
SCALING = {
    "minReplicas": 1,
    "maxReplicas": 2,
    "targetCPUPercent": 60,
    # What takes five minutes by default, so that a short dip removes nobody.
    "behavior": {"scaleUp": _AT_ONCE, "scaleDown": _AT_ONCE},
}
# The limit leaves the machine to others, and is still far above the target.
RUNTIME = {"resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": "300m"}}}
_BURN = """
import os, time
ends = time.monotonic() + 600
while time.monotonic() < ends and not os.path.exists('/tmp/enough'):
    sum(range(10000))
"""
_COUNTED = """
import urllib.request
text = urllib.request.urlopen('http://127.0.0.1:9002/metrics', timeout=5).read().decode()
print(sum(float(line.split()[-1]) for line in text.splitlines()
          if line.startswith('model_predictions_total{')))
"""


@contextlib.contextmanager
def burning(world: World, pod: str) -> Iterator[None]:
    """Use CPU inside the runtime's container of a pod meanwhile."""
    command = [
        str(build.program("kubectl")), "--kubeconfig", str(world.cluster.kubeconfig),
        "-n", world.namespace, "exec", pod, "--", "nice", "-n", "19", "python3", "-c", _BURN,
    ]  # fmt: skip
    process = subprocess.Popen(command)
    try:
        yield
    finally:
        world.kubectl("exec", pod, "--", "touch", "/tmp/enough")
        process.wait(60)


def serving(world: World) -> list[str]:
    """Return the names of the model's ready pods that are not going."""
    return [
        pod["metadata"]["name"]
        for pod in world.all("pods", "fairlead.dev/model-deployment=fraud")
        if "deletionTimestamp" not in pod["metadata"]
        and any(
            each["type"] == "Ready" and each["status"] == "True"
            for each in pod["status"].get("conditions") or ()
        )
    ]


@pytest.mark.slow
def test_load_adds_a_replica_and_its_end_removes_it_without_a_lost_request(
    world: World, held_out: npt.NDArray[np.float64]
) -> None:
    world.model_file("model", EXAMPLES / "breast-cancer" / "model.onnx")
    model = {"uri": "configmap://model/model.onnx", "version": "1"}
    world.deploy("fraud", model, scaling=SCALING, runtime=RUNTIME)
    world.ready("fraud", version="1")
    [first] = serving(world)
    with world.client("fraud", held_out[0].tolist(), seconds=580) as answers:
        with burning(world, first):
            until("there are two replicas", lambda: len(serving(world)) == 2, 240)
            print(world.kubectl("get", "hpa"))
            [second] = set(serving(world)) - {first}

            def asked() -> float:
                return float(world.kubectl("exec", second, "--", "python3", "-c", _COUNTED))

            until("the new replica answers", lambda: asked() > 20, 60)
        until("one replica is left", lambda: len(serving(world)) == 1, 300)

        def gone() -> bool:
            return len(world.all("pods", "fairlead.dev/model-deployment=fraud")) == 1

        until("the other one has drained", gone, 120)
        print(world.kubectl("get", "modeldeployments,hpa,pods"))
    print(f"{len(answers)} answers")
    assert [answer for answer in answers if "error" in answer] == []
    # Measured values are written once a minute.
    until("the status counts one replica", lambda: _replicas(world) == "1/1")


def _replicas(world: World) -> str:
    return str(world.get("modeldeployment", "fraud")["status"]["replicas"])
