"""What a router traces: a span for each request, sent to a collector by OTLP over HTTP.

Its span is the parent of the runtime's: `traceparent` goes on to the pod with the router's span in
it, and the pod's answer carries that one back.
"""

from __future__ import annotations

from typing import Any

from fairlead_operator.traffic.clusters import receiver
from fairlead_operator.traffic.split import Settings

Json = dict[str, Any]
CLUSTER = "collector"
SERVICE = "fairlead-router"
_TYPE = "type.googleapis.com/envoy"
_SAMPLERS = "envoy.tracers.opentelemetry.samplers"
_MILLION = 1_000_000


def clusters(settings: Settings) -> list[Json]:
    """Return the cluster of the collector, where there is one."""
    return [] if settings.collector is None else [receiver(CLUSTER, settings.collector)]


def of_listener(settings: Settings) -> Json:
    """Return what has a listener trace its requests; empty where nothing is traced."""
    if settings.collector is None:
        return {}
    uri = {"uri": f"http://{settings.collector}/v1/traces", "cluster": CLUSTER, "timeout": "5s"}
    config = {
        "@type": f"{_TYPE}.config.trace.v3.OpenTelemetryConfig",
        "http_service": {"http_uri": uri},
        "service_name": SERVICE,
        "sampler": _parent_based(settings.trace_share),
    }
    # Percentages of Envoy's own decision, which only the sampler above is to make.
    everything = {"random_sampling": {"value": 100}, "overall_sampling": {"value": 100}}
    provider = {"name": "envoy.tracers.opentelemetry", "typed_config": config}
    return {"tracing": {"provider": provider, **everything}}


def _parent_based(share: float) -> Json:
    """Return the sampler that keeps to what a caller has decided, and else draws by trace."""
    package = f"{_TYPE}.extensions.tracers.opentelemetry.samplers.v3"
    ratio = {
        "@type": f"{package}.TraceIdRatioBasedSamplerConfig",
        "sampling_percentage": {"numerator": round(share * _MILLION), "denominator": "MILLION"},
    }
    drawn = {"name": f"{_SAMPLERS}.trace_id_ratio_based", "typed_config": ratio}
    parent = {"@type": f"{package}.ParentBasedSamplerConfig", "wrapped_sampler": drawn}
    return {"name": f"{_SAMPLERS}.parent_based", "typed_config": parent}
