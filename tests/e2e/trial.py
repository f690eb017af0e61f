"""Two models behind one address on a real node, an Experiment on them, and its users."""

from __future__ import annotations

import dataclasses
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from fairlead_operator.api.times import instant
from fairlead_operator.api.v1alpha1 import ExperimentSpec
from fairlead_operator.evidence import recorded
from fairlead_operator.experiment import memory as memories
from fairlead_operator.experiment import status as statuses
from fairlead_operator.experiment.decide import decide
from fairlead_operator.experiment.facts import Member, Snapshot
from fairlead_runtime.contract import assignment
from fairlead_runtime.contract.assignment import Run
from tests.e2e.counting import Counting
from tests.e2e.operating import kill_operator
from tests.e2e.splits import Address, Answer, within
from tests.e2e.world import JSONObject, World, until

NAME = "checkout"
USERS = tuple(f"u{number}" for number in range(600))
VERSIONS = {"control": "1", "bigger": "2"}
"""Version of each arm's model."""
LOGGED: JSONObject = {
    "env": [
        {"name": "FAIRLEAD_PREDICTION_LOG", "value": "stdout"},
        {"name": "FAIRLEAD_PREDICTION_LOG_INPUTS", "value": "on"},
    ]
}
ALIVE = ("measuredAt", "guardrails", "observedGeneration")
"""What goes on in a status after the verdict; all else stands for good."""
SAID = (
    "phase", "reason", "units", "leader", "lift", "pValue", "ratio", "results", "decision",
    "startedAt", "endedAt", "plan", "assignment",
)  # fmt: skip
"""What the end of an Experiment is: everything that follows from the counts."""


@dataclasses.dataclass
class Era:
    """A time in which every router had one table.

    Attributes:
        assigned: `status.assignment` of the time.
        began: By the clock of this machine, which is the node's.
        ended: Likewise.
    """

    assigned: JSONObject
    began: float
    ended: float = float("inf")

    def end(self) -> None:
        """End it: what comes from now on is not looked at."""
        self.ended = time.time()

    def arm(self, user: str) -> str:
        """Return a user's arm, by what the status says and nothing else."""
        table = tuple(Run(run["arm"], run["slots"]) for run in self.assigned["table"])
        return assignment.arm(table, self.assigned["salt"], user)

    def check(self, answers: Iterable[Answer]) -> Counter[str]:
        """Hold each answer of the time to its user's arm; return how many of each client were."""
        seen: Counter[str] = Counter()
        for answer in answers:
            if within(answer, self.began + 0.3, self.ended - 0.3):
                arm = self.arm(answer["user"])
                told = (answer["variant"], answer["version"], answer["experiment"])
                assert told == (arm, VERSIONS[arm], NAME), answer
                seen[answer["kind"]] += 1
        return seen


