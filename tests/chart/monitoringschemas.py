"""JSON schemas of the Prometheus operator's kinds, made of its CRDs, for kubeconform."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml

from cluster import build
from cluster.paths import ClusterError, cache_dir, locked, log

_MODULE = "github.com/prometheus-operator/prometheus-operator@v0.92.0"
_SUM = "h1:tAbsod3+9sQsxDeAvLP27dAe9terToht5M+YdDwLGP0="
_FOLDER = "example/prometheus-operator-crd"
KINDS = ("ServiceMonitor", "PodMonitor", "PrometheusRule")


def location() -> str:
    """Return what kubeconform wants as `-schema-location`; download the module once."""
    key = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    folder = cache_dir() / "schemas" / f"monitoring-{key}"
    if not folder.is_dir():
        with locked(cache_dir() / "locks" / "monitoring-schemas", "it is reading the CRDs"):
            if not folder.is_dir():
                _make(folder)
    return str(folder / "{{.ResourceKind}}.json")


def _make(folder: Path) -> None:
    log("downloading the Prometheus operator's CRDs (once)")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".monitoring-") as scratch:
        done = subprocess.run(
            [build.go(), "mod", "download", "-json", _MODULE],
            capture_output=True, text=True, check=False, cwd=scratch,
        )  # fmt: skip
        if done.returncode != 0:
            raise ClusterError(f"cannot download {_MODULE}:\n{done.stdout}{done.stderr}")
        found = json.loads(done.stdout)
        if found["Sum"] != _SUM:
            raise ClusterError(f"{_MODULE} is {found['Sum']}, and not {_SUM}")
        out = Path(scratch) / "out"
        out.mkdir()
        for kind in KINDS:
            path = Path(found["Dir"]) / _FOLDER / f"monitoring.coreos.com_{kind.lower()}s.yaml"
            [version] = yaml.safe_load(path.read_text())["spec"]["versions"]
            schema = _strict(version["schema"]["openAPIV3Schema"])
            (out / f"{kind.lower()}.json").write_text(json.dumps(schema))
        out.rename(folder)


def _strict(node: Any) -> Any:
    """Have objects take no field that they do not name, as the API server does when asked to."""
    if isinstance(node, list):
        return [_strict(each) for each in node]
    if not isinstance(node, dict):
        return node
    found = {key: _strict(value) for key, value in node.items()}
    keeps = found.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in found
    if isinstance(found.get("properties"), dict) and not keeps and found.get("type") == "object":
        found["additionalProperties"] = False
    return found
