"""Names that dashboards, alerts and other parts rely on; changing one is a breaking change."""

from __future__ import annotations

PREDICTIONS_TOTAL = "model_predictions_total"
"""Counter of requests, labels `model_version` and `status` (`success` or `error`)."""
PREDICTION_LATENCY_SECONDS = "model_prediction_latency_seconds"
"""Histogram of the time from parsed request to answer, label `model_version`."""
REQUESTS_IN_FLIGHT = "model_requests_in_flight"
"""Gauge of requests that are being answered."""
MODEL_INFO = "model_info"
"""Gauge that is always 1, labels `model_name`, `model_version` and `digest`."""
MODEL_LOAD_SECONDS = "model_load_seconds"
"""Gauge of the time that loading the model took."""

STATUS_SUCCESS = "success"
STATUS_ERROR = "error"

REQUEST_ID_HEADER = "x-request-id"
"""Taken as the request's id where its body has none, and sent back with the answer."""
MODEL_VERSION_HEADER = "x-fairlead-model-version"
"""Sent with each answer of the model."""

UNIT_HEADER = "x-fairlead-unit"
"""Set by the router from salt and user; what it picks the arm by. A client's own is overwritten."""
VARIANT_HEADER = "x-fairlead-variant"
"""Sent by the router with each answer: the variant whose pod answered."""
EXPERIMENT_HEADER = "x-fairlead-experiment"
"""Sent by the router with each answer while an experiment splits the traffic: its name."""
COMPARE_HEADER = "x-fairlead-compare"
"""On both copies of a mirrored request whose outputs are kept to be compared."""