class Trial:
    """`ranker` is the target and control, `ranker-large` the other arm, `bigger`."""

    def __init__(self, world: World, counting: Counting, features: list[float]) -> None:
        self.world, self.counting, self._features = world, counting, features

    def serve(self, control: str = "one", bigger: str = "two", **spec: Any) -> None:
        """Serve both models."""
        wanted = {"scaling": {"minReplicas": 1, "maxReplicas": 1}, "runtime": LOGGED, **spec}
        for name, model, version in (("ranker", control, "1"), ("ranker-large", bigger, "2")):
            where = {"uri": f"configmap://{model}/model.onnx", "version": version}
            self.world.deploy(name, where, **wanted)
        self.world.ready("ranker", version="1")
        self.world.ready("ranker-large", version="2")

    def create(self, *weights: int, **spec: Any) -> None:
        """Make the Experiment, or change it."""
        shares = weights or (50, 50)
        analysis = {"minSamplesPerVariant": 100, "plannedSamplesPerVariant": 300}
        self.world.apply(
            {
                "apiVersion": "fairlead.dev/v1alpha1",
                "kind": "Experiment",
                "metadata": {"name": NAME, "namespace": self.world.namespace},
                "spec": {
                    "target": "ranker",
                    "variants": [
                        {"name": "control", "modelDeployment": "ranker", "weight": shares[0]},
                        {"name": "bigger", "modelDeployment": "ranker-large", "weight": shares[1]},
                    ],
                    "assignment": {"header": "x-user-id"},
                    "metrics": [{"name": "conversion", "type": "binary"}],
                    # Every five seconds the guardrail makes it look.
                    "guardrails": [{"metric": "error", "maxBasisPoints": 500}],
                    **spec,
                    "analysis": {**analysis, **spec.get("analysis", {})},
                },
            }
        )

    def live(self) -> JSONObject:
        return self.world.get("experiment", NAME)

    def status(self) -> JSONObject:
        return dict(self.live().get("status") or {})

    def until(self, phase: str, patience_s: float = 120.0) -> JSONObject:
        """Wait for a phase; return the resource."""

        def look() -> JSONObject | None:
            found = self.live()
            return found if (found.get("status") or {}).get("phase") == phase else None

        try:
            return until(f"the Experiment is {phase}", look, patience_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{json.dumps(self.status(), indent=1)}") from None

    def era(self, patience_s: float = 120.0) -> Era:
        """Wait until every router has the table of status; begin to look at answers."""

        def look() -> JSONObject | None:
            assigned = self.status().get("assignment")
            traffic = self.world.get("modeldeployment", "ranker")["status"].get("traffic") or {}
            told = (traffic.get("configuration") or {}).get("recorded") or {}
            if not assigned or told.get("epoch") != assigned["epochs"][-1]["number"]:
                return None
            return dict(assigned) if traffic.get("confirmedAt") else None

        return Era(until("every router has the table", look, patience_s), time.time())

    def until_counted(self, users: int, patience_s: float = 120.0) -> None:
        """Wait until so many users are exposed."""

        def counted() -> bool:
            return self.counting.units(self.world.namespace, NAME) >= users

        until(f"{users} users are counted", counted, patience_s)

    def report(self, did: Callable[[str, str], bool], users: Iterable[str] = USERS) -> None:
        """Let the application report who converted, given the user and the arm."""
        era = Era(self.status()["assignment"], 0.0)
        outcomes = [
            {"key": user, "unit": user, "metric": "conversion", "value": True}
            for user in users
            if did(user, era.arm(user))
        ]
        told = self.counting.report(self.world.namespace, NAME, outcomes)
        assert told["accepted"] == len(outcomes), told

    @contextmanager
    def clients(
        self,
        users: Sequence[str] = USERS,
        *,
        rate: float = 15.0,
        features: list[float] | None = None,
        kinds: tuple[str, ...] = ("kept", "grpc"),
    ) -> Iterator[list[Answer]]:
        """Let users ask meanwhile, `rate` times a second by each kind of client."""
        address = Address(self.world, features or self._features, name="ranker")
        with address.clients(900, rate, kinds, users) as answers:
            yield answers

    def killed_and_looked_again(self) -> JSONObject:
        """Kill the operator; return the status after the next one has looked at the Experiment."""
        kill_operator(self.world)
        patch = {"spec": {"analysis": {"maxDuration": f"{int(time.time()) % 10_000 + 600}m"}}}
        self.world.kubectl(
            "patch", "experiment", NAME, "--type=merge", "--patch", json.dumps(patch)
        )

        def look() -> JSONObject | None:
            found = self.live()
            seen = found["status"].get("observedGeneration")
            return found["status"] if seen == found["metadata"]["generation"] else None

        return until("the next operator has looked", look)

    def check_end(self, live: JSONObject) -> None:
        """Hold an end to what an operator that was never killed says of the same counts."""
        again = undisturbed(live, self.counting.summary(self.world.namespace, NAME))
        for key in SAID:
            assert live["status"].get(key) == again.get(key), key


def standing(status: JSONObject) -> JSONObject:
    """Return what must not change any more once an Experiment has ended."""
    found = {key: value for key, value in status.items() if key not in ALIVE}
    found["conditions"] = [
        {key: value for key, value in each.items() if key != "observedGeneration"}
        for each in status["conditions"]
    ]
    return found


def undisturbed(live: JSONObject, summary: JSONObject) -> JSONObject:
    """Return the status of a single pass that finds all counts at the moment of the end."""
    spec = ExperimentSpec.model_validate(live["spec"]).model_copy(update={"guardrails": []})
    ended = memories.from_status(live["status"])
    assert ended.ended_at is not None
    memory = dataclasses.replace(
        ended, split=True, ended=None, ended_at=None, why="", winner=None, mismatch_at=None
    )
    members = {
        arm.model_deployment: Member(
            name=arm.model_deployment, revision=arm.revision, key=arm.key, host=arm.host, ready=True
        )
        for arm in memory.arms
    }
    meta = live["metadata"]
    snapshot = Snapshot(
        name=meta["name"], namespace=meta["namespace"], uid=meta["uid"],
        created=instant(meta["creationTimestamp"]), spec=spec, memory=memory, members=members,
        registered=True, live_since=memory.started_at,
        aggregates=recorded.aggregates(meta["uid"], summary),
    )  # fmt: skip
    resource = {"metadata": meta, "spec": live["spec"], "status": {}}
    decision = decide(snapshot, ended.ended_at)
    return statuses.compose(resource, snapshot, decision, ended.ended_at)
