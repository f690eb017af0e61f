"""What is to be known of an Experiment, gathered: its arms, its rivals, its split, its requests."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from fairlead_operator.api.times import instant
from fairlead_operator.api.v1alpha1 import ExperimentSpec
from fairlead_operator.api.v1alpha1.experimentanalysis import MEASURED
from fairlead_operator.evidence.direct import Direct, Pods
from fairlead_operator.evidence.routers import RouterPod
from fairlead_operator.evidence.scrape import Page, Scraper, Target
from fairlead_operator.experiment import target
from fairlead_operator.experiment.facts import Input, Member, Snapshot
from fairlead_operator.experiment.guardrails import BLOCK
from fairlead_operator.experiment.memory import Memory
from fairlead_operator.kube.cache import Cache, Key
from fairlead_operator.kube.client import Cluster
from fairlead_operator.kube.kinds import POD
from fairlead_operator.planning import names, router
from fairlead_operator.reconcile import routers
from fairlead_operator.reconcile.neighbourhood import owned
from fairlead_operator.rollout.memory import Phase as Rollout
from fairlead_operator.rollout.revision import Revision, State, from_status
from fairlead_operator.rollout.snapshot import Snapshot as ModelSnapshot
from fairlead_operator.traffic import memory as memories
from fairlead_operator.traffic.counts import Counts, Window
from fairlead_operator.traffic.states import State as AddressState

HTTP_PORT = 8080
"""Where a model's pod tells what it takes."""
AskInputs = Callable[[str, Sequence[Mapping[str, Any]]], Awaitable[tuple[Input, ...] | None]]
"""Asks a model's pods what it takes; None where none of them tells."""
Requests = Callable[[str, Pods, dt.datetime], Awaitable[Window]]
"""Reads what an address's routers counted since an instant."""


@dataclass(slots=True)
class _Blocks:
    """The windows of one Experiment: what is over in one, and the present hour."""

    done: Window | None = None
    last: Window | None = None

    def grown(self, window: Window) -> tuple[Window, ...]:
        """Return the windows with a new reading of the present one."""
        if self.last is not None and window.begin > self.last.begin:
            self.done = self.last if self.done is None else _sum(self.done, self.last)
        self.last = window
        return (window,) if self.done is None else (self.done, window)


