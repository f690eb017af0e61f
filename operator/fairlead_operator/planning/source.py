"""Where a model comes from: what the URI means for the pod that fetches it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SOURCE_DIR = "/fairlead/source"
PROFILE_SOURCE_DIR = "/fairlead/profile"
SECRET_DIR = "/fairlead/secret"  # noqa: S105 - a path
SECRET_VOLUME = "secret"  # noqa: S105 - the volume's name
MODEL_DIR = "/model"
REDIRECTS_VARIABLE = "FAIRLEAD_PRIVATE_REDIRECTS"
"""Whether a redirect may lead to an address that is not public."""


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
    """Return how a pod gets the model of this `spec.model`, and the profile that it names."""
    uri = str(model["uri"])
    args = ["fetch", uri, MODEL_DIR, "--max-size-mib", str(model.get("maxSizeMiB", 2048))]
    if model.get("digest"):
        args += ["--digest", str(model["digest"])]
    volumes: list[dict[str, Any]] = []
    mounts: list[dict[str, Any]] = []
    if volume := _volume("source", uri):
        args += ["--source-dir", SOURCE_DIR]
        volumes.append(volume)
        mounts.append({"name": "source", "mountPath": SOURCE_DIR, "readOnly": True})
    if model.get("secretName"):
        secret = {"secretName": str(model["secretName"])}
        volumes.append({"name": SECRET_VOLUME, "secret": secret})
        mounts.append({"name": SECRET_VOLUME, "mountPath": SECRET_DIR, "readOnly": True})
        args += ["--secret-dir", SECRET_DIR]
    if model.get("profileUri"):
        profile = str(model["profileUri"])
        args += ["--profile-uri", profile]
        if volume := _volume("profile", profile):
            # A profile that is not there holds up no pod. Of claims Kubernetes cannot say so.
            if "configMap" in volume:
                volume["configMap"]["optional"] = True
            args += ["--profile-source-dir", PROFILE_SOURCE_DIR]
            volumes.append(volume)
            mounts.append({"name": "profile", "mountPath": PROFILE_SOURCE_DIR, "readOnly": True})
    return Source(args=tuple(args), volumes=tuple(volumes), mounts=tuple(mounts))


def _volume(name: str, uri: str) -> dict[str, Any] | None:
    """Return the volume that a URI leads into; None where it leads elsewhere."""
    holder = uri.partition("://")[2].partition("/")[0]
    kind = scheme(uri)
    if kind == "configmap":
        return {"name": name, "configMap": {"name": holder}}
    if kind == "pvc":
        claim = {"claimName": holder, "readOnly": True}
        return {"name": name, "persistentVolumeClaim": claim}
    return None
