"""One served model: it loads, answers from a pool of threads, and counts what it does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum

from fairlead_runtime.engine.session import Engine
from fairlead_runtime.metrics.counters import Metrics
from fairlead_runtime.protocol.answering import Answering, answering
from fairlead_runtime.protocol.errors import NotReadyError, UnknownModelError
from fairlead_runtime.protocol.types import InferRequest, InferResponse, Signature


class Phase(StrEnum):
    """Where a served model stands."""

    LOADING = "loading"
    HEALTHY = "healthy"
    DRAINING = "draining"
    FAILED = "failed"


class ServedModel:
    """A model under a name and version."""

    def __init__(self, *, name: str, version: str, metrics: Metrics, workers: int) -> None:
        self.name, self.version = name, version
        self.metrics = metrics
        self.phase = Phase.LOADING
        self.digest = ""
        self._engine: Engine | None = None
        self._answering: Answering | None = None
        # One model run at a time per worker: more would only fight for the same cores.
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="model")

    async def load(self, make: Callable[[], tuple[Engine, str]]) -> None:
        """Load the model in a thread, so that the server answers meanwhile.

        Args:
            make: Returns the engine and the model's digest; its errors are passed on.
        """
        started = time.perf_counter()
        loop = asyncio.get_running_loop()
        try:
            engine, digest = await loop.run_in_executor(self._pool, make)
        except BaseException:
            self.phase = Phase.FAILED
            raise
        self._engine, self.digest = engine, digest
        self._answering = answering(engine.signature)
        self.metrics.loaded(digest=digest, seconds=time.perf_counter() - started)
        if self.phase is Phase.LOADING:
            self.phase = Phase.HEALTHY

    @property
    def loaded(self) -> bool:
        """Whether the model can answer."""
        return self._engine is not None

    @property
    def ready(self) -> bool:
        """Whether new traffic should come here."""
        return self.phase is Phase.HEALTHY

    def drain(self) -> None:
        """Ask for no new traffic; what comes all the same is answered."""
        if self.phase is not Phase.FAILED:
            self.phase = Phase.DRAINING

    def signature(self) -> Signature:
        """Return what the model takes and gives.

        Raises:
            NotReadyError: It is not loaded.
        """
        return self._loaded().signature

    def answering(self) -> Answering:
        """Return which outputs the simple API shows.

        Raises:
            NotReadyError: The model is not loaded.
        """
        return answering(self._loaded().signature) if self._answering is None else self._answering

    def check_name(self, name: str, version: str | None) -> None:
        """Raise UnknownModelError unless this model and version is served here."""
        if name != self.name:
            raise UnknownModelError(f"model {name!r} is not served here; {self.name!r} is")
        if version is not None and version != self.version:
            message = f"version {version!r} of {name!r} is not served here; {self.version!r} is"
            raise UnknownModelError(message)

    async def infer(self, request: InferRequest) -> InferResponse:
        """Answer one request; the event loop stays free meanwhile.

        Raises:
            NotReadyError: The model is not loaded.
            InferenceError: The model failed on this input.
        """
        engine = self._loaded()

        def run() -> InferResponse:
            started = time.perf_counter()
            outputs = engine.run(request.inputs, request.outputs)
            return InferResponse(outputs=outputs, seconds=time.perf_counter() - started)

        return await asyncio.get_running_loop().run_in_executor(self._pool, run)

    def close(self) -> None:
        """End the threads once they are done."""
        self._pool.shutdown(wait=False)

    def _loaded(self) -> Engine:
        if self._engine is None:
            raise NotReadyError(f"model {self.name!r} is {self.phase.value}: try again later")
        return self._engine
