"""What a router tells the recorder: who was answered by which variant, under which table.

Its access log goes to the recorder by OTLP over HTTP. The recorder answers when the entries are
durable; what it does not answer with 200 the router counts as dropped, and drops (docs/adr/0008).
"""

from __future__ import annotations

from typing import Any

from fairlead_operator.traffic.clusters import METADATA, receiver
from fairlead_operator.traffic.split import Recorded, Settings
from fairlead_runtime.contract import names

Json = dict[str, Any]
CLUSTER = "recorder"
DROPPED = "envoy_access_logs_open_telemetry_access_log_exposures_logs_dropped"
"""Counter of the routers: entries that the recorder did not take."""
WRITTEN = "envoy_access_logs_open_telemetry_access_log_exposures_logs_written"
"""Counter of the routers: entries that are durable."""
_TYPE = "type.googleapis.com/envoy"
_FIELDS = {
    "experiment": f"%METADATA(ROUTE:{METADATA}:experiment)%",
    "epoch": f"%METADATA(ROUTE:{METADATA}:epoch)%",
    "unit": f"%REQ({names.UNIT_HEADER})%",
    "arm": f"%METADATA(CLUSTER:{METADATA}:variant)%",
    "variant": f"%UPSTREAM_METADATA({METADATA}:variant)%",
}


def of_route(recorded: Recorded) -> Json:
    """Return the metadata of a route whose answers are exposures."""
    said = {"experiment": recorded.uid, "epoch": str(recorded.epoch)}
    return {"filter_metadata": {METADATA: said}}


def access_log(settings: Settings) -> Json:
    """Return the log that is sent to the recorder, without its filter."""
    kind = "https" if settings.recorder_ca else "http"
    attributes = [{"key": key, "value": {"string_value": value}} for key, value in _FIELDS.items()]
    return {
        "name": "envoy.access_loggers.open_telemetry",
        "typed_config": {
            "@type": f"{_TYPE}.extensions.access_loggers.open_telemetry.v3"
            ".OpenTelemetryAccessLogConfig",
            "http_service": {
                "http_uri": {
                    "uri": f"{kind}://{settings.recorder}/v1/logs",
                    "cluster": CLUSTER,
                    "timeout": "10s",
                }
            },
            "stat_prefix": "exposures",
            "disable_builtin_labels": True,
            "attributes": {"values": attributes},
            "buffer_flush_interval": "1s",
            "buffer_size_bytes": 65_536,
        },
    }


def clusters(settings: Settings) -> list[Json]:
    """Return the cluster of the recorder, where there is one. It stays while splits come and go."""
    if settings.recorder is None:
        return []
    cluster = receiver(CLUSTER, settings.recorder)
    if settings.recorder_ca:
        host = settings.recorder.rpartition(":")[0]
        cluster["transport_socket"] = _tls(host, settings.recorder_ca)
    return [cluster]


def _tls(host: str, authority: str) -> Json:
    """Return how the recorder is spoken to: it has to be the one of this name."""
    names_ = [{"san_type": "DNS", "matcher": {"exact": host}}]
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": f"{_TYPE}.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "sni": host,
            "common_tls_context": {
                "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
                "validation_context": {
                    "trusted_ca": {"inline_string": authority},
                    "match_typed_subject_alt_names": names_,
                },
            },
        },
    }
