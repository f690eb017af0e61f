"""compose.yaml: Compose takes it, and its runtime and Prometheus really run from its files."""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from cluster import debian
from cluster.build import program
from cluster.controlplane import free_ports
from monitoring import rules
from monitoring.panels import filled, queries
from tests.monitoring.composed import FILE, command, mounts, service

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # Prometheus is built once
DASHBOARDS = mounts("grafana")["/var/lib/fairlead/dashboards"]
LAPTOP = {"namespace": "laptop", "model": "breast-cancer"}


def test_compose_takes_the_file() -> None:
    debian.ensure({"docker-compose": "docker-compose"})
    done = subprocess.run(
        ["docker-compose", "-f", FILE, "config"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(done.stdout)["services"].keys() == {"runtime", "prometheus", "grafana"}


def test_every_file_that_is_mounted_is_there() -> None:
    for name in ("runtime", "prometheus", "grafana"):
        for path in mounts(name).values():
            assert path.exists(), path
        assert "@" in service(name)["image"] or ":" in service(name)["image"]


def test_grafana_finds_its_data_source_and_every_dashboard() -> None:
    provisioning = mounts("grafana")["/etc/grafana/provisioning"]
    [source] = yaml.safe_load((provisioning / "datasources/prometheus.yaml").read_text())[
        "datasources"
    ]
    assert source["url"] == "http://prometheus:9090"
    [provider] = yaml.safe_load((provisioning / "dashboards/fairlead.yaml").read_text())[
        "providers"
    ]
    assert provider["options"]["path"] in service("grafana")["volumes"][1]
    home = service("grafana")["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (DASHBOARDS / Path(home).name).is_file()
    uids = {json.loads(path.read_text())["uid"] for path in DASHBOARDS.glob("*.json")}
    assert len(uids) == 5


@contextlib.contextmanager
def running(argv: list[str], url: str, log: Path, **env: str) -> Iterator[None]:
    """Run a process until the end of the block, and wait until it is ready."""
    with log.open("wb") as output:
        process = subprocess.Popen(argv, stdout=output, stderr=output, env={**os.environ, **env})
    try:
        end = time.monotonic() + 60
        while True:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(url, trust_env=False).status_code == 200:
                    break
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        yield
    finally:
        process.kill()
        process.wait()


def test_runtime_and_prometheus_run_from_it_and_the_dashboards_have_data(tmp_path: Path) -> None:
    http, metrics, port = free_ports(3)
    held_out = mounts("runtime")["/models"] / "held-out.csv"
    with held_out.open() as file:
        rows = [[float(cell) for cell in row[:-1]] for row in list(csv.reader(file))[1:]]
    config = (mounts("prometheus")["/etc/prometheus/prometheus.yaml"]).read_text()
    mounted = mounts("prometheus")["/etc/prometheus/rules.yaml"]
    config = config.replace("/etc/prometheus/rules.yaml", str(mounted))
    (tmp_path / "prometheus.yaml").write_text(
        config.replace("runtime:9002", f"127.0.0.1:{metrics}")
        .replace(": 5s", ": 1s")
        .replace(": 4s", ": 1s")
        .replace(": 15s", ": 1s")
    )
    runtime = [
        sys.executable, "-m", "fairlead_runtime.cli",
        *command("runtime", **{"9002": str(metrics)}),
    ]  # fmt: skip
    prometheus = [
        str(program("prometheus")),
        *command(
            "prometheus",
            **{
                "/etc/prometheus/prometheus.yaml": str(tmp_path / "prometheus.yaml"),
                "/prometheus": str(tmp_path / "data"),
                "0.0.0.0:9090": f"127.0.0.1:{port}",
            },
        ),
    ]
    base = f"http://127.0.0.1:{port}"

    def ask(query: str) -> Any:
        answer = httpx.get(f"{base}/api/v1/query", params={"query": query}, trust_env=False).json()
        assert answer["status"] == "success", answer
        return answer["data"]["result"]

    env = {"FAIRLEAD_HTTP_PORT": str(http), "FAIRLEAD_GRPC_PORT": "0", "FAIRLEAD_HOST": "127.0.0.1"}
    with (
        running(runtime, f"http://127.0.0.1:{http}/health/ready", tmp_path / "runtime.log", **env),
        running(prometheus, f"{base}/-/ready", tmp_path / "prometheus.log"),
        httpx.Client(base_url=f"http://127.0.0.1:{http}", trust_env=False, timeout=30) as client,
    ):
        wanted = [
            (path.stem, title, filled(expr, **LAPTOP))
            for path in (DASHBOARDS / "model.json", DASHBOARDS / "drift.json")
            for title, expr in queries(json.loads(path.read_text()))
            if "fairlead_" not in expr  # without the operator nobody knows conditions, objectives
        ]
        assert len(wanted) > 20
        end = time.monotonic() + 240
        left = wanted
        while left:
            for each in rows:
                assert client.post("/predict", json={"features": each}).status_code == 200
            client.post("/predict", json={"features": "none"})
            left = [each for each in left if not ask(each[2])]
            assert time.monotonic() < end, left
        seen = time.time()
        while True:  # every rule is asked after the last scrape that anybody waited for
            told = httpx.get(f"{base}/api/v1/rules", trust_env=False).json()["data"]["groups"]
            found = [rule for group in told for rule in group["rules"]]
            if all(dt.datetime.fromisoformat(each["lastEvaluation"]).timestamp() > seen + 2
                   for each in found):  # fmt: skip
                break
            assert time.monotonic() < end, told
            time.sleep(0.2)
        assert {each["health"] for each in found} == {"ok"}
        alerts = [each for each in found if each["type"] == "alerting"]
        assert {each["name"]: each["state"] for each in alerts} == {
            each.name: "inactive" for each in rules.of_the_runtime()
        }
