"""Load by gRPC: a process of its own, so that its cost is not the server's.

python -m bench.runtime.calls PORT SECONDS CONNECTIONS WIDTH ROWS
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time

import grpc
import grpc.aio
import numpy as np

from bench.runtime.bodies import rows
from bench.runtime.load import Load
from bench.runtime.servers import Running
from fairlead_runtime.grpc import messages

_METHOD = "/inference.GRPCInferenceService/ModelInfer"


def call(server: Running, *, connections: int, seconds: int, width: int, count: int) -> Load:
    """Load a server for a while; each connection has one call under way.

    Raises:
        RuntimeError: A call failed.
    """
    arguments = [str(each) for each in (server.grpc_port, seconds, connections, width, count)]
    before = server.cpu_s()
    done = subprocess.run(
        [sys.executable, "-m", "bench.runtime.calls", *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    cpu_s = server.cpu_s() - before
    if done.returncode:
        raise RuntimeError(f"{server.name}: {done.stderr[-2000:]}")
    said = json.loads(done.stdout)
    return Load(
        rps=said["rps"],
        p50_ms=said["p50_ms"],
        p99_ms=said["p99_ms"],
        cpu_us=cpu_s / max(1, said["calls"]) * 1e6,
    )


async def _press(port: int, seconds: float, connections: int, width: int, count: int) -> None:
    data = rows(width, count)
    request = messages.INFERENCE["ModelInferRequest"](
        model_name="model", raw_input_contents=[data.tobytes()]
    )
    request.inputs.add(name="x", datatype="FP32", shape=list(data.shape))
    until = time.perf_counter() + seconds
    times: list[float] = []

    async def client() -> None:
        # Without an option of its own each channel would share the others' connection.
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
            infer = channel.unary_unary(
                _METHOD,
                request_serializer=type(request).SerializeToString,
                response_deserializer=messages.INFERENCE["ModelInferResponse"].FromString,
            )
            while time.perf_counter() < until:
                started = time.perf_counter()
                await infer(request, timeout=30)
                times.append(time.perf_counter() - started)

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(connections)))
    took = time.perf_counter() - started
    p50, p99 = (float(np.quantile(times, q)) * 1e3 for q in (0.5, 0.99))
    print(json.dumps({"calls": len(times), "rps": len(times) / took, "p50_ms": p50, "p99_ms": p99}))


if __name__ == "__main__":
    port, seconds, connections, width, count = map(int, sys.argv[1:])
    asyncio.run(_press(port, seconds, connections, width, count))
