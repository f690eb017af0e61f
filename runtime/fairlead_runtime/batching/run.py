"""One batch through the model; called on the event loop or in a worker thread."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from fairlead_runtime.batching.plan import merge, split
from fairlead_runtime.engine.session import Engine
from fairlead_runtime.protocol.types import InferRequest, InferResponse

Result = InferResponse | Exception


@dataclass(frozen=True, slots=True)
class Ran:
    """What came out of a batch.

    Attributes:
        results: An answer or an error for each request, in order.
        seconds: Time in the model, all runs together.
        failure: Why the requests were run one by one in the end; None where they were not.
    """

    results: list[Result]
    seconds: float
    failure: Exception | None = None


def run(engine: Engine, requests: Sequence[InferRequest]) -> Ran:
    """Run requests that have the same key together; where that fails, each alone.

    So one bad row fails its own request and no other. Never raises for what a model does.
    """
    started = time.perf_counter()
    if len(requests) == 1:
        results = [_alone(engine, requests[0])]
        return Ran(results, time.perf_counter() - started)
    try:
        counts = [len(next(iter(request.inputs.values()))) for request in requests]
        merged = merge([request.inputs for request in requests])
        parts = split(engine.run(merged, requests[0].outputs), counts)
    except Exception as error:  # noqa: BLE001 - whatever it is: perhaps it is one request's
        results = [_alone(engine, request) for request in requests]
        return Ran(results, time.perf_counter() - started, failure=error)
    seconds = time.perf_counter() - started
    return Ran([InferResponse(outputs=part, seconds=seconds) for part in parts], seconds)


def _alone(engine: Engine, request: InferRequest) -> Result:
    started = time.perf_counter()
    try:
        outputs = engine.run(request.inputs, request.outputs)
    except Exception as error:  # noqa: BLE001 - the caller of this request gets it, no other
        return error
    return InferResponse(outputs=outputs, seconds=time.perf_counter() - started)
