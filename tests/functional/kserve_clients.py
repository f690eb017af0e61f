"""Asks a server with KServe's own clients: `python kserve_clients.py HTTP_PORT GRPC_PORT`.

Run by tests/functional/test_kserve_clients.py with a Python that has kserve, which fits into no
environment with other things. Prints one JSON object of what the clients were told.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import numpy as np
from kserve import (  # type: ignore[import-not-found]
    InferenceGRPCClient,
    InferenceRESTClient,
    InferInput,
    InferRequest,
    RESTConfig,
)

ROWS = np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]], np.float32)


def _request(identity: str, *, raw: bool) -> Any:
    tensor = InferInput("x", list(ROWS.shape), "FP32")
    tensor.set_data_from_numpy(ROWS, binary_data=raw)
    return InferRequest("m", [tensor], request_id=identity)


def _told(answer: Any) -> dict[str, Any]:
    outputs = {each.name: each.as_numpy().tolist() for each in answer.outputs}
    return {"id": answer.id, "outputs": outputs}


async def _ask(http_port: str, grpc_port: str) -> dict[str, Any]:
    base = f"http://127.0.0.1:{http_port}"
    rest = InferenceRESTClient(RESTConfig(protocol="v2", timeout=20))
    rpc = InferenceGRPCClient(f"127.0.0.1:{grpc_port}")
    told: dict[str, Any] = {
        "live": await rest.is_server_live(base) and await rpc.is_server_live(),
        "ready": await rest.is_server_ready(base) and await rpc.is_server_ready(),
        "model": await rest.is_model_ready(base, "m") and await rpc.is_model_ready("m"),
    }
    for raw in (False, True):
        request = _request(f"rest-{raw}", raw=raw)
        told[f"rest-{raw}"] = _told(await rest.infer(base, request, model_name="m"))
        told[f"grpc-{raw}"] = _told(await rpc.infer(_request(f"grpc-{raw}", raw=raw)))
    return told


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_ask(sys.argv[1], sys.argv[2]))))
