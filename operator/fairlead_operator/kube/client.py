"""Requests to the API server, as JSON, through the official client's asyncio half."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode

import aiohttp
import orjson
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import load_incluster_config, load_kube_config

from fairlead_operator.kube.errors import UnreachableError, error_for
from fairlead_operator.kube.kinds import Kind

JSONObject = dict[str, Any]
FIELD_MANAGER = "fairlead"
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_REQUEST_TIMEOUT_S = 30.0
_PAGE = 500


class WriteGate(Protocol):
    """Says before each write whether this replica may write at all."""

    def check(self) -> None:
        """Raise NotLeaderError where it may not."""


class OpenGate:
    """Lets every write pass: for the Lease itself, and for what runs alone."""

    def check(self) -> None:
        """Allow the write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """How to reach the API server, for a client that is not this one."""

    server: str
    ca_path: str | None = None
    ca_data: str | None = None
    insecure: bool = False
    scheme: str | None = None
    token: str | None = None
    certificate_path: str | None = None
    private_key_path: str | None = None
    proxy: str | None = None


class Cluster:
    """The requests that the operator makes; each raises a KubeError where it fails."""

    def __init__(self, api: ApiClient, *, gate: WriteGate | None = None) -> None:
        self._api = api
        self.gate: WriteGate = gate or OpenGate()
        self.reads = 0
        self.writes = 0

    @classmethod
    async def connect(cls, kubeconfig: str | None = None) -> Cluster:
        """Connect by a kubeconfig, as a pod does, or by `KUBECONFIG` (`~/.kube/config`)."""
        configuration = Configuration()
        path = kubeconfig or os.environ.get("KUBECONFIG") or None
        if path is None and os.environ.get("KUBERNETES_SERVICE_HOST"):
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            await load_kube_config(  # type: ignore[no-untyped-call]
                config_file=path, client_configuration=configuration, persist_config=False
            )
        configuration.connection_pool_maxsize = 16
        return cls(ApiClient(configuration))

    def gated(self, gate: WriteGate) -> Cluster:
        """Return the same connections behind another gate."""
        return Cluster(self._api, gate=gate)

    async def credentials(self) -> Credentials:
        """Return what these connections are made with; a token is read anew where it expires."""
        chosen = self._api.configuration
        header = await chosen.get_api_key_with_prefix("BearerToken")
        scheme, _, token = str(header or "").rpartition(" ")
        return Credentials(
            server=chosen.host,
            ca_path=chosen.ssl_ca_cert,
            ca_data=chosen.ca_cert_data,
            insecure=not chosen.verify_ssl,
            scheme=scheme.capitalize() or None,
            token=token or None,
            certificate_path=chosen.cert_file,
            private_key_path=chosen.key_file,
            proxy=chosen.proxy,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()  # type: ignore[no-untyped-call]

    async def get(self, kind: Kind, namespace: str, name: str) -> JSONObject | None:
        """Read one object; None where it does not exist."""
        self.reads += 1
        status, body = await self._send("GET", kind.path(namespace, name))
        if status == 404:
            return None
        return _checked(status, body)

    async def list(
        self, kind: Kind, namespace: str | None, *, labels: str = "", fields: str = ""
    ) -> list[JSONObject]:
        """Read all objects of a kind, in pages, by label and field selector."""
        items: list[JSONObject] = []
        query = {"limit": str(_PAGE), "labelSelector": labels, "fieldSelector": fields}
        while True:
            self.reads += 1
            status, body = await self._send("GET", kind.path(namespace), query=query)
            answer = _checked(status, body)
            for item in answer.get("items") or []:
                # Items of a list carry neither; everything above relies on them.
                item.setdefault("apiVersion", kind.api_version)
                item.setdefault("kind", kind.kind)
                items.append(item)
            token = (answer.get("metadata") or {}).get("continue")
            if not token:
                return items
            query["continue"] = token

    async def apply(
        self, kind: Kind, manifest: JSONObject, sub: str | None = None, *, force: bool = True
    ) -> JSONObject:
        """Apply the fields of a manifest server-side, as the one field manager.

        A `resourceVersion` in the manifest makes it fail where that is stale, a `uid` where the
        object is gone or another one.

        Args:
            kind: The object's kind.
            manifest: The fields that are wanted.
            sub: The subresource that is meant.
            force: Whether to take over fields that somebody else has set.
        """
        meta = manifest["metadata"]
        path = kind.path(meta["namespace"], meta["name"], sub)
        return await self._write("PATCH", path, manifest, content_type=_APPLY, force=force)

    async def merge(self, kind: Kind, namespace: str, name: str, patch: JSONObject) -> JSONObject:
        """Change some fields of an object; a `uid` among them makes it fail for another one."""
        return await self._write("PATCH", kind.path(namespace, name), patch, content_type=_MERGE)

    async def create(self, kind: Kind, namespace: str, body: JSONObject) -> JSONObject:
        """Create an object."""
        return await self._write("POST", kind.path(namespace), body)

    async def replace(self, kind: Kind, body: JSONObject) -> JSONObject:
        """Replace an object; its `resourceVersion` makes it fail where stale."""
        meta = body["metadata"]
        return await self._write("PUT", kind.path(meta["namespace"], meta["name"]), body)

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> None:
        """Delete just this object (by UID), its children in the background; gone is fine."""
        self.gate.check()
        self.writes += 1
        options = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        status, body = await self._send("DELETE", kind.path(namespace, name), body=options)
        if status not in (404, 409):  # 409: another object has taken the name since
            _checked(status, body)

    async def _write(
        self,
        method: str,
        path: str,
        body: JSONObject,
        *,
        content_type: str = "application/json",
        force: bool = False,
    ) -> JSONObject:
        self.gate.check()
        self.writes += 1
        query = {"fieldManager": FIELD_MANAGER}
        if force:
            query["force"] = "true"
        status, answer = await self._send(
            method, path, query=query, body=body, content_type=content_type
        )
        return _checked(status, answer)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: JSONObject | None = None,
        content_type: str = "application/json",
    ) -> tuple[int, bytes]:
        headers = {"Accept": "application/json", "Content-Type": content_type}
        await self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = self._api.configuration.host + path
        query = {key: value for key, value in (query or {}).items() if value}
        if query:
            url += "?" + urlencode(query)
        try:
            answer = await self._api.call_api(
                method, url, headers, body, _request_timeout=_REQUEST_TIMEOUT_S
            )
            content: bytes = await answer.read()  # type: ignore[no-untyped-call]
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            message = f"{method} {path}: {type(error).__name__}: {error}"
            raise UnreachableError(message) from error
        return answer.status, content


def _checked(status: int, body: bytes) -> JSONObject:
    if 200 <= status < 300:
        answer: JSONObject = orjson.loads(body) if body else {}
        return answer
    reason, message = "", body[:500].decode("utf-8", "replace")
    try:
        document = orjson.loads(body)
        reason, message = document.get("reason", ""), document.get("message", message)
    except (orjson.JSONDecodeError, AttributeError):
        pass  # whatever stands between us and the API server answered in its own words
    raise error_for(status, reason, message)
