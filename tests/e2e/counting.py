"""The chart's recorder on a real node, with a volume of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx

from cluster import forward, provider, release
from cluster.provider import Provider
from tests.e2e import sharing
from tests.e2e.world import JSONObject

NAME = sharing.RECORDER
AUDIENCE = "fairlead-recorder"


class Counting:
    """The recorder, as applications and people use it."""

    def __init__(self, cluster: Provider) -> None:
        self._cluster = cluster

    def read(self, path: str) -> str:
        """Read a page of it, through the API server."""
        proxy = f"/api/v1/namespaces/{release.NAMESPACE}/services/{NAME}:http/proxy"
        return self._kubectl("get", "--raw", f"{proxy}{path}")

    def summary(self, namespace: str, name: str) -> JSONObject:
        """Return what was counted for an Experiment."""
        found: JSONObject = json.loads(self.read(f"/v1/experiments/{namespace}/{name}/summary"))
        return found

    def units(self, namespace: str, name: str) -> int:
        """Return how many users were exposed and have not departed."""
        epochs = self.summary(namespace, name)["epochs"]
        return sum(arm["units"] for epoch in epochs for arm in epoch["arms"].values())

    def report(self, namespace: str, name: str, outcomes: Sequence[JSONObject]) -> Any:
        """Send an Experiment's outcomes with a token of the namespace's own."""
        return self._post(namespace, f"experiments/{namespace}/{name}", outcomes)

    def turned_out(self, namespace: str, name: str, outcomes: Sequence[JSONObject]) -> Any:
        """Send the outcomes of a model's predictions, likewise."""
        return self._post(namespace, f"modeldeployments/{namespace}/{name}", outcomes)

    def _post(self, namespace: str, what: str, outcomes: Sequence[JSONObject]) -> Any:
        token = provider.kubectl(
            self._cluster.kubeconfig, "-n", namespace, "create", "token", "default",
            "--audience", AUDIENCE,
        )  # fmt: skip
        with forward.forwarded(
            self._cluster.kubeconfig, release.NAMESPACE, f"service/{NAME}", 8080
        ) as url:
            answer = httpx.post(
                f"{url}/v1/{what}/outcomes",
                json={"outcomes": list(outcomes)},
                headers={"Authorization": f"Bearer {token.strip()}"},
                trust_env=False,
                timeout=30,
            )
        assert answer.status_code == 200, answer.text
        return answer.json()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Take it away meanwhile; its volume stays."""
        self._kubectl("scale", f"statefulset/{NAME}", "--replicas=0")
        self._kubectl("wait", "--for=delete", f"pod/{NAME}-0", "--timeout=60s")
        try:
            yield
        finally:
            self._kubectl("scale", f"statefulset/{NAME}", "--replicas=1")
            self._kubectl("rollout", "status", f"statefulset/{NAME}", "--timeout=120s")

    def _kubectl(self, *args: str) -> str:
        return provider.kubectl(self._cluster.kubeconfig, "-n", release.NAMESPACE, *args)
