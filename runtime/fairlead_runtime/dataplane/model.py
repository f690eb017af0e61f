"""One served model: it loads, answers through its queue, and counts what it does."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import TYPE_CHECKING

from fairlead_runtime.batching.probe import Profile, closed_batch, profile
from fairlead_runtime.batching.queue import Batcher
from fairlead_runtime.batching.run import Ran
from fairlead_runtime.batching.settings import Choice, Mode, Settings, choose
from fairlead_runtime.dataplane.access import AccessLog
from fairlead_runtime.dataplane.aside import Aside, Sink
from fairlead_runtime.dataplane.finite import FiniteCheck
from fairlead_runtime.engine.padded import PaddedEngine, fixed_batch
from fairlead_runtime.engine.providers import Provider
from fairlead_runtime.engine.session import Engine
from fairlead_runtime.metrics.counters import Metrics
from fairlead_runtime.protocol.answering import Answering, answering
from fairlead_runtime.protocol.errors import NotReadyError, UnknownModelError
from fairlead_runtime.protocol.types import InferRequest, InferResponse, Signature

if TYPE_CHECKING:  # OpenTelemetry is there only where it is asked for
    from fairlead_runtime.dataplane.tracing import Tracing

log = logging.getLogger(__name__)
_LAST_LOOK_S = 2.0


class Phase(StrEnum):
    """Where a served model stands."""

    LOADING = "loading"
    HEALTHY = "healthy"
    DRAINING = "draining"
    FAILED = "failed"


class ServedModel:
    """A model under a name and version.

    Attributes:
        aside: Where the protocols' edges show each answer; None while nobody looks.
        properties: What else clients are told of the model.
        access: Where they note each request; None where no access log is wanted.
        tracing: What makes spans of requests; None where nobody wants them.
    """

    def __init__(
        self,
        *,
        name: str,
        version: str,
        metrics: Metrics,
        batching: Settings | None = None,
    ) -> None:
        self.name, self.version = name, version
        self.metrics = metrics
        self.phase = Phase.LOADING
        self.digest = ""
        self.aside: Aside | None = None
        self.access: AccessLog | None = None
        self.tracing: Tracing | None = None
        self.properties: dict[str, str] = {}
        self._look: Callable[[Ran], None] | None = None
        self._engine: Engine | None = None
        self._batcher: Batcher | None = None
        self._answering: Answering | None = None
        self._settings = batching or Settings()
        # One model run at a time per worker: more would only fight for the same cores.
        self._pool = ThreadPoolExecutor(self._settings.workers, thread_name_prefix="model")

    async def load(self, make: Callable[[], tuple[Engine, str]]) -> None:
        """Load the model in a thread, so that the server answers meanwhile.

        Args:
            make: Returns the engine and the model's digest; its errors are passed on.
        """
        started = time.perf_counter()
        loop = asyncio.get_running_loop()
        try:
            engine, digest, found, choice = await loop.run_in_executor(
                self._pool, lambda: _prepared(make, self._settings)
            )
        except BaseException:
            self.phase = Phase.FAILED
            raise
        self._engine, self.digest = engine, digest
        self._batcher = Batcher(
            engine,
            settings=self._settings,
            choice=choice,
            profile=found,
            pool=self._pool,
            observer=self.metrics,
            tracer=self.tracing,
            look=self._look,
        )
        self.metrics.watch_queue(lambda: self._batcher.waiting if self._batcher else 0)
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

    def runs_with(self, provider: Provider) -> None:
        """Tell clients and metrics where the model runs; may be called by the loading thread."""
        found = {"provider": provider.used, "provider_asked": str(provider.asked)}
        if provider.why:
            found["provider_why"] = provider.why
        self.properties = found
        self.metrics.provided(asked=provider.asked, used=provider.used)

    def check_name(self, name: str, version: str | None) -> None:
        """Raise UnknownModelError unless this model and version is served here."""
        if name != self.name:
            raise UnknownModelError(f"model {name!r} is not served here; {self.name!r} is")
        if version is not None and version != self.version:
            message = f"version {version!r} of {name!r} is not served here; {self.version!r} is"
            raise UnknownModelError(message)

    def infer(self, request: InferRequest) -> Awaitable[InferResponse]:
        """Answer one request; the event loop stays free meanwhile.

        Raises:
            NotReadyError: The model is not loaded.
            OverloadedError: Too many requests are waiting.
            DeadlineError: The request's deadline passed first.
            InferenceError: The model failed on this input.
        """
        if self._batcher is None:
            self._loaded()  # raises
            raise AssertionError
        return self._batcher.infer(request)

    def watch(
        self, sink: Sink, *, sample: bool | Callable[[], bool] = False, marked: bool = False
    ) -> None:
        """Show a sink all further answers, or some (see `Aside.add`); may be called at any time."""
        self._aside().add(sink, sample=sample, marked=marked)

    def watch_at_once(self, sink: Sink) -> None:
        """Show a sink all further answers on the event loop (see `Aside.add_prompt`)."""
        self._aside().add_prompt(sink)

    def check_outputs(self) -> None:
        """Count answers with NaN or infinities; to be asked for before the model is loaded."""
        self._look = FiniteCheck(self.metrics).look

    def log_access(self) -> None:
        """Log each request from now on."""
        self.access = AccessLog(self.metrics)
        self.access.start()

    def close(self) -> None:
        """End the threads once they are done; what sinks have not seen yet they see now."""
        self._pool.shutdown(wait=False)
        for worker in (self.aside, self.access):
            if worker is not None:
                worker.close(_LAST_LOOK_S)
        if self.tracing is not None:
            self.tracing.close()

    def _aside(self) -> Aside:
        if self.aside is None:
            self.aside = Aside(self.metrics)
        return self.aside

    def _loaded(self) -> Engine:
        if self._engine is None:
            raise NotReadyError(f"model {self.name!r} is {self.phase.value}: try again later")
        return self._engine


def _prepared(
    make: Callable[[], tuple[Engine, str]], settings: Settings
) -> tuple[Engine, str, Profile, Choice]:
    """Load a model and find out how to serve it; blocks."""
    engine, digest = make()
    size = fixed_batch(engine.signature)
    if size is not None:
        padded = PaddedEngine(engine, size)
        found = profile(padded, max_rows=settings.max_rows)
        if found.merges:
            log.info("the model takes %d rows at a time: fewer are filled up", size)
            choice = choose(settings, found, room=None)
            return padded, digest, found, choice
    found = profile(engine, max_rows=settings.max_rows)
    choice = choose(settings, found, room=closed_batch(engine.signature))
    where = "on the event loop" if choice.inline else "in a thread"
    what = "batches" if choice.merge else "requests one by one"
    log.info("%s run %s (%s)", what, where, choice.why)
    if choice.merge and not found.merges and settings.mode is not Mode.OFF:
        log.warning("batching was asked for, but %s", found.reason)
    return engine, digest, found, choice
