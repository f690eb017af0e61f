"""A model with a profile on a real node, and whoever sends it rows."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fairlead_operator.planning import names
from fairlead_operator.planning.podtemplate import METRICS_PORT
from fairlead_runtime.contract.drift_counts import Window, merge
from fairlead_runtime.contract.drift_names import PATH
from fairlead_runtime.contract.drift_report import Report, from_document
from tests.e2e.world import EXAMPLES, JSONObject, World, condition, until

SCRIPT = Path(__file__).with_name("rows.py")
RULES: JSONObject = {"minRows": 500, "lookEvery": "1m", "raiseAfter": 2, "clearAfter": 2}
"""Looks as often as there can be, so that the tests take minutes."""
A_FEW_LOOKS_S = 400.0
Rows = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Feed:
    """What a client sends.

    Attributes:
        size: Rows of a request.
        rate: Requests a second.
        requests: How many at most.
        users: How many users there are.
        seed: Draws rows at random; None sends them in their order, round and round.
        column: The feature that a broken step spoils.
        factor: By which it is multiplied.
        only: Rows of users whom this version has answered are spoilt; None: all.
    """

    size: int = 20
    rate: float = 5.0
    requests: int = 1_000_000
    users: int = 40
    seed: int | None = None
    column: int = 0
    factor: float = 1.0
    only: str | None = None


class Watched:
    """`fraud`, with the profile of its training rows beside the model."""

    def __init__(self, world: World, rows: Rows) -> None:
        self.world, self._rows = world, rows

    def model(self, name: str, folder: str = "") -> None:
        """Make a ConfigMap with an example's model and profile."""
        where = EXAMPLES / "breast-cancer" / folder
        files = [f"--from-file={each}={where / each}" for each in ("model.onnx", "profile.json")]
        self.world.kubectl("create", "configmap", name, *files)

    def deploy(self, version: str, name: str, **spec: Any) -> None:
        """Ask for a version."""
        model = {"uri": f"configmap://{name}/model.onnx", "version": version}
        self.world.deploy("fraud", model, **{"drift": RULES, **spec})

    def live(self) -> JSONObject:
        """Return the resource."""
        return self.world.get("modeldeployment", "fraud")

    def drifted(self, status: str, patience_s: float = A_FEW_LOOKS_S) -> JSONObject:
        """Wait until the condition Drifted has this status; return it."""

        def look() -> JSONObject | None:
            found = condition(self.live(), "Drifted")
            return found if found.get("status") == status else None

        return until(f"Drifted is {status}", look, patience_s)

    def pods(self) -> list[str]:
        """Return the names of the model's pods."""
        return [
            each["metadata"]["name"]
            for each in self.world.all("pods", f"{names.OWNER_LABEL}=fraud")
            if "deletionTimestamp" not in each["metadata"]
        ]

    def page(self, pod: str, path: str) -> str:
        """Read a page of a pod's inner port."""
        return self.world.kubectl(
            "get", "--raw",
            f"/api/v1/namespaces/{self.world.namespace}/pods/{pod}:{METRICS_PORT}/proxy{path}",
        )  # fmt: skip

    def reports(self) -> list[Report]:
        """Return what the pods have counted."""
        return [from_document(json.loads(self.page(pod, PATH))) for pod in self.pods()]

    def events(self) -> list[tuple[str, str]]:
        """Return type and reason of the resource's Events."""
        found = self.world.all("events")
        mine = [each for each in found if each["involvedObject"]["kind"] == "ModelDeployment"]
        return [(each["type"], each["reason"]) for each in mine]

    @contextmanager
    def fed(self, feed: Feed, name: str) -> Iterator[list[Any]]:
        """Send rows meanwhile; the list has every answer after the end."""
        world = self.world
        world.script(name, SCRIPT.read_text(), **{"rows.json": json.dumps(self._rows.tolist())})
        host = f"fraud.{world.namespace}.svc"
        does = dataclasses.asdict(feed) | {"host": host, "name": name}
        command = ["python3", "/script/main.py", json.dumps(does)]
        with world.sending(f"client-{name}", command, script=name) as answers:
            yield answers


def counted(report: Report) -> Window:
    """Return all that a replica holds: a minute may have ended meanwhile."""
    return merge([*report.windows, *([report.current] if report.current else [])])
