"""Requests to the API server, as JSON, through the official client."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fairlead_cli.errors import CLIError, ClusterError, ForbiddenError, NotFoundError
from fairlead_cli.kinds import MODEL_DEPLOYMENT, Kind
from fairlead_cli.reading import JSON

_TIMEOUT_S = 30.0
_PAGE = 500
_MERGE = "application/merge-patch+json"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a pod behind the API server answered.

    Attributes:
        status: The HTTP status.
        headers: By lower-case name.
        body: The bytes.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class Cluster:
    """The cluster of a kubeconfig's context; each request raises a CLIError where it fails."""

    def __init__(self, api: Any, namespace: str) -> None:  # noqa: ANN401 - the client is untyped
        self._api = api
        self.namespace = namespace

    @classmethod
    def connect(
        cls, *, kubeconfig: str | None, context: str | None, namespace: str | None
    ) -> Cluster:
        """Connect as kubectl does; in a pod without a kubeconfig, as its ServiceAccount.

        Raises:
            ClusterError: There is no kubeconfig, or it has no such context.
        """
        # The client's own warnings about tries that fail would stand before our message.
        logging.getLogger("urllib3").setLevel(logging.ERROR)
        from kubernetes import config
        from kubernetes.client import ApiClient, Configuration

        chosen = Configuration()
        chosen.retries = 0
        try:
            config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=kubeconfig,
                context=context,
                client_configuration=chosen,
                persist_config=False,
            )
            own = _namespace_of(kubeconfig, context)
        except config.ConfigException as error:
            if kubeconfig or context:
                raise ClusterError(f"the kubeconfig cannot be used: {error}") from error
            own = _in_cluster(chosen, error)
        except OSError as error:
            raise ClusterError(f"the kubeconfig cannot be read: {error}") from error
        return cls(ApiClient(chosen), namespace or own)

    def get(self, kind: Kind, namespace: str | None, name: str) -> JSON:
        """Read one object.

        Raises:
            NotFoundError: It does not exist.
        """
        found = self.find(kind, namespace, name)
        if found is None:
            where = f" in namespace {namespace}" if namespace else ""
            raise NotFoundError(
                f"there is no {kind.kind} {name!r}{where}",
                hint=f"kubectl get {kind.plural} --all-namespaces lists those that there are",
            )
        return found

    def find(self, kind: Kind, namespace: str | None, name: str) -> JSON | None:
        """Read one object; None where it, or its kind, does not exist."""
        with contextlib.suppress(NotFoundError):
            return self.request("GET", kind.path(namespace, quote(name, safe="")))
        return None

    def list(self, kind: Kind, namespace: str | None, labels: str = "") -> list[JSON]:
        """Read all objects of a kind, in pages.

        Raises:
            NotFoundError: The cluster does not know the kind.
        """
        found: list[JSON] = []
        query = {"limit": str(_PAGE), "labelSelector": labels}
        while True:
            answer = self.request("GET", kind.path(namespace), query=query)
            found.extend({"kind": kind.kind, **item} for item in answer.get("items") or [])
            following = (answer.get("metadata") or {}).get("continue")
            if not following:
                return found
            query["continue"] = following

    def merge(self, kind: Kind, namespace: str, name: str, patch: JSON) -> JSON:
        """Change some fields of an object."""
        headers = {"Content-Type": _MERGE}
        path = kind.path(namespace, quote(name, safe=""))
        query = {"fieldManager": "fairlead-cli"}
        return self.request("PATCH", path, body=patch, headers=headers, query=query)

    def create(self, kind: Kind, namespace: str | None, body: JSON) -> JSON:
        """Create an object, or ask for a review."""
        whole = {"apiVersion": kind.api_version, "kind": kind.kind, **body}
        return self.request("POST", kind.path(namespace), body=whole)

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: JSON | None = None,
    ) -> JSON:
        """Make a request and return its JSON.

        Raises:
            CLIError: It failed; the message is the API server's own.
        """
        answer = self._send(method, path, dict(query or {}), dict(headers or {}), body)
        if answer.status >= 300:
            raise _error(answer)
        document: JSON = json.loads(answer.body)
        return document

    def through(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        timeout_s: float = _TIMEOUT_S,
    ) -> Answer:
        """Make a request to a pod or Service by the API server's proxy; any status is an answer."""
        return self._send(method, path, {}, dict(headers or {}), body, timeout_s)

    def _send(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        headers: dict[str, str],
        body: JSON | bytes | None,
        timeout_s: float = _TIMEOUT_S,
    ) -> Answer:
        from urllib3.exceptions import HTTPError

        kept = {key: value for key, value in query.items() if value}
        headers = {"Accept": "application/json", **headers}
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        try:
            method, url, headers, _, _ = self._api.param_serialize(
                method, path, query_params=list(kept.items()), header_params=headers,
                auth_settings=["BearerToken"],
            )  # fmt: skip
            # Bytes are sent as they are; the client would make its own JSON of anything else.
            data = json.dumps(body).encode() if isinstance(body, dict) else body
            answer = self._api.rest_client.pool_manager.request(
                method, url, headers=headers, body=data, timeout=timeout_s, redirect=False
            )
        except (HTTPError, OSError) as error:
            host = self._api.configuration.host
            raise ClusterError(
                f"the API server {host} does not answer: {error}",
                hint="kubectl version asks the same server; --context takes another one",
            ) from error
        lowered = {str(key).lower(): str(value) for key, value in answer.headers.items()}
        return Answer(answer.status, lowered, answer.data)


