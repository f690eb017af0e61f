"""Traces of requests by OpenTelemetry: spans of the request, its wait, and the model's run.

Imported only where it is asked for. Spans are handed over explicitly, never by context variables:
an answer may be begun outside of a task of its own.

A batch is one run for several requests. Each request's trace has the run as a span of its own, with
a link to a span of the batch, and that one links to every request in it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from fairlead_runtime.batching.traced import Traced

_SERVICE = "fairlead-runtime"
_PATH = "/v1/traces"
_EXPORT_S = 5.0
_LAST_S = 2.0
_MODEL_NAME, _MODEL_VERSION = "fairlead.model.name", "fairlead.model.version"


class Tracing:
    """Makes spans and sends them to a collector, from a thread that nobody waits for.

    What the collector does not take is dropped: predictions never wait for it.
    """

    def __init__(self, *, endpoint: str, share: float, model_name: str, model_version: str) -> None:
        """Begin.

        Args:
            endpoint: URL of the collector; without a path `/v1/traces` is added.
            share: Share of the traces that are kept where no caller has decided; else its word
                counts.
            model_name: The model's name, on every span.
            model_version: Its version.
        """
        resource = Resource.create()  # with OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME
        if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
            resource = resource.merge(Resource({SERVICE_NAME: _SERVICE}))
        url = endpoint.rstrip("/")
        exporter = OTLPSpanExporter(
            endpoint=url if url.endswith(_PATH) else url + _PATH, timeout=_EXPORT_S
        )
        self._processor = BatchSpanProcessor(exporter)
        provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(share)), resource=resource, shutdown_on_exit=False
        )
        provider.add_span_processor(self._processor)
        self._tracer = provider.get_tracer("fairlead_runtime")
        self._propagator = TraceContextTextMapPropagator()
        self._model = {_MODEL_NAME: model_name, _MODEL_VERSION: model_version}

    def begin(self, name: str, carrier: Mapping[str, str], attributes: Mapping[str, str]) -> Span:
        """Begin the span of a request.

        Args:
            name: What is asked for.
            carrier: `traceparent` and `tracestate` as they came, where they did.
            attributes: What else is known, by OpenTelemetry's names.
        """
        return self._tracer.start_span(
            name,
            context=self._propagator.extract(carrier),
            kind=SpanKind.SERVER,
            attributes={**self._model, **attributes},
        )

    def end(self, span: Span, key: str, status: int | str, *, failed: bool) -> None:
        """End the span of a request.

        Args:
            span: The span.
            key: OpenTelemetry's name of the status.
            status: The status.
            failed: Whether it blames the server.
        """
        span.set_attribute(key, status)
        if failed:
            span.set_status(Status(StatusCode.ERROR))
        span.end()

    def ran(self, batch: Sequence[Traced], *, rows: int, seconds: float) -> None:
        """Make the spans of a batch that has just ended.

        Args:
            batch: Its requests that have a span.
            rows: Rows of the whole batch.
            seconds: How long the model ran.
        """
        ended_ns, ended_s = time.time_ns(), time.monotonic()
        began_ns = ended_ns - int(seconds * 1e9)
        sampled = [each for each in batch if each.span.get_span_context().trace_flags.sampled]
        if not sampled:
            return
        links = [Link(each.span.get_span_context()) for each in sampled]
        size: dict[str, str | int] = {
            **self._model,
            "fairlead.batch.rows": rows,
            "fairlead.batch.requests": len(batch),
        }
        together: list[Link] = []
        if len(batch) > 1:
            # Not a child of one of them: it is as much the others'. Kept because they are.
            first = trace.set_span_in_context(sampled[0].span)
            whole = self._tracer.start_span(
                "batch", context=first, links=links, attributes=size, start_time=began_ns
            )
            whole.end(ended_ns)
            together = [Link(whole.get_span_context())]
        for each in sampled:
            context = trace.set_span_in_context(each.span)
            arrived_ns = ended_ns - int((ended_s - each.arrived) * 1e9)
            queue = self._tracer.start_span("queue", context=context, start_time=arrived_ns)
            queue.end(max(arrived_ns, began_ns))
            run = self._tracer.start_span(
                "onnxruntime", context=context, links=together, attributes=size,
                start_time=max(arrived_ns, began_ns),
            )  # fmt: skip
            if each.failed:
                run.set_status(Status(StatusCode.ERROR))
            run.end(ended_ns)

    def close(self) -> None:
        """Send what is left, for two seconds at most."""
        # Its own limit is half a minute: a collector that hangs must not hold the process.
        ending = threading.Thread(target=self._processor.shutdown, daemon=True)
        ending.start()
        ending.join(_LAST_S)
