"""One batch through the model; called on the event loop or in a worker thread."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fairlead_runtime.batching.plan import Output, merge, split
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
        whole: The outputs of all together, of which the results are parts; None where each has
            its own.
    """

    results: list[Result]
    seconds: float
    failure: Exception | None = None
    whole: Mapping[str, Output] | None = None


def run(engine: Engine, requests: Sequence[InferRequest]) -> Ran:
    """Run requests that have the same key together; where that fails, each alone.

    So one bad row fails its own request and no other. Never raises for what a model does.
    """
    started = time.perf_counter()
    if len(requests) == 1:
        result = _alone(engine, requests[0])
        return Ran([result], time.perf_counter() - started)
    try:
        counts = [len(next(iter(request.inputs.values()))) for request in requests]
        merged = merge([request.inputs for request in requests])
        whole = engine.run(merged, requests[0].outputs)
        parts = split(whole, counts)
    except Exception as error:  # noqa: BLE001 - whatever it is: perhaps it is one request's
        alone = [_alone(engine, request) for request in requests]
        return Ran(alone, time.perf_counter() - started, failure=error)
    seconds = time.perf_counter() - started
    results: list[Result] = [InferResponse(outputs=part, seconds=seconds) for part in parts]
    return Ran(results, seconds, whole=whole)


def _alone(engine: Engine, request: InferRequest) -> Result:
    started = time.perf_counter()
    try:
        outputs = engine.run(request.inputs, request.outputs)
    except Exception as error:  # noqa: BLE001 - the caller of this request gets it, no other
        return error
    return InferResponse(outputs=outputs, seconds=time.perf_counter() - started)