def _error(answer: Answer) -> CLIError:
    try:
        message = str(json.loads(answer.body).get("message") or "")
    except (ValueError, AttributeError):
        message = ""
    message = message or answer.body.decode(errors="replace").strip()[:300]
    if answer.status == 404:
        return NotFoundError(message, hint="kubectl fairlead doctor says what is not installed")
    if answer.status in (401, 403):
        hint = "ask an administrator for the right that the message names"
        return ForbiddenError(message, hint=hint)
    if answer.status in (400, 409, 422):
        return CLIError(message)
    return ClusterError(f"the API server failed ({answer.status}): {message}")


def _namespace_of(kubeconfig: str | None, context: str | None) -> str:
    from kubernetes import config

    contexts, active = config.list_kube_config_contexts(  # type: ignore[no-untyped-call]
        config_file=kubeconfig
    )
    wanted = [each for each in contexts if each["name"] == context] or [active]
    return str(wanted[0]["context"].get("namespace") or "default")


def _in_cluster(chosen: Any, why: Exception) -> str:  # noqa: ANN401 - the client is untyped
    from kubernetes import config

    try:
        config.load_incluster_config(  # type: ignore[no-untyped-call]
            client_configuration=chosen
        )
        with open(  # noqa: PTH123 - a file that the kubelet writes
            "/var/run/secrets/kubernetes.io/serviceaccount/namespace", encoding="utf-8"
        ) as file:
            return file.read().strip() or "default"
    except (config.ConfigException, OSError):
        raise ClusterError(
            f"there is no kubeconfig: {why}",
            hint="name one by --kubeconfig or the variable KUBECONFIG",
        ) from why


def service_path(namespace: str, name: str, port: str, path: str) -> str:
    """Return where the API server forwards requests to a Service."""
    return f"/api/v1/namespaces/{namespace}/services/{quote(name)}:{port}/proxy/{path.lstrip('/')}"


def pod_path(namespace: str, name: str, port: int, path: str) -> str:
    """Return where the API server forwards requests to a pod."""
    return f"/api/v1/namespaces/{namespace}/pods/{quote(name)}:{port}/proxy/{path.lstrip('/')}"


def resource_name(text: str) -> str:
    """Return the name in `NAME` or `modeldeployment/NAME`."""
    kind, slash, name = text.rpartition("/")
    known = {MODEL_DEPLOYMENT.plural, MODEL_DEPLOYMENT.kind.lower(), "mdep"}
    if slash and kind.lower() not in known:
        raise NotFoundError(f"{kind!r} is no kind that this command takes: name a ModelDeployment")
    return name
