"""Plays the routers of a cluster without nodes: they have what their kubelet has given them.

The Deployment is real, and so are ConfigMap and annotations; only that a kubelet swaps the files
when a pod changes, and that Envoy takes them, comes from here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fairlead_operator.kube.kinds import CONFIG_MAP, POD
from fairlead_operator.planning import names
from fairlead_operator.reconcile.routers import going, ready
from fairlead_operator.traffic import documents
from fairlead_operator.traffic.documents import Versions
from fairlead_operator.traffic.states import Router
from tests.apiserver.api import JSON, Api
from tests.apiserver.kubelet import Kubelet
from tests.apiserver.rig import Rig


class PlayedRouters:
    """The routers of one ModelDeployment; give it to a rig as `read_routers`."""

    def __init__(self, api: Api, namespace: str, name: str = "fraud") -> None:
        self._api = api
        self._namespace = namespace
        self.deployment = names.router_name(name)
        self.mounts: dict[str, tuple[str, Versions]] = {}
        self.deaf: set[str] = set()
        """Pods that take nothing that is new."""
        self.silent: set[str] = set()
        """Pods that cannot be asked."""
        self.connections = 0
        self.asked = 0

    async def __call__(self, pods: Sequence[Mapping[str, Any]]) -> tuple[Router, ...]:
        self.asked += 1
        return tuple([await self._router(pod) for pod in pods])

    async def start(self, kubelet: Kubelet, count: int = 2) -> list[str]:
        """Let the router's pods become ready, and return their names."""
        found = await kubelet.some_pods(self.deployment, count)
        for pod in found:
            await kubelet.runs(pod)
        await kubelet.ready_is(self.deployment, count)
        return [pod["metadata"]["name"] for pod in found]

    async def written(self) -> dict[str, JSON]:
        """Return the documents in the ConfigMap."""
        live = await self._api.get(CONFIG_MAP, self._namespace, self.deployment)
        return {name: json.loads(text) for name, text in (live or {}).get("data", {}).items()}

    async def shares(self, protocol: str = "http") -> dict[str, int]:
        """Return the slots of each arm's key, by the documents that are written."""
        [table] = (await self.written())[documents.ROUTES[protocol]]["resources"]
        found: dict[str, int] = {}
        for route in table["virtual_hosts"][0]["routes"]:
            action = route["route"]
            picked = action.get("weighted_clusters", {}).get("clusters")
            for each in picked or [{"name": action["cluster"], "weight": 10_000}]:
                key = each["name"].rsplit("_", 1)[0]
                found[key] = found.get(key, 0) + each["weight"]
            return found
        raise AssertionError("there is no route")

    async def _router(self, pod: Mapping[str, Any]) -> Router:
        name = pod["metadata"]["name"]
        told = str((pod["metadata"].get("annotations") or {}).get(names.ROUTER_ANNOTATION))
        if self.mounts.get(name, ("never",))[0] != told and name not in self.deaf:
            self.mounts[name] = (told, await self._given())
        if not ready(pod) or name in self.silent:
            return Router(name=name, ready=ready(pod), going=going(pod))
        return Router(
            name=name,
            ready=True,
            versions=self.mounts[name][1] if name in self.mounts else Versions(),
            connections=self.connections,
        )

    async def _given(self) -> Versions:
        texts = await self.written()
        found = {name: text["version_info"] for name, text in texts.items()}
        return Versions(
            clusters=found.get(documents.CLUSTERS, ""),
            listeners=found.get(documents.LISTENERS, ""),
            routes_http=found.get(documents.ROUTES["http"], ""),
            routes_grpc=found.get(documents.ROUTES["grpc"], ""),
        )


async def routers_of(rig: Rig, api: Api) -> PlayedRouters:
    """Return the routers that a rig asks from here on."""
    found = PlayedRouters(api, rig.namespace)
    rig.routers = found
    return found


async def pods_of(api: Api, namespace: str) -> list[JSON]:
    """Return the router's pods."""
    return await api.list(POD, namespace, f"{names.ROUTER_LABEL}=fraud")
