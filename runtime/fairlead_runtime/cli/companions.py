"""The servers that run beside HTTP."""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os

from fairlead_runtime.dataplane.model import ServedModel
from fairlead_runtime.http.lifecycle import Companion

log = logging.getLogger(__name__)


def companions(args: argparse.Namespace, model: ServedModel, version: str) -> list[Companion]:
    """Return the gRPC server, unless it is switched off; only then is grpcio imported at all."""
    if args.grpc_port == 0:
        return []
    if importlib.util.find_spec("grpc") is None:
        log.warning("gRPC is off: install grpcio and protobuf, or say --grpc-port 0")
        return []
    # Its own lines about ports and forks say nothing that ours do not.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from fairlead_runtime.grpc.server import GrpcServer

    return [
        GrpcServer(
            model,
            host=args.host,
            port=args.grpc_port,
            server_version=version,
            max_message_bytes=args.max_body_mib << 20,
            max_calls=args.max_connections,
            max_connection_age_s=args.max_connection_age_s,
            drain_s=args.drain_seconds,
        )
    ]
