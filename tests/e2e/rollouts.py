"""`fraud` on a real node, its model replaced again and again, and whoever asks it meanwhile."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cluster import build
from tests import models
from tests.e2e.world import JSONObject, World, condition, until

GATES = {
    "minRequests": 20,
    "maxErrorBasisPoints": 500,
    "maxNonFiniteBasisPoints": 500,
    "maxLatencyIncreasePercent": 1000,  # this machine has two cores for everything
}
ROLLOUT: JSONObject = {"steps": [{"weight": 50, "hold": "15s"}], "gates": GATES}
NOWHERE = 2**62
"""Bytes that no machine has: the request fails, and nothing else."""


class Deployment:
    """`fraud`, with a table as its model, and whoever asks it."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.folder = world, folder

    def model(self, name: str, **how: Any) -> None:
        """Make a ConfigMap with a table."""
        self.world.model_file(name, models.table(self.folder / f"{name}.onnx", **how))

    def deploy(self, version: str, model: str, *, profile: str | None = None, **spec: Any) -> None:
        """Ask for a version; `model` is the name of a ConfigMap, or a URI, as is `profile`."""
        where = {"uri": model if "://" in model else f"configmap://{model}/model.onnx"}
        if profile is not None:
            where["profileUri"] = profile
        more = {"validation": {"enabled": True}, "rollout": ROLLOUT, **spec}
        self.world.deploy("fraud", {**where, "version": version}, **more)

    def live(self) -> JSONObject:
        """Return the resource."""
        return self.world.get("modeldeployment", "fraud")

    @property
    def ready(self) -> JSONObject:
        """The condition Ready."""
        return condition(self.live(), "Ready")

    @property
    def rollout(self) -> JSONObject:
        """What status says of the rollout."""
        found: JSONObject = self.live()["status"].get("rollout") or {}
        return found

    def check(self, gate: str) -> JSONObject:
        """Return what status says of a gate; empty where it says nothing."""
        found = [each for each in self.rollout.get("checks") or () if each["gate"] == gate]
        return found[0] if found else {}

    def say(self, verb: str) -> None:
        """Annotate the resource with an imperative for the revision that the rollout is about."""
        word = f"fairlead.dev/{verb}={self.rollout['hash']}"
        self.world.kubectl("annotate", "--overwrite", "modeldeployment", "fraud", word)

    def until_step(self, column: str, patience_s: float = 120) -> None:
        """Wait until the column STEP begins with this."""

        def there() -> bool:
            return str(self.live()["status"].get("step", "")).startswith(column)

        until(f"the step is {column}", there, patience_s)

    def first(self, **spec: Any) -> None:
        """Serve version 1."""
        self.model("one")
        self.deploy("1", "one", **spec)
        self.world.ready("fraud", version="1")

    def outcomes(self) -> list[str]:
        """Return how the rollouts so far ended."""
        return [each["outcome"] for each in self.rollout.get("history") or ()]

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


def told(watch: Path, *wanted: tuple[str, str]) -> bool:
    """Whether `kubectl get -w` showed each STEP and REASON in this order, whatever was between."""
    lines = iter(watch.read_text().splitlines())  # cells that grow push the others aside
    return all(
        any(line.split()[-2] == reason and f" {step} " in line for line in lines)
        for step, reason in wanted
    )


def failures(answers: list[Any]) -> list[Any]:
    """Return the answers that are none."""
    return [answer for answer in answers if "error" in answer]


def gates(**changes: Any) -> JSONObject:
    """Return a rollout of one step with other gates."""
    return {**ROLLOUT, "gates": {**GATES, **changes}}
