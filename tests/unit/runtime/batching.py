"""A model that doubles, in front of it the queue, and whoever asks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from fairlead_runtime.batching.probe import Profile
from fairlead_runtime.batching.queue import Batcher
from fairlead_runtime.batching.settings import Choice, Settings
from fairlead_runtime.metrics.counters import Metrics
from fairlead_runtime.protocol.errors import InferenceError
from fairlead_runtime.protocol.types import (
    Array,
    InferRequest,
    InferResponse,
    Signature,
    TensorSpec,
)


class Doubling:
    """Doubles its input; refuses negative numbers; waits while `gate` is closed."""

    def __init__(self) -> None:
        spec = TensorSpec(name="x", datatype="FP32", shape=(-1, -1))
        self.signature = Signature(
            inputs=(spec,), outputs=(TensorSpec(name="y", datatype="FP32", shape=(-1, -1)),)
        )
        self.gate = threading.Event()
        self.gate.set()
        self.started = threading.Event()
        self.batches: list[int] = []
        self.threads: set[str] = set()

    def run(
        self, inputs: Mapping[str, Array], outputs: tuple[str, ...] | None
    ) -> dict[str, Array | list[Any]]:
        self.started.set()
        assert self.gate.wait(30)
        self.batches.append(len(inputs["x"]))
        self.threads.add(threading.current_thread().name)
        if (inputs["x"] < 0).any():
            raise InferenceError("negative")
        return {"y": inputs["x"] * 2}


def request(
    value: float, rows: int = 1, width: int = 2, deadline: float | None = None
) -> InferRequest:
    data = np.full((rows, width), value, np.float32)
    return InferRequest(inputs={"x": data}, deadline=deadline)


class World:
    def __init__(
        self,
        pool: ThreadPoolExecutor,
        *,
        inline: bool,
        merge: bool = True,
        single_s: float = 1e-5,
        batch_s: float = 1e-5,
        **wishes: Any,
    ) -> None:
        self.engine = Doubling()
        self.metrics = Metrics(model_name="m", model_version="1")
        self.batcher = Batcher(
            self.engine,
            settings=Settings(**wishes),
            choice=Choice(merge=merge, inline=inline, why=""),
            profile=Profile(merges=True, single_s=single_s, batch_s=batch_s, batch_rows=64),
            pool=pool,
            observer=self.metrics,
        )

    def ask(
        self, value: float, *, rows: int = 1, width: int = 2, deadline: float | None = None
    ) -> asyncio.Task[InferResponse]:
        async def answer() -> InferResponse:
            return await self.batcher.infer(request(value, rows, width, deadline))

        return asyncio.create_task(answer())

    def sample(self, line: str) -> float:
        for each in self.metrics.render().decode().splitlines():
            if each.startswith(line + " "):
                return float(each.rsplit(" ", 1)[1])
        raise AssertionError(line)


async def values(tasks: list[asyncio.Task[InferResponse]]) -> list[float]:
    return [float(np.asarray(answer.outputs["y"])[0, 0]) for answer in await asyncio.gather(*tasks)]
