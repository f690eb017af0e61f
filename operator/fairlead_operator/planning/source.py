"""Where a model comes from: what the URI means for the pod that fetches it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SOURCE_DIR = "/fairlead/source"
SECRET_DIR = "/fairlead/secret"  # noqa: S105 - a path
SECRET_VOLUME = "secret"  # noqa: S105 - the volume's name
MODEL_DIR = "/model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Volumes and mounts of the init container, and its arguments."""

    args: tuple[str, ...]
    volumes: tuple[dict[str, Any], ...] = ()
    mounts: tuple[dict[str, Any], ...] = ()


def scheme(uri: str) -> str:
    """Return the scheme of a URI in lower case, empty where it has none."""
    head, separator, _ = uri.partition("://")
    return head.lower() if separator else ""


def source(model: Mapping[str, Any]) -> Source:
    """Return how a pod gets the model of this `spec.model`."""
    uri = str(model["uri"])
    args = ["fetch", uri, MODEL_DIR, "--max-size-mib", str(model.get("maxSizeMiB", 2048))]
    if model.get("digest"):
        args += ["--digest", str(model["digest"])]
    volumes: list[dict[str, Any]] = []
    mounts: list[dict[str, Any]] = []
    place = uri.partition("://")[2]
    kind = scheme(uri)
    if kind == "configmap":
        volumes.append({"name": "source", "configMap": {"name": place.partition("/")[0]}})
    elif kind == "pvc":
        claim = {"claimName": place.partition("/")[0], "readOnly": True}
        volumes.append({"name": "source", "persistentVolumeClaim": claim})
    if volumes:
        args += ["--source-dir", SOURCE_DIR]
        mounts.append({"name": "source", "mountPath": SOURCE_DIR, "readOnly": True})
    if model.get("secretName"):
        secret = {"secretName": str(model["secretName"])}
        volumes.append({"name": SECRET_VOLUME, "secret": secret})
        mounts.append({"name": SECRET_VOLUME, "mountPath": SECRET_DIR, "readOnly": True})
        args += ["--secret-dir", SECRET_DIR]
    return Source(args=tuple(args), volumes=tuple(volumes), mounts=tuple(mounts))
