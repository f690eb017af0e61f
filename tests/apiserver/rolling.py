"""Rollouts on a real API server: a ModelDeployment, its passes, and time that passes when told.

Deployments, Jobs and their controllers are real. Only what a node would report is played: pods,
routers' taken documents, and what the pods count.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from cluster.controlplane import ControlPlane
from fairlead_operator.evidence.direct import Pods
from fairlead_operator.kube.kinds import CHILDREN, MODEL_DEPLOYMENT
from fairlead_operator.reconcile.counting import Counted
from fairlead_operator.rollout.quality import Compared
from fairlead_operator.traffic.counts import Counts, Window
from tests.apiserver.api import JSON, Api, a_model
from tests.apiserver.kubelet import DIGEST, Kubelet
from tests.apiserver.rig import Rig
from tests.apiserver.routers import PlayedRouters
from tests.apiserver.story import change, selected
from tests.builders import later
from tests.unit.rollout.rolling import some

STEPS = [{"weight": 10, "hold": "10s"}, {"weight": 50, "hold": "10s"}]
SPEC: dict[str, Any] = {
    "validation": {"enabled": True},
    "rollout": {"steps": STEPS, "progressDeadline": "10m"},
    "objectives": {"requestsPerSecond": 100},
}
PASSED = json.dumps(
    {
        "verdict": "Pass", "reason": "Validated", "digest": DIGEST,
        "latencyP99Micros": 3000, "latencyP99BestMicros": 2500, "throughputRps": 400,
    }
)  # fmt: skip
SLOW = json.dumps(
    {"verdict": "Fail", "reason": "TooSlow", "message": "p99 80 ms, limit 50 ms", "digest": DIGEST}
)


class Cluster:
    """One ModelDeployment, the rig that runs its passes, and time that passes when told."""

    def __init__(self, api: Api, rig: Rig, kubelet: Kubelet) -> None:
        self.api, self.rig, self.kubelet = api, rig, kubelet
        self.routers = PlayedRouters(api, rig.namespace)
        self.seconds = 0.0
        self.bad = False
        self.asking = True
        """Whether anybody sends requests."""
        self.trouble = ""
        """Why nothing is counted any more."""
        self.since: dt.datetime | None = None
        self.end = later(0)
        self.asked = 0
        rig.routers, rig.count = self.routers, self.count

    async def count(
        self,
        address: str,
        pods: Pods | None,
        since: dt.datetime,
        *,
        compare: bool,
        readings: str = "",
    ) -> Counted | None:
        assert address.endswith("/fraud")
        if pods is None:
            self.since = None
            return None
        self.asked += 1
        if self.since is None or self.since < since:
            self.since = max(since, later(self.seconds))
        if not self.trouble:
            self.end = later(self.seconds)
        end, (stable, candidate) = max(self.since, self.end), pods.keys[:2]
        grown = int((end - self.since).total_seconds() * 500 * self.asking)
        mine = some(grown, errors=grown // 2 if self.bad else 0)
        if compare:
            # Only copies so far: nobody gets the candidate's answers.
            window = Window(
                begin=self.since, end=end, arms={stable: some(grown)}, mirrored={candidate: mine}
            )
            return Counted(window=window, mirror=Compared(pairs=grown, differing=0, end=end))
        arms: dict[str, Counts] = {stable: some(grown), candidate: mine}
        window = Window(begin=self.since, end=end, arms=arms, trouble=self.trouble)
        return Counted(window=window)

    async def go(self, seconds: float = 0.0) -> JSON:
        """Let time pass, run passes until nothing changes, and return the resource."""
        self.seconds += seconds
        for _ in range(8):
            if not (await self.rig.run(later(self.seconds))).changed:
                break
        return await self.model()

    async def model(self) -> JSON:
        return await self.api.model(self.rig.namespace)

    async def phase(self) -> str:
        return str(((await self.model())["status"].get("rollout") or {}).get("phase", "none"))

    async def step(self) -> str:
        """Return the column STEP."""
        return str((await self.model())["status"].get("step", ""))

    async def say(self, verb: str) -> None:
        """Annotate the resource with an imperative for the revision that the rollout is about."""
        value = (await self.model())["status"]["rollout"]["hash"]
        note = {"metadata": {"annotations": {f"fairlead.dev/{verb}": value}}}
        await self.api.merge(MODEL_DEPLOYMENT, self.rig.namespace, "fraud", note)

    async def first(self, **spec: Any) -> str:
        """Serve version 1, validated; return its revision's name."""
        await self.api.create(MODEL_DEPLOYMENT, self.rig.namespace, a_model(**{**SPEC, **spec}))
        await self.go()
        name = self.rig.revision("1")
        await self.kubelet.tries(f"{name}-validate", 0, PASSED)
        await self.go(6)
        await self.kubelet.start(name)
        await self.go(6)
        return name

    async def second(self) -> str:
        """Ask for version 2, and let its validation pass and its pods start."""
        return await self.candidate("2")

    async def outcomes(self) -> list[str]:
        """Return how the rollouts so far ended."""
        rollout = (await self.model())["status"].get("rollout") or {}
        return [each["outcome"] for each in rollout.get("history") or ()]

    async def candidate(self, version: str, *, report: str = PASSED) -> str:
        """Ask for a version, let its validation pass and its pods start; return its revision."""
        await change(self.api, self.rig.namespace, version=version)
        await self.go(1)
        name = self.rig.revision(version)
        await self.kubelet.tries(f"{name}-validate", 0, report)
        await self.go(6)
        await self.kubelet.start(name)
        await self.go(6)
        return name

    async def split(self) -> None:
        """Let the router start and connections settle: the first step is live."""
        await self.routers.start(self.kubelet)
        await self.go(1)
        await self.go(76)
        await self.go(1)
        await self.go(1)

    async def children(self, revision: str) -> set[tuple[str, str]]:
        """Return kind and name of all that the operator made, `*` for this revision's name."""
        return {
            (kind.kind, each["metadata"]["name"].replace(revision, "*"))
            for kind in CHILDREN
            for each in await self.api.list(kind, self.rig.namespace)
            if "deletionTimestamp" not in each["metadata"]
            and each["metadata"].get("ownerReferences", [{}])[0].get("kind") == "ModelDeployment"
        }

    async def exists(self, kind: Any, name: str) -> bool:
        live = await self.api.get(kind, self.rig.namespace, name)
        return live is not None and "deletionTimestamp" not in live["metadata"]


async def cluster_of(api: Api, plane: ControlPlane, namespace: str) -> tuple[Cluster, Rig]:
    rig = await Rig.connect(plane, namespace)
    return Cluster(api, rig, Kubelet(api, namespace)), rig


async def selected_or_none(api: Api, namespace: str) -> str | None:
    try:
        return await selected(api, namespace)
    except KeyError:
        return None  # the router has the address
