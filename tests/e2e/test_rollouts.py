"""Rollouts on a real node: real validation, real routers, real counts, paced clients."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster import build
from fairlead_operator.api.times import instant
from tests import models
from tests.e2e.world import JSONObject, World, condition, until

RATE = 10.0
"""Requests a second of each client; four are the 40 of which half go to the candidate."""
GATES = {
    "minRequests": 20,
    "maxErrorBasisPoints": 500,
    "maxNonFiniteBasisPoints": 500,
    "maxLatencyIncreasePercent": 1000,  # this machine has two cores for everything
}
ROLLOUT: JSONObject = {"steps": [{"weight": 50, "hold": "15s"}], "gates": GATES}
_NOWHERE = 2**62
"""Bytes that no machine has: the request fails, and nothing else."""


class Deployment:
    """`fraud`, with a table as its model, and whoever asks it."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.folder = world, folder

    def model(self, name: str, **how: Any) -> None:
        """Make a ConfigMap with a table."""
        self.world.model_file(name, models.table(self.folder / f"{name}.onnx", **how))

    def deploy(self, version: str, model: str, **spec: Any) -> None:
        """Ask for a version."""
        where = {"uri": f"configmap://{model}/model.onnx", "version": version}
        more = {"validation": {"enabled": True}, "rollout": ROLLOUT, **spec}
        self.world.deploy("fraud", where, **more)

    def live(self) -> JSONObject:
        return self.world.get("modeldeployment", "fraud")

    def first(self, **spec: Any) -> None:
        """Serve version 1."""
        self.model("one")
        self.deploy("1", "one", **spec)
        self.world.ready("fraud", version="1")

    def outcomes(self) -> list[str]:
        rollout = self.live()["status"].get("rollout") or {}
        return [each["outcome"] for each in rollout.get("history") or ()]

    def ended(self, count: int, patience_s: float = 240) -> str:
        """Wait until so many rollouts have ended; return how the last one did."""
        found = until(
            f"{count} rollouts have ended",
            lambda: each if len(each := self.outcomes()) >= count else None,
            patience_s,
        )
        return found[-1]

    @contextlib.contextmanager
    def asked(self, *indices: int, count: int = 2) -> Iterator[list[Any]]:
        """Let clients ask for each of these indices meanwhile."""
        answers: list[Any] = []
        with contextlib.ExitStack() as stack:
            lists = [
                stack.enter_context(
                    self.world.client("fraud", [index], seconds=600, suffix=f"{index}-{each}")
                )
                for index in indices
                for each in range(count)
            ]
            yield answers
        for each in lists:
            answers += each

    @contextlib.contextmanager
    def watched(self) -> Iterator[Path]:
        """Write what `kubectl get modeldeployments -w` prints meanwhile into a file."""
        path = self.folder / "watch.txt"
        command = [
            str(build.program("kubectl")), "--kubeconfig", str(self.world.cluster.kubeconfig),
            "-n", self.world.namespace, "get", "modeldeployments", "-w",
        ]  # fmt: skip
        with path.open("w") as out:
            process = subprocess.Popen(command, stdout=out)
            try:
                yield path
            finally:
                process.terminate()
                process.wait(10)


@pytest.fixture
def deployment(world: World, tmp_path: Path) -> Deployment:
    return Deployment(world, tmp_path)


def failures(answers: list[Any]) -> list[Any]:
    return [answer for answer in answers if "error" in answer]


def test_a_good_update_is_promoted_and_no_request_fails(deployment: Deployment) -> None:
    deployment.first()
    deployment.model("two", shift=0.01)
    with deployment.asked(1, 3) as answers, deployment.watched() as story:
        deployment.deploy("2", "two")
        assert deployment.ended(2) == "Promoted"
        deployment.world.ready("fraud", version="2")
    print(story.read_text())
    assert failures(answers) == []
    assert {answer["version"] for answer in answers} == {"1", "2"}
    [entry] = [each for each in deployment.live()["status"]["revisions"] if each["version"] == "2"]
    assert entry["throughputRps"] > 0


