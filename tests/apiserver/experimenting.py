"""Two models behind one address, an Experiment on them, a real recorder, and users."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from fairlead_operator.experiment.facts import Input
from fairlead_operator.kube.kinds import EXPERIMENT, MODEL_DEPLOYMENT
from fairlead_runtime.contract import assignment
from fairlead_runtime.contract.assignment import Run
from tests.apiserver.api import JSON, Api, a_model
from tests.apiserver.kubelet import Kubelet
from tests.apiserver.rig import Rig
from tests.apiserver.routers import PlayedRouters
from tests.builders import NOW, later
from tests.recorder.otlp import export, send
from tests.recorder.process import Recorder

INPUTS = (Input(name="x", datatype="FP32", shape=(-1, 4)),)
USERS = tuple(f"user-{number}" for number in range(3000))


def an_experiment(name: str = "checkout", **spec: Any) -> JSON:
    """Return an Experiment to create."""
    base: JSON = {
        "target": "ranker",
        "variants": [
            {"name": "control", "modelDeployment": "ranker", "weight": 50},
            {"name": "bigger", "modelDeployment": "ranker-large", "weight": 50},
        ],
        "assignment": {"header": "X-User-Id"},
        "metrics": [{"name": "conversion", "type": "binary"}],
        "analysis": {"minSamplesPerVariant": 100},
    }
    return {"metadata": {"name": name}, "spec": {**base, **spec}}


class Trial:
    """One Experiment and everything around it; time passes when told."""

    def __init__(self, api: Api, rig: Rig, kubelet: Kubelet, recorder: Recorder) -> None:
        self.api, self.rig, self.kubelet, self.recorder = api, rig, kubelet, recorder
        self.namespace = rig.namespace
        self.seconds = 20.0
        self.routers = PlayedRouters(api, rig.namespace, "ranker")
        rig.routers = self.routers

    async def serve(self, *names: str) -> None:
        """Create ModelDeployments and let them serve."""
        for name in names:
            await self.api.create(MODEL_DEPLOYMENT, self.namespace, a_model(name))
            await self.rig.settle(NOW, name=name)
            await self.kubelet.start(await self.revision(name))
            await self.rig.settle(later(10), name=name)
            self.rig.inputs[name] = INPUTS

    async def revision(self, name: str, version: str = "1") -> str:
        """Return the name of a ModelDeployment's revision."""
        live = await self.api.model(self.namespace, name)
        [found] = [r["name"] for r in live["status"]["revisions"] if r["version"] == version]
        return str(found)

    async def create(self, name: str = "checkout", **spec: Any) -> None:
        await self.api.create(EXPERIMENT, self.namespace, an_experiment(name, **spec))

    async def change(self, **spec: Any) -> None:
        """Change the Experiment's spec."""
        await self.api.merge(EXPERIMENT, self.namespace, "checkout", {"spec": spec})

    async def weights(self, *weights: int) -> None:
        live = await self.live()
        arms = [
            {**arm, "weight": weight}
            for arm, weight in zip(live["spec"]["variants"], weights, strict=True)
        ]
        await self.change(variants=arms)

    async def live(self, name: str = "checkout") -> JSON:
        found = await self.api.get(EXPERIMENT, self.namespace, name)
        assert found is not None
        return found

    async def status(self, name: str = "checkout") -> JSON:
        found: JSON = (await self.live(name))["status"]
        return found

    async def go(self, seconds: float = 1.0) -> JSON:
        """Let time pass, and passes of all three run until there is nothing to do."""
        self.seconds += seconds
        for _ in range(8):
            changed = [*(await self.rig.experiment(later(self.seconds))).changed]
            for name in ("ranker", "ranker-large"):
                changed += (await self.rig.run(later(self.seconds), name=name)).changed
            if not changed:
                return await self.status()
        raise AssertionError("eight rounds, and still something to change")

    async def until_running(self, **spec: Any) -> JSON:
        """Serve both models, and split their users by an Experiment."""
        await self.serve("ranker", "ranker-large")
        await self.create(**spec)
        await self.go()
        await self.routers.start(self.kubelet)
        await self.go()
        return await self.go(76)

    async def arms(self) -> dict[str, str]:
        """Return each user's arm, by what status says and nothing else."""
        return arms_of((await self.status())["assignment"])

    async def expose(self, users: Iterable[str] = USERS, *, lost: str = "") -> None:
        """Let users be answered by their arms, as the router tells the recorder."""
        status = await self.status()
        arms = arms_of(status["assignment"])
        salt = status["assignment"]["salt"]
        entries = [
            (assignment.unit(salt, user), arms[user], arms[user])
            for user in users
            if arms[user] != lost
        ]
        epoch = status["assignment"]["epochs"][-1]["number"]
        uid = (await self.live())["metadata"]["uid"]
        answer = send(self.recorder, export(entries, epoch=str(epoch), uid=uid, at=time.time_ns()))
        assert answer.status_code == 200, answer.text

    async def report(self, did: Callable[[str, str], bool], users: Iterable[str] = USERS) -> None:
        """Let the application report who converted, given the user and the arm."""
        arms = await self.arms()
        outcomes = [
            {"key": user, "unit": user, "metric": "conversion", "value": True}
            for user in users
            if did(user, arms[user])
        ]
        path = f"/v1/experiments/{self.namespace}/checkout/outcomes"
        answer = self.recorder.post(path, {"outcomes": outcomes})
        assert answer.status_code == 200, answer.text


def arms_of(assigned: JSON) -> dict[str, str]:
    """Return the arm of each user by a status."""
    table = tuple(Run(run["arm"], run["slots"]) for run in assigned["table"])
    return {user: assignment.arm(table, assigned["salt"], user) for user in USERS}


def one_in(every: int, user: str) -> bool:
    """Whether a user is one of so many, by the number in the name."""
    return int(user.rpartition("-")[2]) % every == 0
