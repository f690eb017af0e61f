"""The router of an address: its Deployment, its documents, what it starts with, its budget."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairlead_operator.planning import names
from fairlead_operator.planning.podtemplate import GRPC_PORT, HTTP_PORT, UID

REPLICAS = 2
"""One may be deleted, drained or upgraded while the other answers."""
CPU_LIMIT_MILLIS = 2_000
METRICS_PORT = 9902
BOOTSTRAP = "bootstrap.json"
DOCUMENTS_DIR = "/etc/fairlead/router"
_BOOTSTRAP_DIR = "/etc/fairlead/bootstrap"
_AFTER_AGE_S = 15
"""Longer than a connection's age by what the oldest answer, and the slowest node, may take."""
_GRACE_S = 10
_STARTUP_PROBES = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a router is made of.

    Attributes:
        image: Its image: an Envoy.
        args: Its command line, without the path of the bootstrap document.
        bootstrap: What it starts with; a change needs new pods.
        documents: What changes with the split, by file name.
        connection_age_s: Age at which it ends a connection.
    """

    image: str
    args: Sequence[str]
    bootstrap: str
    documents: Mapping[str, str]
    connection_age_s: int

    @property
    def bootstrap_hash(self) -> str:
        """What tells one bootstrap document from another."""
        return _hash(self.bootstrap)

    @property
    def documents_hash(self) -> str:
        """What tells one set of documents from another."""
        return _hash(repr(sorted(self.documents.items())))


def bootstrap_file() -> str:
    """Return where a router's pod has its bootstrap document."""
    return f"{_BOOTSTRAP_DIR}/{BOOTSTRAP}"


def bootstrap_name(name: str, plan: Plan) -> str:
    """Return the name of the ConfigMap with a bootstrap document."""
    return f"{names.router_name(name)}-{plan.bootstrap_hash}"


def template(name: str, plan: Plan) -> dict[str, Any]:
    """Return a router's pod template, fit for the restricted Pod Security Standard."""
    sleep_s = plan.connection_age_s + _AFTER_AGE_S
    documents, bootstrap = names.router_name(name), bootstrap_name(name, plan)
    return {
        "metadata": {
            "labels": names.router_labels(name),
            "annotations": {
                "prometheus.io/scrape": "true",
                "prometheus.io/port": str(METRICS_PORT),
                "prometheus.io/path": "/stats/prometheus",
            },
        },
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": sleep_s + _GRACE_S,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": UID,
                "runAsGroup": UID,
                "fsGroup": UID,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [_container(plan, sleep_s)],
            # Each mounted as a whole: a file that is mounted by itself never changes.
            "volumes": [
                {"name": "documents", "configMap": {"name": documents}},
                {"name": "bootstrap", "configMap": {"name": bootstrap}},
            ],
            "topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": "kubernetes.io/hostname",
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": {"matchLabels": names.router_selector(name)},
                }
            ],
        },
    }


def deployment_spec(name: str, plan: Plan) -> dict[str, Any]:
    """Return the spec of the router's Deployment; nobody scales it."""
    return {
        "replicas": REPLICAS,
        "selector": {"matchLabels": names.router_selector(name)},
        "template": template(name, plan),
        "progressDeadlineSeconds": 600,
        "revisionHistoryLimit": 1,
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
        },
    }


def _container(plan: Plan, sleep_s: int) -> dict[str, Any]:
    ready = {"httpGet": {"path": "/ready", "port": METRICS_PORT}, "timeoutSeconds": 3}
    return {
        "name": "router",
        "image": plan.image,
        "args": list(plan.args),
        "ports": [
            {"name": "http", "containerPort": HTTP_PORT, "protocol": "TCP"},
            {"name": "grpc", "containerPort": GRPC_PORT, "protocol": "TCP"},
            {"name": "metrics", "containerPort": METRICS_PORT, "protocol": "TCP"},
        ],
        "resources": {
            "requests": {"cpu": "100m", "memory": "96Mi"},
            "limits": {"cpu": f"{CPU_LIMIT_MILLIS}m", "memory": "512Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "startupProbe": {**ready, "periodSeconds": 1, "failureThreshold": _STARTUP_PROBES},
        "readinessProbe": {**ready, "periodSeconds": 5, "failureThreshold": 2},
        "livenessProbe": {
            "tcpSocket": {"port": METRICS_PORT},
            "timeoutSeconds": 3,
            "periodSeconds": 10,
            "failureThreshold": 6,
        },
        # It answers until its clients' connections have ended by age, and only then stops.
        "lifecycle": {"preStop": {"sleep": {"seconds": sleep_s}}},
        "volumeMounts": [
            {"name": "documents", "mountPath": DOCUMENTS_DIR, "readOnly": True},
            {"name": "bootstrap", "mountPath": _BOOTSTRAP_DIR, "readOnly": True},
        ],
    }


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[: names.HASH_LENGTH]
