"""The service grpc.health.v1.Health: whether new traffic should come here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from fairlead_runtime.dataplane.model import Phase, ServedModel
from fairlead_runtime.grpc.messages import HEALTH, HEALTH_SERVICE, INFERENCE_SERVICE

_KNOWN = ("", INFERENCE_SERVICE)
_SERVING, _NOT_SERVING, _SERVICE_UNKNOWN = 1, 2, 3
_POLL_S = 0.1
_ENDED = (Phase.DRAINING, Phase.FAILED)


class Health:
    """The service of one model."""

    def __init__(self, model: ServedModel) -> None:
        self._model = model

    def handler(self) -> grpc.GenericRpcHandler:
        """Return the handler of the service."""
        return grpc.method_handlers_generic_handler(
            HEALTH_SERVICE,
            {
                "Check": grpc.unary_unary_rpc_method_handler(self._check),
                "Watch": grpc.unary_stream_rpc_method_handler(self._watch),
            },
        )

    async def _check(self, body: bytes, context: Any) -> bytes:  # noqa: ANN401 - grpc.aio's own
        service = await _service(body, context)
        if service not in _KNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no service {service!r}")
        return self._response(service)

    async def _watch(self, body: bytes, context: Any) -> AsyncIterator[bytes]:  # noqa: ANN401
        """Tell of each change; end with the server, so that a watcher never holds its drain."""
        service = await _service(body, context)
        told = b""
        while True:
            ended = self._model.phase in _ENDED
            response = self._response(service)
            if response != told:
                told = response
                yield response
            if ended:
                return
            await asyncio.sleep(_POLL_S)

    def _response(self, service: str) -> bytes:
        status = _SERVICE_UNKNOWN
        if service in _KNOWN:
            status = _SERVING if self._model.ready else _NOT_SERVING
        encoded: bytes = HEALTH["HealthCheckResponse"](status=status).SerializeToString()
        return encoded


async def _service(body: bytes, context: Any) -> str:  # noqa: ANN401 - grpc.aio's own
    try:
        return str(HEALTH["HealthCheckRequest"].FromString(body).service)
    except DecodeError:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no HealthCheckRequest")
        raise