class Facts:
    """Gathers snapshots of Experiments; what it holds between passes can be lost at any time."""

    def __init__(
        self,
        cluster: Cluster,
        cache: Cache,
        ask_inputs: AskInputs,
        requests: Requests,
        *,
        cluster_domain: str,
    ) -> None:
        self._cluster = cluster
        self._cache = cache
        self._ask_inputs = ask_inputs
        self._requests = requests
        self._cluster_domain = cluster_domain
        self._inputs: dict[str, tuple[Input, ...]] = {}
        self._blocks: dict[Key, _Blocks] = {}

    async def snapshot(
        self,
        resource: Mapping[str, Any],
        spec: ExperimentSpec,
        memory: Memory,
        now: dt.datetime,
    ) -> Snapshot:
        """Return the snapshot of an Experiment, without what the recorder says.

        Raises:
            KubeError: The API server could not be asked.
        """
        meta = resource["metadata"]
        namespace = meta["namespace"]
        members = {}
        for variant in spec.variants:
            member = await self._member(namespace, variant.model_deployment, memory)
            if member is not None:
                members[member.name] = member
        others = self._cache.experiments(namespace)
        return Snapshot(
            name=meta["name"],
            namespace=namespace,
            uid=meta["uid"],
            created=instant(meta["creationTimestamp"]),
            spec=spec,
            memory=memory,
            members=members,
            rivals=target.rivals(spec.target, meta["name"], others),
            live_since=self._live_since(resource, spec.target, memory),
            windows=await self._windows(namespace, meta["name"], spec, memory, now),
        )

    def forget(self, key: Key) -> None:
        """Forget what was counted for an Experiment."""
        self._blocks.pop(key, None)

    async def _member(self, namespace: str, name: str, memory: Memory) -> Member | None:
        resource = self._cache.model_deployment((namespace, name))
        if resource is None or resource["metadata"].get("deletionTimestamp"):
            return None
        status = resource.get("status") or {}
        revisions = [
            revision
            for entry in status.get("revisions") or ()
            if (revision := from_status(entry)) is not None
        ]
        active = next((r for r in revisions if r.state is State.ACTIVE), None)
        if active is None:
            return Member(name=name)
        there = ModelSnapshot(
            resource=resource, model={}, runtime={}, scaling={},
            children=owned(self._cache, resource),
        )  # fmt: skip
        ready = there.replicas(active)[1] > 0
        key = active.child_name(name)
        # Only who has not started asks: afterwards the arms are what they are.
        asked = ready and memory.started_at is None
        return Member(
            name=name,
            revision=active.hash,
            key=key,
            # With the dot at its end a name is asked for as it is, as everywhere in the router.
            host=f"{key}.{namespace}.svc.{self._cluster_domain}.",
            ready=ready,
            moving=_moving(status),
            inputs=await self._inputs_of(namespace, name, active) if asked else None,
            model=active.model,
            runtime=active.runtime,
        )

    async def _inputs_of(
        self, namespace: str, name: str, revision: Revision
    ) -> tuple[Input, ...] | None:
        key = f"{namespace}/{name}/{revision.hash}"
        if key not in self._inputs:
            selector = names.selector(name, revision.hash)
            labels = ",".join(f"{k}={v}" for k, v in selector.items())
            pods = await self._cluster.list(POD, namespace, labels=labels)
            found = await self._ask_inputs(name, [pod for pod in pods if routers.ready(pod)])
            if found is None:
                return None
            self._inputs[key] = found
        return self._inputs[key]

    def _live_since(
        self, experiment: Mapping[str, Any], name: str, memory: Memory
    ) -> dt.datetime | None:
        """Return since when every router carries out just the split that status wants."""
        meta = experiment["metadata"]
        resource = self._cache.model_deployment((meta["namespace"], name))
        address = memories.read(((resource or {}).get("status") or {}).get("traffic"))
        if address is None or address.state is not AddressState.SPLIT or not memory.split:
            return None
        written = address.configuration
        wanted = target.split_of(meta["name"], meta["uid"], memory)
        if written is None or written.split != wanted:
            return None
        return address.confirmed_at

    async def _windows(
        self,
        namespace: str,
        name: str,
        spec: ExperimentSpec,
        memory: Memory,
        now: dt.datetime,
    ) -> tuple[Window, ...]:
        watched = any(rail.metric in MEASURED for rail in spec.guardrails)
        if not watched or not memory.split or memory.started_at is None:
            return ()
        labels = ",".join(f"{k}={v}" for k, v in names.router_selector(spec.target).items())
        pods = await self._cluster.list(POD, namespace, labels=labels)
        asked = Pods(
            keys=tuple(arm.key for arm in memory.arms),
            routers=[
                RouterPod(
                    name=pod["metadata"]["name"],
                    ip=str((pod.get("status") or {}).get("podIP") or ""),
                    ready=routers.ready(pod),
                    port=router.METRICS_PORT,
                )
                for pod in pods
            ],
        )
        # Hours are counted from the start, so that they are the same after a restart.
        hours = max(0, (now - memory.started_at) // BLOCK)
        since = memory.started_at + hours * BLOCK
        window = await self._requests(f"{namespace}/{name}", asked, since)
        return self._blocks.setdefault((namespace, name), _Blocks()).grown(window)


def _moving(status: Mapping[str, Any]) -> bool:
    """Whether another revision is to have the address; one that was rolled back is not."""
    phase = (status.get("rollout") or {}).get("phase")
    return bool(status.get("candidateRevision")) and phase != Rollout.ROLLED_BACK.value


def _sum(one: Window, other: Window) -> Window:
    arms = {
        key: one.arms.get(key, Counts()) + other.arms.get(key, Counts())
        for key in {*one.arms, *other.arms}
    }
    return Window(begin=one.begin, end=other.end, arms=arms)


def inputs_reader(scraper: Scraper) -> AskInputs:
    """Return how a model's pods are asked: by the metadata of the Open Inference Protocol."""

    async def ask(name: str, pods: Sequence[Mapping[str, Any]]) -> tuple[Input, ...] | None:
        targets = [
            Target(
                pod=pod["metadata"]["name"],
                ip=str((pod.get("status") or {}).get("podIP") or ""),
                port=HTTP_PORT,
                path=f"/v2/models/{name}",
            )
            for pod in pods[:3]
        ]
        for page in await scraper.read(targets):
            if isinstance(page, Page) and (found := inputs(page.body)) is not None:
                return found
        return None

    return ask


def inputs(body: bytes) -> tuple[Input, ...] | None:
    """Return the inputs in a model's metadata, None where it is none."""
    try:
        document = orjson.loads(body)
        return tuple(
            Input(
                name=str(each["name"]),
                datatype=str(each["datatype"]),
                shape=tuple(int(size) for size in each["shape"]),
            )
            for each in document["inputs"]
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None


def requests_reader(direct: Direct) -> Requests:
    """Return how an address's requests are read: from its routers."""

    async def read(address: str, pods: Pods, since: dt.datetime) -> Window:
        return (await direct.read(address, pods, since)).window()

    return read
