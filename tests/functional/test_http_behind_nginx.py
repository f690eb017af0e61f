"""Both edges behind NGINX, with and without kept connections to the server behind it."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from cluster.controlplane import free_ports
from tests import models
from tests.runtimes import Served, served

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed (Debian: nginx-light)"),
]

CONFIG = """
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


@contextlib.contextmanager
def nginx(folder: Path, runtime: Served, settings: dict[str, str]) -> Iterator[str]:
    assert NGINX is not None
    port = free_ports(1)[0]
    config = folder / "nginx.conf"
    config.write_text(CONFIG.format(folder=folder, runtime=runtime.port, port=port, **settings))
    process = subprocess.Popen(
        [NGINX, "-p", str(folder), "-c", str(config)], stderr=subprocess.PIPE
    )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"{url}/health/live")
                break
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.communicate()


@pytest.mark.parametrize("edge", ["own", "asgi"])
@pytest.mark.parametrize(
    "settings", [KEPT, NOT_KEPT, STREAMED], ids=["kept", "not kept", "kept, streamed"]
)
def test_every_request_through_nginx_is_answered_with_its_own_answer(
    tmp_path: Path, edge: str, settings: dict[str, str]
) -> None:
    path = models.classifier(tmp_path / "model.onnx")
    # A short age, so that the server ends many of the proxy's connections in between.
    flags = ("--http-edge", edge, "--max-connection-age-s", "0.5")
    with (
        served(path, tmp_path / "log", *flags) as runtime,
        nginx(tmp_path, runtime, settings) as url,
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
