"""Both edges behind NGINX and Envoy, with and without kept connections between the two.

Both are installed where they are missing, and where that cannot be the tests fail: they are a part
of `make test-integrations`.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from cluster import debian, pyenv
from cluster.controlplane import free_ports
from tests import models
from tests.runtimes import Served, served

Command = Callable[[Path, int, int], list[str]]
pytestmark = pytest.mark.slow

NGINX_CONFIG = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log warn;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {folder}/a;
  proxy_temp_path {folder}/b;
  fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d;
  scgi_temp_path {folder}/e;
  client_max_body_size 8m;
  upstream runtime {{ server 127.0.0.1:{runtime}; {keepalive} }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://runtime;
      proxy_next_upstream off;
      {headers}
    }}
  }}
}}
"""
KEPT = {
    "keepalive": "keepalive 16;",
    "headers": 'proxy_http_version 1.1; proxy_set_header Connection "";',
}
NOT_KEPT = {"keepalive": "", "headers": ""}  # NGINX's default: HTTP/1.0 and Connection: close
STREAMED = {
    "keepalive": "keepalive 16;",
    "headers": KEPT["headers"] + " proxy_request_buffering off; proxy_buffering off;",
}


def nginx(settings: dict[str, str]) -> Command:
    def command(folder: Path, port: int, runtime: int) -> list[str]:
        config = folder / "nginx.conf"
        config.write_text(
            NGINX_CONFIG.format(folder=folder, runtime=runtime, port=port, **settings)
        )
        debian.ensure({"nginx": "nginx-light"})
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        return [program, "-p", str(folder), "-c", str(config)]

    return command


def envoy(*, requests_per_connection: int, http2: bool = False) -> Command:
    def command(folder: Path, port: int, runtime: int) -> list[str]:
        config = folder / "envoy.json"
        made = envoy_config(port, runtime, requests_per_connection, http2=http2)
        config.write_text(json.dumps(made))
        return [
            str(pyenv.environment("envoy") / "bin" / "envoy"), "-c", str(config),
            "--disable-hot-restart", "--concurrency", "1", "--log-level", "error",
        ]  # fmt: skip

    return command


def envoy_config(
    port: int, runtime: int, requests_per_connection: int, *, http2: bool
) -> dict[str, Any]:
    def address(number: int) -> dict[str, Any]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": number}}

    kind = "type.googleapis.com/envoy.extensions"
    route = {"match": {"prefix": "/"}, "route": {"cluster": "runtime", "timeout": "30s"}}
    manager = {
        "@type": f"{kind}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "codec_type": "AUTO",
        "route_config": {"virtual_hosts": [{"name": "a", "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{kind}.filters.http.router.v3.Router"},
            }
        ],
    }
    options: dict[str, Any] = {
        "@type": f"{kind}.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {f"http{2 if http2 else ''}_protocol_options": {}},
    }
    if requests_per_connection:
        options["common_http_protocol_options"] = {
            "max_requests_per_connection": requests_per_connection
        }
    cluster = {
        "name": "runtime",
        "type": "STATIC",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options
        },
        "load_assignment": {
            "cluster_name": "runtime",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(runtime)}}]}],
        },
    }
    filters = [{"name": "http", "typed_config": manager}]
    listener = {"address": address(port), "filter_chains": [{"filters": filters}]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


@contextlib.contextmanager
def proxy(folder: Path, runtime: Served, command: Command) -> Iterator[str]:
    port = free_ports(1)[0]
    with (folder / "proxy.log").open("wb") as log:
        process = subprocess.Popen(command(folder, port, runtime.port), stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"{url}/health/live")
                break
            assert process.poll() is None, (folder / "proxy.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait()


FRONTS = {
    "nginx, kept": nginx(KEPT),
    "nginx, not kept": nginx(NOT_KEPT),
    "nginx, kept, streamed": nginx(STREAMED),
    "envoy, kept": envoy(requests_per_connection=0),
    "envoy, not kept": envoy(requests_per_connection=1),
    "envoy, HTTP/2": envoy(requests_per_connection=0, http2=True),
}


@pytest.mark.parametrize(
    ("edge", "front"),
    [
        pytest.param(edge, front, id=f"{edge}, {name}")
        for edge in ("own", "asgi")
        for name, front in FRONTS.items()
        if edge == "own" or name != "envoy, HTTP/2"  # uvicorn has none
    ],
)
def test_every_request_through_a_proxy_gets_its_own_answer(
    tmp_path: Path, edge: str, front: Command
) -> None:
    path = models.classifier(tmp_path / "model.onnx")
    # A short age, so that the server ends many of the proxy's connections in between.
    flags = ("--http-edge", edge, "--max-connection-age-s", "0.5")
    with (
        served(path, tmp_path / "log", *flags) as runtime,
        proxy(tmp_path, runtime, front) as url,
    ):

        def client(number: int) -> Counter[object]:
            seen: Counter[object] = Counter()
            with httpx.Client(base_url=url, timeout=30) as kept:
                for index in range(150):
                    identity = f"{number}-{index}"
                    body = {"request_id": identity, "features": [[index, 1, 2]] * (1 + index % 90)}
                    answer = kept.post("/predict", content=json.dumps(body).encode())
                    seen[answer.status_code] += 1
                    assert answer.json().get("request_id") == identity, answer.text
            return seen

        with ThreadPoolExecutor(8) as pool:
            total = sum(pool.map(client, range(8)), Counter[object]())
        assert total == {200: 1200}
        large = httpx.post(f"{url}/predict", content=b" " * (4 << 20) + b"{}", timeout=30)
        assert large.status_code == 400
        head = httpx.head(f"{url}/v2")
        assert head.status_code == 200
        assert head.content == b""
