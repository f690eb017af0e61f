"""The Job that tries a candidate out: on its own image, with its resources, where it would run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlead_operator.api import duration
from fairlead_operator.planning import names
from fairlead_operator.planning.source import (
    MODEL_DIR,
    REDIRECTS_VARIABLE,
    SECRET_DIR,
    SECRET_VOLUME,
    scheme,
)

CONTAINER = "validate"
_EXAMPLES_DIR = "/fairlead/examples"
_SERVING_ONLY = (
    "ports",
    "startupProbe",
    "readinessProbe",
    "livenessProbe",
    "lifecycle",
)


def job_spec(
    *,
    name: str,
    revision_hash: str,
    template: Mapping[str, Any],
    validation: Mapping[str, Any],
    objectives: Mapping[str, Any],
    threads: int | None,
) -> dict[str, Any]:
    """Return the spec of a revision's validation Job.

    Args:
        name: The ModelDeployment's name.
        revision_hash: The revision's hash.
        template: The revision's pod template.
        validation: `spec.validation` with defaults, as JSON.
        objectives: `spec.objectives`, as JSON.
        threads: `spec.runtime.threads`.
    """
    pod = dict(template["spec"])
    for field in ("topologySpreadConstraints", "terminationGracePeriodSeconds"):
        pod.pop(field, None)
    server = dict(next(each for each in pod["containers"] if each["name"] == "runtime"))
    for field in _SERVING_ONLY:
        server.pop(field, None)
    secret = any(each["name"] == SECRET_VOLUME for each in pod.get("volumes", ()))
    volumes, mounts, examples = _examples(validation.get("examplesUri"), secret=secret)
    server |= {
        "name": CONTAINER,
        "args": [*_args(validation, objectives, threads), *examples],
        # The report, and not what the container printed last.
        "terminationMessagePolicy": "File",
        "volumeMounts": [*server.get("volumeMounts", ()), *mounts],
    }
    # The examples are fetched here, under the rule under which the model was.
    denied = [
        each
        for init in pod.get("initContainers", ())
        for each in init.get("env", ())
        if each["name"] == REDIRECTS_VARIABLE
    ]
    if denied:
        server["env"] = [*server.get("env", ()), *denied]
    pod |= {
        "restartPolicy": "Never",
        "containers": [server],
        "volumes": [*pod.get("volumes", ()), *volumes],
    }
    return {
        # One try: whether there is another, and when, is decided by why this one failed.
        "backoffLimit": 0,
        "activeDeadlineSeconds": duration.seconds(str(validation.get("deadline") or "15m")),
        "template": {
            "metadata": {"labels": names.validation_labels(name, revision_hash)},
            "spec": pod,
        },
    }


def _args(
    validation: Mapping[str, Any], objectives: Mapping[str, Any], threads: int | None
) -> list[str]:
    args = [
        "validate",
        MODEL_DIR,
        "--tolerance-milli",
        str(validation.get("toleranceMilli", 1)),
        "--max-non-finite-milli",
        str(validation.get("maxNonFiniteMilli", 0)),
    ]
    if objectives.get("maxLatencyMs"):
        args += ["--max-latency-ms", str(objectives["maxLatencyMs"])]
    if threads:
        args += ["--threads", str(threads)]
    return args


def _examples(
    uri: object, *, secret: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]:
    """Return volumes, mounts and flags for golden examples, wherever they are.

    Args:
        uri: `spec.validation.examplesUri`.
        secret: Whether the pod has the model's Secret, with which they are fetched as well.
    """
    if not uri:
        return [], [], []
    text = str(uri)
    holder, _, path = text.partition("://")[2].partition("/")
    kind = scheme(text)
    if kind == "file":
        return [], [], ["--examples", f"/{path}"]
    if kind not in ("configmap", "pvc"):
        if not secret:
            return [], [], ["--examples", text]
        mount = {"name": SECRET_VOLUME, "mountPath": SECRET_DIR, "readOnly": True}
        return [], [mount], ["--examples", text, "--secret-dir", SECRET_DIR]
    volume: dict[str, Any] = {"name": "examples"}
    if kind == "configmap":
        volume["configMap"] = {"name": holder}
    else:
        volume["persistentVolumeClaim"] = {"claimName": holder, "readOnly": True}
    mount = {"name": "examples", "mountPath": _EXAMPLES_DIR, "readOnly": True}
    return [volume], [mount], ["--examples", f"{_EXAMPLES_DIR}/{path}"]
