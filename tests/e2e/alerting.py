"""A real Prometheus on this machine, with the chart's rules, that scrapes the operator's pod."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from cluster import build, forward, release
from cluster.controlplane import free_ports
from cluster.paths import ROOT
from cluster.provider import Provider

RULES = ROOT / "charts" / "fairlead" / "files" / "rules.yaml"
_OPERATOR = f"deployment/{release.RELEASE}"
_METRICS_PORT = 9090


class Alerts:
    """Its alerts."""

    def __init__(self, url: str) -> None:
        self._url = url

    def firing(self, name: str, namespace: str) -> bool:
        """Return whether an alert fires for a model of the namespace."""
        answer = httpx.get(f"{self._url}/api/v1/alerts", trust_env=False).raise_for_status()
        return any(
            each["state"] == "firing"
            and each["labels"]["alertname"] == name
            and each["labels"].get("namespace") == namespace
            for each in answer.json()["data"]["alerts"]
        )


@contextlib.contextmanager
def prometheus(cluster: Provider, folder: Path) -> Iterator[Alerts]:
    """Run it meanwhile; it scrapes and judges every five seconds."""
    [port] = free_ports(1)
    with forward.forwarded(
        cluster.kubeconfig, release.NAMESPACE, _OPERATOR, _METRICS_PORT
    ) as operator:
        config = folder / "prometheus.yml"
        target = operator.removeprefix("http://")
        every = {"scrape_interval": "5s", "scrape_timeout": "5s", "evaluation_interval": "5s"}
        job = {
            "job_name": "operator",
            "honor_labels": True,  # its series are about models of other namespaces
            "static_configs": [{"targets": [target]}],
        }
        document = {"global": every, "rule_files": [str(RULES)], "scrape_configs": [job]}
        config.write_text(json.dumps(document))  # JSON is YAML too
        with (folder / "prometheus.log").open("wb") as log:
            process = subprocess.Popen(
                [
                    str(build.program("prometheus")), f"--config.file={config}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                ],
                stdout=log, stderr=log,
            )  # fmt: skip
        try:
            url = f"http://127.0.0.1:{port}"
            _ready(url, process, folder / "prometheus.log")
            yield Alerts(url)
        finally:
            process.terminate()
            process.wait(30)


def _ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/-/ready", trust_env=False).status_code == 200:
                return
        time.sleep(0.2)
    raise AssertionError(log.read_text())
