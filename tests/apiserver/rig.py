"""The operator's passes in this process, one at a time, with faults where a test wants them."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from cluster.controlplane import ControlPlane
from fairlead_operator.evidence.direct import Pods as ReadPods
from fairlead_operator.evidence.recorder import Recorder
from fairlead_operator.experiment.facts import Input
from fairlead_operator.kube.cache import Cache
from fairlead_operator.kube.client import Cluster
from fairlead_operator.kube.errors import UnreachableError
from fairlead_operator.kube.kinds import CHILDREN, MODEL_DEPLOYMENT
from fairlead_operator.kube.lease import Lease
from fairlead_operator.planning import names
from fairlead_operator.reconcile import counting
from fairlead_operator.reconcile.counting import Count
from fairlead_operator.reconcile.drift import ReadDrift
from fairlead_operator.reconcile.experimentfacts import Facts
from fairlead_operator.reconcile.experiments import Experimenter
from fairlead_operator.reconcile.loop import Loop
from fairlead_operator.reconcile.passes import Reconciler, Result
from fairlead_operator.reconcile.routers import Pods, ReadRouters
from fairlead_operator.settings import Settings
from fairlead_operator.telemetry import Metrics
from fairlead_operator.traffic.counts import Window
from fairlead_operator.traffic.states import Router
from tests.apiserver.api import JSON, Api

_VERSION = re.compile(r'version_info\\+":\\+"[0-9a-f]{16}')
"""A document's version is a hash of what it says, the namespace included."""
SETTINGS = Settings(identity="test", runtime_image="fairlead/runtime:1", drain_s=75.0)


async def nobody(pods: Pods) -> tuple[Router, ...]:
    """Stand where no router is to be asked."""
    raise AssertionError(f"{len(pods)} routers are asked while nothing is split")


class Killed(BaseException):  # noqa: N818 - not an error: the end of a process
    """What SIGKILL would do: no handler of `Exception` sees it."""


class MortalCluster(Cluster):
    """Dies before its k-th request, or finds the network cut."""

    requests = 0
    dies_before: int | None = None
    lost = False
    meanwhile: Callable[[str, str], Awaitable[None]] | None = None
    """What somebody else does just before a request, given its method and path."""

    async def _send(self, *args: Any, **options: Any) -> tuple[int, bytes]:
        self.requests += 1
        if self.requests == self.dies_before:
            raise Killed
        if self.meanwhile is not None:
            await self.meanwhile(str(args[0]), str(args[1]))
        if self.lost:
            raise UnreachableError("no route to host")
        return await super()._send(*args, **options)