def test_a_candidate_of_which_half_fails_has_no_traffic_after_fifteen_seconds(
    deployment: Deployment,
) -> None:
    """20 requests a second on the candidate; the default gates, but for what is not judged here."""
    gates = {"ignore": ["LatencyIncrease"]}
    rollout = {"steps": [{"weight": 50, "hold": "2m"}], "gates": gates}
    deployment.first(rollout=rollout)
    deployment.model("broken", bytes_above=_NOWHERE)
    with deployment.asked(1, 3) as answers, deployment.watched() as story:
        deployment.deploy("2", "broken", rollout=rollout)
        assert deployment.ended(2) == "GateFailed"
    print(story.read_text())
    found = failures(answers)
    assert found
    lasted = max(each["at"] for each in found) - min(each["at"] for each in found)
    print(f"from the first failed request to the last: {lasted:.1f} s, {len(found)} failed")
    assert lasted <= 15
    live = deployment.live()
    ready = condition(live, "Ready")
    assert (ready["reason"], condition(live, "Available")["status"]) == ("RolledBack", "True")
    assert "Errors: " in ready["message"]
    assert live["status"]["version"] == "1"


def test_a_model_that_is_wrong_on_golden_examples_gets_no_request(deployment: Deployment) -> None:
    golden = {"inputs": {"index": [1, 3]}, "outputs": {"picked": [0.1, 0.3]}}
    deployment.world.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "golden", "namespace": deployment.world.namespace},
            "data": {"examples.json": str(golden).replace("'", '"')},
        }
    )
    validation = {"enabled": True, "examplesUri": "configmap://golden/examples.json"}
    deployment.first(validation=validation)
    deployment.model("wrong", shift=0.5)
    with deployment.asked(1, count=1) as answers:
        deployment.deploy("2", "wrong", validation=validation)
        assert deployment.ended(2) == "ValidationFailed"
    assert failures(answers) == []
    assert {answer["version"] for answer in answers} == {"1"}
    message = condition(deployment.live(), "Ready")["message"]
    assert "ExamplesDiffer" in message


@pytest.mark.slow
def test_a_model_that_is_too_slow_is_refused_with_the_figure(deployment: Deployment) -> None:
    deployment.first(objectives={"maxLatencyMs": 5})
    path = models.slow(deployment.folder / "slow.onnx", rounds=3000, size=64)
    deployment.world.model_file("slow", path)
    deployment.deploy("2", "slow", objectives={"maxLatencyMs": 5})
    assert deployment.ended(2) == "ValidationFailed"
    message = condition(deployment.live(), "Ready")["message"]
    assert "TooSlow: p99 " in message
    assert "limit 5 ms" in message


@pytest.mark.slow
def test_a_candidate_that_runs_out_of_memory_is_rolled_back(deployment: Deployment) -> None:
    runtime = {"resources": {"limits": {"memory": "400Mi"}}}
    deployment.first(runtime=runtime)
    deployment.model("hungry", bytes_above=10**9)
    with deployment.asked(1, count=2), deployment.asked(2, count=1):
        deployment.deploy("2", "hungry", runtime=runtime)
        assert deployment.ended(2) == "GateFailed"
    message = condition(deployment.live(), "Ready")["message"]
    assert "OutOfMemory" in message or "Errors" in message or "Restarts" in message
    ended = deployment.live()["status"]["rollout"]["history"][-1]
    assert instant(ended["endedAt"]) >= instant(ended["startedAt"])


@pytest.mark.slow
def test_no_traffic_holds_and_says_so(deployment: Deployment) -> None:
    rollout = {**ROLLOUT, "progressDeadline": "30s"}
    deployment.first(rollout=rollout)
    deployment.model("two", shift=0.01)
    deployment.deploy("2", "two", rollout=rollout)
    deployment.world.reason("fraud", "RolloutHeld", patience_s=240)
    live = deployment.live()
    assert condition(live, "Stalled")["status"] == "True"
    assert "no request" in condition(live, "Ready")["message"]
    assert live["status"]["step"] == "1/1 50% held"
