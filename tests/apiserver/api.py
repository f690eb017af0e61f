"""Plain requests to the API server as its administrator, and waiting on what they show."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from cluster.controlplane import ControlPlane
from fairlead_operator.kube.kinds import MODEL_DEPLOYMENT, Kind

T = TypeVar("T")
JSON = dict[str, Any]

NAMESPACE = Kind("", "v1", "Namespace", "namespaces")
QUOTA = Kind("", "v1", "ResourceQuota", "resourcequotas")
LIMIT_RANGE = Kind("", "v1", "LimitRange", "limitranges")
REPLICA_SET = Kind("apps", "v1", "ReplicaSet", "replicasets")
SERVICE_ACCOUNT = Kind("", "v1", "ServiceAccount", "serviceaccounts")
ROLE = Kind("rbac.authorization.k8s.io", "v1", "Role", "roles")
ROLE_BINDING = Kind("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings")
CRD = Kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions")


class RefusedError(Exception):
    """The API server refused a request."""


class Api:
    """An administrator with a steady hand."""

    def __init__(self, plane: ControlPlane) -> None:
        context = ssl.create_default_context(cafile=str(plane.directory / "ca.crt"))
        self._client = httpx.AsyncClient(
            base_url=plane.server,
            verify=context,
            headers={"Authorization": f"Bearer {plane.token}"},
            timeout=20,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.aclose()

    async def get(self, kind: Kind, namespace: str | None, name: str) -> JSON | None:
        """Return one object, or None."""
        answer = await self._client.get(kind.path(namespace, name))
        return None if answer.status_code == 404 else _checked(answer)

    async def list(self, kind: Kind, namespace: str | None, labels: str = "") -> list[JSON]:
        """Return all objects of a kind."""
        answer = await self._client.get(kind.path(namespace), params={"labelSelector": labels})
        return [{"kind": kind.kind, **item} for item in _checked(answer)["items"]]

    async def create(
        self, kind: Kind, namespace: str | None, body: JSON, sub: str = "", **query: str
    ) -> JSON:
        """Create an object, or post to the subresource of one, `name/what`."""
        path = kind.path(namespace) + (f"/{sub}" if sub else "")
        whole = {"apiVersion": kind.api_version, "kind": kind.kind, **body}
        return _checked(await self._client.post(path, json=whole, params=query))

    async def merge(
        self, kind: Kind, namespace: str | None, name: str, patch: JSON, sub: str | None = None
    ) -> JSON:
        """Change some fields, as `kubectl patch --type=merge`."""
        headers = {"Content-Type": "application/merge-patch+json"}
        path = kind.path(namespace, name, sub)
        return _checked(await self._client.patch(path, json=patch, headers=headers))

    async def replace(self, kind: Kind, namespace: str | None, name: str, body: JSON) -> JSON:
        """Replace an object."""
        return _checked(await self._client.put(kind.path(namespace, name), json=body))

    async def delete(
        self, kind: Kind, namespace: str | None, name: str, propagation: str = "Background"
    ) -> None:
        """Delete an object."""
        body = {"propagationPolicy": propagation}
        _checked(await self._client.request("DELETE", kind.path(namespace, name), json=body))

    async def model(self, namespace: str, name: str = "fraud") -> JSON:
        """Return a ModelDeployment that is there."""
        found = await self.get(MODEL_DEPLOYMENT, namespace, name)
        assert found is not None, f"there is no ModelDeployment {namespace}/{name}"
        return found


def _checked(answer: httpx.Response) -> JSON:
    if answer.status_code >= 300:
        raise RefusedError(f"{answer.status_code}: {answer.text[:600]}")
    body: JSON = answer.json()
    return body


async def until(
    what: str, probe: Callable[[], Awaitable[T | None]], *, within_s: float = 30.0
) -> T:
    """Ask again and again until the answer is true, and return it.

    Raises:
        AssertionError: It never was; the message says what was waited for, and the last answer.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + within_s
    while True:
        found = await probe()
        if found:
            return found
        if loop.time() > end:
            raise AssertionError(f"not within {within_s:.0f} s: {what} (last: {found!r})")
        await asyncio.sleep(0.05)


def condition(resource: JSON, kind: str) -> JSON:
    """Return one condition of a resource; empty where it has none."""
    for each in (resource.get("status") or {}).get("conditions") or ():
        if each["type"] == kind:
            return dict(each)
    return {}


def a_model(name: str = "fraud", **spec: Any) -> JSON:
    """Return a ModelDeployment to create, whose candidates get everything when they are ready."""
    spec = {"validation": {"enabled": False}, "rollout": {"steps": []}, **spec}
    model = {"uri": "configmap://fraud-model/model.onnx", "version": "1"}
    return {"metadata": {"name": name}, "spec": {"model": model, **spec}}