class Rig:
    """An operator that does nothing by itself."""

    def __init__(self, cluster: MortalCluster, namespace: str, settings: Settings) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.settings = dataclasses.replace(settings, namespaces=(namespace,))
        self.metrics = Metrics()
        self.routers: ReadRouters = nobody
        self.count: Count = counting.nobody
        self.drift: ReadDrift | None = None
        self.recorder = Recorder(settings.recorder_url)
        self.inputs: dict[str, tuple[Input, ...]] = {}
        """What the pods of a ModelDeployment say they take."""
        self.window: Window | None = None
        """What the routers counted."""
        self.restart()

    @classmethod
    async def connect(
        cls, plane: ControlPlane, namespace: str, settings: Settings = SETTINGS
    ) -> Rig:
        """Connect to a control plane; use the result as a context manager."""
        cluster = await MortalCluster.connect(str(plane.kubeconfig))
        assert isinstance(cluster, MortalCluster)
        return cls(cluster, namespace, settings)

    async def __aenter__(self) -> Self:
        await self.recorder.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.recorder.__aexit__(kind, error, trace)
        await self.cluster.close()

    def restart(self) -> None:
        """Forget everything, as a new process would."""
        self.cache = Cache()
        self.reconciler = Reconciler(
            self.cluster,
            self.cache,
            self.settings,
            self.metrics,
            self._read_routers,
            self.drift,
            self._counted,
            self.recorder,
        )
        facts = Facts(
            self.cluster, self.cache, self._ask_inputs, self._requests,
            cluster_domain=self.settings.cluster_domain,
        )  # fmt: skip
        self.experimenter = Experimenter(
            self.cluster, self.cache, self.settings, self.metrics, self.recorder, facts
        )
        lease = Lease(self.cluster, namespace=self.namespace, name="unused", identity="test")
        self.loop = Loop(
            self.cluster, self.cache, self.reconciler, lease, self.settings, self.metrics
        )

    async def run(
        self, now: dt.datetime | None = None, *, name: str = "fraud", dies_before: int | None = None
    ) -> Result:
        """Run one pass on what a listing shows; it may die before its k-th request."""
        await self.loop.resync()
        self.cluster.requests, self.cluster.dies_before = 0, dies_before
        try:
            return await self.reconciler.run((self.namespace, name), now)
        finally:
            self.cluster.dies_before = None

    async def experiment(
        self, now: dt.datetime, *, name: str = "checkout", dies_before: int | None = None
    ) -> Result:
        """Run one pass over an Experiment on what a listing shows."""
        await self.loop.resync()
        self.cluster.requests, self.cluster.dies_before = 0, dies_before
        try:
            return await self.experimenter.run((self.namespace, name), now)
        finally:
            self.cluster.dies_before = None

    async def settle(self, now: dt.datetime | None = None, *, name: str = "fraud") -> None:
        """Run passes until one changes nothing."""
        for _ in range(6):
            if not (await self.run(now, name=name)).changed:
                return
        raise AssertionError("six passes, and still something to change")

    async def _ask_inputs(
        self, name: str, pods: Sequence[Mapping[str, Any]]
    ) -> tuple[Input, ...] | None:
        return self.inputs.get(name) if pods else None

    async def _requests(self, address: str, pods: ReadPods, since: dt.datetime) -> Window:
        assert self.window is not None, f"{address} is read since {since} from {pods}"
        return self.window

    async def _read_routers(self, pods: Pods) -> tuple[Router, ...]:
        return await self.routers(pods)

    async def _counted(
        self,
        address: str,
        pods: ReadPods | None,
        since: dt.datetime,
        *,
        compare: bool,
        readings: str = "",
    ) -> counting.Counted | None:
        return await self.count(address, pods, since, compare=compare, readings=readings)

    def revision(self, version: str) -> str:
        """Return the name of the revision with this version, by what the cache holds."""
        live = self.cache.model_deployment((self.namespace, "fraud")) or {}
        [found] = [
            str(each["name"]) for each in live["status"]["revisions"] if each["version"] == version
        ]
        return found


async def world(api: Api, namespace: str) -> dict[str, Any]:
    """Return all objects of ours in a namespace, without what differs from run to run."""
    found: dict[str, Any] = {}
    for kind in (MODEL_DEPLOYMENT, *CHILDREN):
        for live in await api.list(kind, namespace):
            meta = live["metadata"]
            if kind is not MODEL_DEPLOYMENT and not meta.get("ownerReferences"):
                continue
            found[f"{kind.kind}/{meta['name']}"] = _plain(live, namespace)
    return found


def _plain(live: JSON, namespace: str) -> Any:
    meta = {
        key: value
        for key, value in live["metadata"].items()
        if key not in ("uid", "resourceVersion", "creationTimestamp", "managedFields")
    }
    if live["kind"] in ("Deployment", "HorizontalPodAutoscaler"):
        meta.pop("generation", None)  # the autoscaler's doing
    notes = dict(meta.get("annotations") or {})
    notes.pop(names.APPLIED_ANNOTATION, None)  # has the owner's UID in it
    notes.pop("deployment.kubernetes.io/revision", None)
    meta["annotations"] = notes
    for owner in meta.get("ownerReferences") or ():
        owner.pop("uid")
    body: dict[str, Any] = {**live, "metadata": meta}
    if live["kind"] != "ModelDeployment":
        body.pop("status", None)
    spec = body.get("spec")
    if isinstance(spec, Mapping):
        own = ("clusterIP", "clusterIPs", "replicas") if live["kind"] != "ModelDeployment" else ()
        body["spec"] = {k: v for k, v in spec.items() if k not in own}
    text = json.dumps(body).replace(namespace, "NS")
    return json.loads(_VERSION.sub("VERSION", text))
