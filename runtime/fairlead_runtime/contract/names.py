"""Names that dashboards, alerts and other parts rely on; changing one is a breaking change."""

from __future__ import annotations

PREDICTIONS_TOTAL = "model_predictions_total"
"""Counter of requests, labels `model_version` and `status` (`success` or `error`)."""
PREDICTION_ERRORS_TOTAL = "model_prediction_errors_total"
"""Counter of the requests of status `error` by cause, labels `model_version` and `code`: the code
in the answer's body, see `protocol.errors.Code`."""
SERVER_FAULTS = ("NotReady", "Overloaded", "DeadlineExceeded", "InferenceFailed", "Internal")
"""The codes that blame the server; all others blame the request. Error budgets count these."""
PREDICTION_LATENCY_SECONDS = "model_prediction_latency_seconds"
"""Histogram of the time from parsed request to answer, label `model_version`."""
REQUESTS_IN_FLIGHT = "model_requests_in_flight"
"""Gauge of requests that are being answered."""
MODEL_INFO = "model_info"
"""Gauge that is always 1, labels `model_name`, `model_version` and `digest`."""
MODEL_PROVIDER_INFO = "model_provider_info"
"""Gauge that is always 1, labels `model_version`, `asked` (auto, cpu or cuda) and `used`
(onnxruntime's name of the execution provider)."""
MODEL_LOAD_SECONDS = "model_load_seconds"
"""Gauge of the time that loading the model took."""
BATCH_ROWS = "model_batch_rows"
"""Histogram of the rows of each run of the model."""
BATCH_REQUESTS = "model_batch_requests"
"""Histogram of the requests that ran together."""
QUEUE_SECONDS = "model_queue_seconds"
"""Histogram of the time that a request waited before the model ran."""
INFERENCE_SECONDS = "model_inference_seconds"
"""Histogram of the time in onnxruntime of each run."""
REQUESTS_WAITING = "model_requests_waiting"
"""Gauge of requests that wait for the model."""
REQUESTS_DROPPED_TOTAL = "model_requests_dropped_total"
"""Counter of requests that were not run, label `reason`: queue_full, queue_slow, deadline,
cancelled; and connections (one too many) and bodies (too many bytes at once), which never became
requests."""
BATCHES_SPLIT_TOTAL = "model_batches_split_total"
"""Counter of batches that failed and were run request by request."""
PREDICTIONS_CHECKED_TOTAL = "model_predictions_checked_total"
"""Counter of answers that were looked at for NaN and infinities, label `model_version`: at a high
rate a sample."""
PREDICTIONS_NON_FINITE_TOTAL = "model_predictions_non_finite_total"
"""Counter of those of them that hold NaN or an infinity, label `model_version`."""
OBSERVATIONS_DROPPED_TOTAL = "model_observations_dropped_total"
"""Counter of answers that drift, logs and checks did not see, label `reason`: queue_full,
sink_failed, event_failed, log_full, log_failed (three of the prediction log) or access_log."""
PREDICTIONS_LOGGED_TOTAL = "model_predictions_logged_total"
"""Counter of answers that were written to the prediction log, label `model_version`."""

PLATFORM = "onnxruntime_onnx"
"""What the inference protocol calls the kind of model that is served."""

STATUS_SUCCESS = "success"
STATUS_ERROR = "error"

REQUEST_ID_HEADER = "x-request-id"
"""Taken as the request's id where its body has none, and sent back with the answer."""
MODEL_VERSION_HEADER = "x-fairlead-model-version"
"""Sent with each answer of the model."""
TIMEOUT_HEADER = "x-request-timeout-ms"
"""How long the client waits, in milliseconds; later the answer is 504, and the model is not run."""
LONGEST_TIMEOUT_MS = 86_400_000
"""The longest time limit that is taken: a day."""
ENVOY_TIMEOUT_HEADER = "x-envoy-expected-rq-timeout-ms"
"""The same, as Envoy tells it to what stands behind it."""
TRACE_HEADERS = ("traceparent", "tracestate")
"""W3C trace context: sent back as it came."""

UNIT_HEADER = "x-fairlead-unit"
"""Set by the router from salt and user; what it picks the arm by. A client's own is overwritten."""
VARIANT_HEADER = "x-fairlead-variant"
"""Sent by the router with each request and answer: the variant whose pod answers."""
EXPERIMENT_HEADER = "x-fairlead-experiment"
"""Sent by the router, likewise, while an experiment splits the traffic: its name."""
MODEL_HEADER = "x-fairlead-model"
"""Sent by the router with each request: the name of the address, which an arm that is a model of
another name answers for as well."""
COMPARE_HEADER = "x-fairlead-compare"
"""On both copies of a mirrored request whose outputs are kept to be compared."""
COMPARED, NOT_COMPARED = "1", "0"
"""Its values: the outputs are kept, or are not because too many a second are."""
COMPARED_PATH = "/fairlead/v1/compared"
"""Where the metrics port shows the answers to requests that are compared."""
