"""CoreDNS and metrics-server as manifests, on images made from the binaries that we build."""

from __future__ import annotations

from typing import Any

Manifest = dict[str, Any]
_SYSTEM = "kube-system"
_LOCKED_DOWN = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def _object(api: str, kind: str, name: str, body: Manifest, *, cluster: bool = False) -> Manifest:
    metadata: Manifest = {"name": name, "labels": {"app.kubernetes.io/part-of": "fairlead-cluster"}}
    if not cluster:
        metadata["namespace"] = _SYSTEM
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **body}


def _bound(name: str, role: str, api: str = "ClusterRole") -> Manifest:
    return {
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": api, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": _SYSTEM}],
    }


def _deployment(name: str, container: Manifest, volumes: list[Manifest]) -> Manifest:
    labels = {"k8s-app": name}
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "strategy": {"type": "Recreate"},
        "template": {
            "metadata": {"labels": labels},
            "spec": {
                "serviceAccountName": name,
                "dnsPolicy": "Default",
                "priorityClassName": "system-cluster-critical",
                "containers": [container],
                "volumes": volumes,
            },
        },
    }
    return _object("apps/v1", "Deployment", name, {"spec": spec})


def coredns(image: str, address: str, upstreams: list[str]) -> list[Manifest]:
    """Return the cluster's DNS, at `address`, with `upstreams` for all other names."""
    forward = f"    forward . {' '.join(upstreams)}\n" if upstreams else ""
    corefile = (
        ".:1053 {\n    errors\n    health :8080\n    ready :8181\n"
        "    kubernetes cluster.local in-addr.arpa ip6.arpa {\n        pods insecure\n"
        "        fallthrough in-addr.arpa ip6.arpa\n        ttl 5\n    }\n"
        f"{forward}    cache 5\n    loadbalance\n}}\n"
    )
    rules = [
        {
            "apiGroups": [""],
            "resources": ["endpoints", "services", "pods", "namespaces"],
            "verbs": ["list", "watch"],
        },
        {
            "apiGroups": ["discovery.k8s.io"],
            "resources": ["endpointslices"],
            "verbs": ["list", "watch"],
        },
    ]
    container = {
        "name": "coredns",
        "image": image,
        "imagePullPolicy": "Never",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "ports": [
            {"containerPort": 1053, "name": "dns", "protocol": "UDP"},
            {"containerPort": 1053, "name": "dns-tcp", "protocol": "TCP"},
        ],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
        "livenessProbe": {"httpGet": {"path": "/health", "port": 8080}, "failureThreshold": 6},
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
        "securityContext": _LOCKED_DOWN,
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
    }
    service = {
        "clusterIP": address,
        "selector": {"k8s-app": "coredns"},
        "ports": [
            {"name": "dns", "port": 53, "targetPort": 1053, "protocol": "UDP"},
            {"name": "dns-tcp", "port": 53, "targetPort": 1053, "protocol": "TCP"},
        ],
    }
    rbac = "rbac.authorization.k8s.io/v1"
    return [
        _object("v1", "ServiceAccount", "coredns", {}),
        _object(rbac, "ClusterRole", "fairlead:coredns", {"rules": rules}, cluster=True),
        _object(
            rbac,
            "ClusterRoleBinding",
            "fairlead:coredns",
            _bound("coredns", "fairlead:coredns"),
            cluster=True,
        ),
        _object("v1", "ConfigMap", "coredns", {"data": {"Corefile": corefile}}),
        _deployment("coredns", container, [{"name": "config", "configMap": {"name": "coredns"}}]),
        _object("v1", "Service", "kube-dns", {"spec": service}),
    ]


def metrics_server(image: str) -> list[Manifest]:
    """Return metrics-server: CPU and memory of pods for `kubectl top` and for autoscalers."""
    name, rbac = "metrics-server", "rbac.authorization.k8s.io/v1"
    rules = [
        {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]},
    ]
    container = {
        "name": name,
        "image": image,
        "imagePullPolicy": "Never",
        "args": [
            "--cert-dir=/tmp",
            "--secure-port=10250",
            "--kubelet-preferred-address-types=InternalIP",
            "--kubelet-insecure-tls",
            "--metric-resolution=10s",
            "--kubelet-request-timeout=5s",  # must be less than the resolution
        ],
        "ports": [{"containerPort": 10250, "name": "https"}],
        "readinessProbe": {
            "httpGet": {"path": "/readyz", "port": "https", "scheme": "HTTPS"},
            "periodSeconds": 2,
        },
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
        "securityContext": _LOCKED_DOWN,
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    api = {
        "group": "metrics.k8s.io",
        "version": "v1beta1",
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "insecureSkipTLSVerify": True,
        "service": {"name": name, "namespace": _SYSTEM},
    }
    service = {
        "selector": {"k8s-app": name},
        "ports": [{"name": "https", "port": 443, "targetPort": "https"}],
    }
    return [
        _object("v1", "ServiceAccount", name, {}),
        _object(rbac, "ClusterRole", f"fairlead:{name}", {"rules": rules}, cluster=True),
        _object(
            rbac,
            "ClusterRoleBinding",
            f"fairlead:{name}",
            _bound(name, f"fairlead:{name}"),
            cluster=True,
        ),
        _object(
            rbac,
            "ClusterRoleBinding",
            f"fairlead:{name}:auth-delegator",
            _bound(name, "system:auth-delegator"),
            cluster=True,
        ),
        _object(
            rbac,
            "RoleBinding",
            f"fairlead:{name}:auth-reader",
            _bound(name, "extension-apiserver-authentication-reader", "Role"),
        ),
        _deployment(name, container, [{"name": "tmp", "emptyDir": {}}]),
        _object("v1", "Service", name, {"spec": service}),
        _object(
            "apiregistration.k8s.io/v1",
            "APIService",
            "v1beta1.metrics.k8s.io",
            {"spec": api},
            cluster=True,
        ),
    ]
