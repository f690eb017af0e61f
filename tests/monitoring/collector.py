"""A collector of traces as a process of its own: takes OTLP over HTTP and keeps what it got.

    python -m tests.monitoring.collector PORT FILE

Each span is a line of JSON in the file. What is no export request is answered with 400, as the
protocol wants it.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from cluster.controlplane import free_ports
from cluster.paths import ROOT

Span = dict[str, Any]


class Collector:
    """A running collector."""

    def __init__(self, port: int, file: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._file = file

    def spans(self) -> list[Span]:
        """Return all spans so far."""
        return [json.loads(line) for line in self._file.read_text().splitlines()]

    def wait(self, names: dict[str, int], *, within_s: float = 30.0) -> list[Span]:
        """Wait until there are so many spans of these names, and return all."""
        end = time.monotonic() + within_s
        while True:
            found = self.spans()
            have = {name: sum(span["name"] == name for span in found) for name in names}
            if all(have[name] >= count for name, count in names.items()):
                return found
            assert time.monotonic() < end, f"{have} of {names}: {found}"
            time.sleep(0.1)


@contextlib.contextmanager
def collector(folder: Path) -> Iterator[Collector]:
    """Run a collector."""
    [port] = free_ports(1)
    file = folder / "spans.jsonl"
    file.touch()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.monitoring.collector", str(port), str(file)], cwd=ROOT
    )
    try:
        end = time.monotonic() + 30
        while True:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"http://127.0.0.1:{port}/", trust_env=False)
                break
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)
        yield Collector(port, file)
    finally:
        process.kill()
        process.wait()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    file: Path

    def do_POST(self) -> None:
        body = self._body()
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        try:
            request = ExportTraceServiceRequest.FromString(body)
        except DecodeError:
            self._answer(400, b"")
            return
        if self.path != "/v1/traces":
            self._answer(404, b"")
            return
        with self.file.open("a") as out:
            out.writelines(json.dumps(span) + "\n" for span in _spans(request))
        self._answer(200, ExportTraceServiceResponse().SerializeToString())

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers["content-length"]))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def do_GET(self) -> None:
        self._answer(404, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's
        pass


def _spans(request: Any) -> Iterator[Span]:
    for resource in request.resource_spans:
        service = _attributes(resource.resource.attributes).get("service.name")
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield {
                    "name": span.name,
                    "service": service,
                    "trace": span.trace_id.hex(),
                    "id": span.span_id.hex(),
                    "parent": span.parent_span_id.hex(),
                    "kind": span.kind,
                    "start": span.start_time_unix_nano,
                    "end": span.end_time_unix_nano,
                    "error": span.status.code == 2,
                    "attributes": _attributes(span.attributes),
                    "links": [[link.trace_id.hex(), link.span_id.hex()] for link in span.links],
                }


def _attributes(found: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in found}


if __name__ == "__main__":
    _Handler.file = Path(sys.argv[2])
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), _Handler).serve_forever()
