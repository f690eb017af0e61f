"""The pod of a revision. Rendered once, then frozen: see `planning.children`.

Whatever changes here reaches new revisions only, because an upgrade of the operator must restart
no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fairlead_operator.planning import gpu, names
from fairlead_operator.planning.source import MODEL_DIR, REDIRECTS_VARIABLE, source
from fairlead_runtime.contract.drift_names import PROFILE_FILE

HTTP_PORT = 8080
GRPC_PORT = 9000
METRICS_PORT = 9002
"""Metrics, drift counts and compared answers: not at the address, and so not for clients."""
UID = 65532
PRE_STOP_S = 15
"""Endpoints and proxies need a moment to forget a pod; until then it goes on answering."""
DRAIN_S = 20
_GRACE_S = PRE_STOP_S + DRAIN_S + 10
_TOKEN_DIR = "/fairlead/recorder"  # noqa: S105 - a path
_TOKEN_VOLUME: dict[str, Any] = {
    "name": "recorder-token",
    "projected": {
        "sources": [
            {
                "serviceAccountToken": {
                    "audience": "fairlead-recorder",
                    "expirationSeconds": 3600,
                    "path": "token",
                }
            }
        ]
    },
}
_STARTUP_PROBES = 300  # seconds that a model may take to load before the kubelet gives up


def pod_template(
    *,
    name: str,
    revision_hash: str,
    version: str,
    image: str,
    model: Mapping[str, Any],
    runtime: Mapping[str, Any],
    connection_age_s: float,
    private_redirects: bool = True,
    predictions: str = "",
    tracing: tuple[str, float] = ("", 1.0),
) -> dict[str, Any]:
    """Return the pod template of a revision, fit for the restricted Pod Security Standard.

    Args:
        name: The ModelDeployment's name: also the model's name in the inference protocol.
        revision_hash: The revision's hash.
        version: The label on metrics and responses.
        image: The runtime image, frozen in the revision.
        model: `spec.model` as JSON.
        runtime: `spec.runtime` as JSON.
        connection_age_s: Age at which the server ends a connection, so that a moved address
            empties the old pods.
        private_redirects: Whether the fetch follows a redirect to an address that is not public.
        predictions: URL of the recorder that takes its predictions; empty for nowhere.
        tracing: URL of a collector of traces, empty for none, and the share that is traced; a
            variable of the same name in `spec.runtime.env` wins.
    """
    origin = source(model)
    fetch = _fetch(name, revision_hash, image, model, origin.args, origin.mounts)
    if not private_redirects:
        denied = {"name": REDIRECTS_VARIABLE, "value": "deny"}
        fetch["env"] = [*fetch.get("env", ()), denied]
    spec: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _GRACE_S,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": UID,
            "runAsGroup": UID,
            "fsGroup": UID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": [fetch],
        "containers": [
            _server(name, version, image, model, runtime, connection_age_s, predictions, tracing)
        ],
        "volumes": [
            {"name": "model", "emptyDir": {"sizeLimit": _size_limit(model)}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
            *origin.volumes,
            *([_TOKEN_VOLUME] if predictions else []),
        ],
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": names.selector(name, revision_hash)},
            }
        ],
    }
    for field in ("nodeSelector", "tolerations", "affinity", "serviceAccountName"):
        if runtime.get(field):
            spec[field] = runtime[field]
    if runtime.get("imagePullSecrets"):
        spec["imagePullSecrets"] = runtime["imagePullSecrets"]
    return {
        "metadata": {
            "labels": names.labels(name, revision_hash),
            "annotations": {
                "kubectl.kubernetes.io/default-container": "runtime",
                "prometheus.io/scrape": "true",
                "prometheus.io/port": str(METRICS_PORT),
                "prometheus.io/path": "/metrics",
            },
        },
        "spec": spec,
    }


def _fetch(
    name: str,
    revision_hash: str,
    image: str,
    model: Mapping[str, Any],
    args: tuple[str, ...],
    mounts: tuple[dict[str, Any], ...],
) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": "fetch",
        "image": image,
        "args": list(args),
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
        "securityContext": _locked_down(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "model", "mountPath": MODEL_DIR},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - inside the pod
            *mounts,
        ],
    }
    if not model.get("digest"):
        # The first pod's digest, once it is known: the later ones refuse other bytes. A reference
        # rather than a value, because a value would change the template and restart every pod.
        container["env"] = [
            {
                "name": "FAIRLEAD_MODEL_DIGEST",
                "valueFrom": {
                    "configMapKeyRef": {
                        "name": names.revision_name(name, revision_hash),
                        "key": names.DIGEST_KEY,
                        "optional": True,
                    }
                },
            }
        ]
    return container


def _server(
    name: str,
    version: str,
    image: str,
    model: Mapping[str, Any],
    runtime: Mapping[str, Any],
    connection_age_s: float,
    predictions: str,
    tracing: tuple[str, float],
) -> dict[str, Any]:
    args = [
        "serve",
        MODEL_DIR,
        "--model-name",
        name,
        "--model-version",
        version,
        "--http-port",
        str(HTTP_PORT),
        "--grpc-port",
        str(GRPC_PORT),
        "--metrics-port",
        str(METRICS_PORT),
        "--drain-seconds",
        str(DRAIN_S),
        "--max-connection-age-s",
        f"{connection_age_s:g}",
    ]
    if model.get("profileUri"):
        # By name, so that one that could not be had is reported; one beside the model need not be.
        args += ["--profile", f"{MODEL_DIR}/{PROFILE_FILE}"]
    if predictions:
        share = int(runtime["recordPredictionsPercent"]) / 100
        args += ["--prediction-log", predictions, "--prediction-log-share", f"{share:g}"]
        args += ["--prediction-log-token-file", f"{_TOKEN_DIR}/token"]
    if runtime.get("threads"):
        args += ["--threads", str(runtime["threads"])]
    container: dict[str, Any] = {
        "name": "runtime",
        "image": image,
        "args": args,
        "ports": [
            {"name": "http", "containerPort": HTTP_PORT, "protocol": "TCP"},
            {"name": "grpc", "containerPort": GRPC_PORT, "protocol": "TCP"},
            {"name": "metrics", "containerPort": METRICS_PORT, "protocol": "TCP"},
        ],
        "resources": _resources(runtime.get("resources") or {}),
        "securityContext": _locked_down(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "startupProbe": _probe("/health/ready", periodSeconds=1, failureThreshold=_STARTUP_PROBES),
        "readinessProbe": _probe("/health/ready", periodSeconds=5, failureThreshold=2),
        "livenessProbe": _probe("/health/live", periodSeconds=10, failureThreshold=6),
        "lifecycle": {"preStop": {"sleep": {"seconds": PRE_STOP_S}}},
        "volumeMounts": [
            {"name": "model", "mountPath": MODEL_DIR, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - inside the pod
        ],
    }
    if predictions:
        mount = {"name": _TOKEN_VOLUME["name"], "mountPath": _TOKEN_DIR, "readOnly": True}
        container["volumeMounts"].append(mount)
    environment = [*_tracing(runtime.get("env") or (), *tracing), *gpu.environment(runtime)]
    if environment:
        container["env"] = environment
    return container


def _tracing(
    given: Sequence[Mapping[str, Any]], endpoint: str, share: float
) -> list[dict[str, str]]:
    """Return the variables by which the runtime traces, but for those that the user has set."""
    if not endpoint:
        return []
    theirs = {each["name"] for each in given}
    ours = {"FAIRLEAD_OTLP_ENDPOINT": endpoint, "FAIRLEAD_TRACE_SHARE": f"{share:g}"}
    return [{"name": key, "value": value} for key, value in ours.items() if key not in theirs]


def _resources(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the user's resources, with requests that the scheduler and the HPA can count on."""
    limits = dict(given.get("limits") or {})
    requests = dict(given.get("requests") or {})
    for resource, least in (("cpu", "100m"), ("memory", "128Mi")):
        if resource not in requests and resource not in limits:
            requests[resource] = least
    resources: dict[str, Any] = {}
    if requests:
        resources["requests"] = requests
    if limits:
        resources["limits"] = limits
    return resources


def _probe(path: str, **timing: int) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": HTTP_PORT}, "timeoutSeconds": 3, **timing}


def _locked_down() -> dict[str, Any]:
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def _size_limit(model: Mapping[str, Any]) -> str:
    # The limit is the fetch's own; this one only catches what slips past it.
    return f"{int(model.get('maxSizeMiB', 2048)) + 64}Mi"
