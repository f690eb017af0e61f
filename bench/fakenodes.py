"""Nodes whose pods kwok marks as Ready: the control plane's work without containers."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

from cluster import build
from cluster.controlplane import ControlPlane, die_with_parent

_REPORT = json.dumps({"digest": "sha256:" + "5eed" * 16, "sizeBytes": 4096})
"""What the runtime's `fetch` says at its end; the operator learns the model's digest from it."""

_NODE_READY = """
{{ $now := Now }}
conditions:
{{ range NodeConditions }}
- lastHeartbeatTime: {{ $now | Quote }}
  lastTransitionTime: {{ $now | Quote }}
  message: {{ .message | Quote }}
  reason: {{ .reason | Quote }}
  status: {{ .status | Quote }}
  type: {{ .type | Quote }}
{{ end }}
allocatable: {cpu: 1k, memory: 10Ti, pods: 1M}
capacity: {cpu: 1k, memory: 10Ti, pods: 1M}
phase: Running
"""
_POD_READY = """
{{ $now := Now }}
conditions:
{{ range $type := "Initialized Ready ContainersReady" | splitList " " }}
- lastTransitionTime: {{ $now | Quote }}
  status: "True"
  type: {{ $type }}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- image: {{ .image | Quote }}
  name: {{ .name | Quote }}
  ready: true
  started: true
  restartCount: 0
  state: {running: {startedAt: {{ $now | Quote }}}}
{{ end }}
initContainerStatuses:
{{ range .spec.initContainers }}
- image: {{ .image | Quote }}
  name: {{ .name | Quote }}
  ready: true
  restartCount: 0
  state:
    terminated:
      exitCode: 0
      finishedAt: {{ $now | Quote }}
      message: 'THE_REPORT'
      reason: Completed
      startedAt: {{ $now | Quote }}
{{ end }}
{{ with PodIPsWith .spec.nodeName false ( or .metadata.uid "" ) ( or .metadata.name "" ) "" }}
podIP: {{ index . 0 | Quote }}
podIPs:
{{ range . }}
- ip: {{ . | Quote }}
{{ end }}
{{ end }}
phase: Running
startTime: {{ $now | Quote }}
""".replace("THE_REPORT", _REPORT)

_NOT_DELETED = {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"}
_NOT_READY = {
    "key": '.status.conditions.[] | select( .type == "Ready" ) | .status',
    "operator": "NotIn",
    "values": ["True"],
}


def _stage(
    name: str, kind: str, when: list[dict[str, Any]], following: dict[str, Any]
) -> dict[str, Any]:
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": kind},
            "selector": {"matchExpressions": when},
            "next": following,
        },
    }


def stages() -> list[dict[str, Any]]:
    """Return kwok's configuration: what happens to nodes and pods, and when."""
    deleted = [{"key": ".metadata.deletionTimestamp", "operator": "Exists"}]
    return [
        _stage("node-ready", "Node", [_NOT_READY], {"statusTemplate": _NODE_READY}),
        _stage("pod-ready", "Pod", [_NOT_DELETED, _NOT_READY], {"statusTemplate": _POD_READY}),
        _stage("pod-delete", "Pod", deleted, {"delete": True}),
    ]


def _node(name: str) -> dict[str, Any]:
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}


@contextlib.contextmanager
def running(plane: ControlPlane, count: int) -> Iterator[None]:
    """Run kwok against a control plane, with as many nodes, until the end of the block."""
    program = build.program("kwok")
    config = plane.directory / "kwok.yaml"
    config.write_text("\n---\n".join(json.dumps(stage) for stage in stages()))
    nodes = {
        "apiVersion": "v1",
        "kind": "List",
        "items": [_node(f"fake-{number}") for number in range(count)],
    }
    command = [
        str(program),
        f"--kubeconfig={plane.kubeconfig}",
        f"--config={config}",
        "--manage-all-nodes=true",
        "--node-lease-duration-seconds=40",  # without it the node is given up after 50 s
        "--cidr=10.64.0.1/14",
    ]
    with (plane.directory / "kwok.log").open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - no thread is running here
            cwd=plane.directory,
            env={**os.environ, "HOME": str(plane.directory)},
        )
    try:
        plane.kubectl("apply", "-f", "-", stdin=json.dumps(nodes))
        plane.kubectl("wait", "node", "--all", "--for=condition=Ready", "--timeout=60s")
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
