"""Asking the API server whose a token is."""

from __future__ import annotations

import os
from typing import Any

import aiohttp
import orjson
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import load_incluster_config, load_kube_config

from fairlead_recorder.http.access import AUDIENCE, UnreachableError

_PATH = "/apis/authentication.k8s.io/v1/tokenreviews"
_TIMEOUT_S = 5.0


class TokenReviews:
    """A client that makes TokenReviews and nothing else."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api

    @classmethod
    async def connect(cls) -> TokenReviews:
        """Connect as a pod does, or by `KUBECONFIG`."""
        configuration = Configuration()
        path = os.environ.get("KUBECONFIG") or None
        if path is None and os.environ.get("KUBERNETES_SERVICE_HOST"):
            load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            await load_kube_config(  # type: ignore[no-untyped-call]
                config_file=path, client_configuration=configuration, persist_config=False
            )
        return cls(ApiClient(configuration))

    async def close(self) -> None:
        """End the connections."""
        await self._api.close()  # type: ignore[no-untyped-call]

    async def __call__(self, token: str) -> str | None:
        """Return the user name of a token, None where it is not valid for our audience."""
        review = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [AUDIENCE]},
        }
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        url = self._api.configuration.host + _PATH
        try:
            await self._api.update_params_for_auth(
                headers, [], ["BearerToken"], _PATH, "POST", review
            )
            response = await self._api.call_api(
                "POST", url, headers, review, _request_timeout=_TIMEOUT_S
            )
            body: bytes = await response.read()  # type: ignore[no-untyped-call]
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnreachableError(str(error) or type(error).__name__) from error
        if response.status != 201:
            raise UnreachableError(f"HTTP {response.status}: {body[:300]!r}")
        return _user(orjson.loads(body).get("status") or {})


def _user(status: dict[str, Any]) -> str | None:
    # An API server that does not know audiences answers without them: that token is for itself.
    if not status.get("authenticated") or AUDIENCE not in (status.get("audiences") or []):
        return None
    name = (status.get("user") or {}).get("username")
    return name if isinstance(name, str) else None
