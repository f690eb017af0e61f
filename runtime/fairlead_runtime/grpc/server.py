"""The gRPC server: begins and ends with the HTTP server, over the same model."""

from __future__ import annotations

import logging

import grpc.aio

from fairlead_runtime.dataplane.model import ServedModel
from fairlead_runtime.grpc import reflection
from fairlead_runtime.grpc.health import Health
from fairlead_runtime.grpc.inference import Inference

log = logging.getLogger(__name__)
_SLACK = 1 << 20
_KEEPALIVE_MS = 60_000
_LEAST_PING_MS = 10_000


class GrpcServer:
    """Serves one model over gRPC."""

    def __init__(
        self,
        model: ServedModel,
        *,
        host: str,
        port: int,
        server_version: str,
        max_message_bytes: int,
        max_calls: int,
        max_connection_age_s: float,
        drain_s: float,
    ) -> None:
        self._host = f"[{host}]" if ":" in host else host
        self._port = port
        self._max_calls = max_calls
        # gRPC itself spreads the ages by 10 %. A call in flight outlives its connection's age.
        self._options = [
            ("grpc.max_receive_message_length", max_message_bytes + _SLACK),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_connection_age_ms", max(1, round(max_connection_age_s * 1000))),
            ("grpc.max_connection_age_grace_ms", max(1, round(drain_s * 1000))),
            ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
            ("grpc.http2.min_ping_interval_without_data_ms", _LEAST_PING_MS),
            ("grpc.so_reuseport", 0),
        ]
        self._handlers = [
            Inference(model, server_version).handler(),
            Health(model).handler(),
            *reflection.handlers(),
        ]
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            OSError: The port cannot be opened.
        """
        self._server = grpc.aio.server(
            options=self._options, maximum_concurrent_rpcs=self._max_calls
        )
        self._server.add_generic_rpc_handlers(tuple(self._handlers))
        try:
            port = self._server.add_insecure_port(f"{self._host}:{self._port}")
        except RuntimeError:
            raise OSError(f"cannot listen on port {self._port} for gRPC") from None
        await self._server.start()
        log.info("listening on %s:%d for gRPC", self._host, port)

    async def stop(self, grace_s: float) -> None:
        """Accept no more, answer what is there for at most so long, and end."""
        if self._server is not None:
            await self._server.stop(grace_s)
