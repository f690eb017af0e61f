"""A registry of one image on 127.0.0.1, read only, from the archive that the image was built into.

It speaks the pull half of the OCI distribution specification, and nothing else.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import shutil
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar"


class _Pull(http.server.BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        kind, _, wanted = self.path.partition("?")[0].removeprefix("/v2/").rpartition("/")
        if not wanted:
            self._send("application/json", b"{}", body=body)
        elif kind.endswith("/manifests"):
            self._send(_MANIFEST, self.server.manifest, body=body)
        elif wanted in self.server.blobs:
            path = self.server.blobs[wanted]
            self._head("application/octet-stream", path.stat().st_size, wanted)
            if body:
                with path.open("rb") as blob:
                    shutil.copyfileobj(blob, self.wfile)
        else:
            self.send_error(404)

    def _send(self, kind: str, content: bytes, *, body: bool) -> None:
        self._head(kind, len(content), _digest(content))
        if body:
            self.wfile.write(content)

    def _head(self, kind: str, size: int, digest: str) -> None:
        self.send_response(200)
        for name, value in (
            ("Content-Type", kind),
            ("Content-Length", str(size)),
            ("Docker-Content-Digest", digest),
            ("Docker-Distribution-Api-Version", "registry/2.0"),
        ):
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


class _Server(http.server.ThreadingHTTPServer):
    """The registry, with its one image."""

    def __init__(self, port: int, manifest: bytes, blobs: dict[str, Path]) -> None:
        super().__init__(("127.0.0.1", port), _Pull)
        self.manifest, self.blobs = manifest, blobs


@contextmanager
def serving(archive: Path, port: int, folder: Path) -> Iterator[None]:
    """Serve the image of a docker-archive under any name and tag meanwhile.

    Args:
        archive: What `cluster.images.archive` returns.
        port: Where, on 127.0.0.1.
        folder: Room for the image's parts.
    """
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    [image] = json.loads((folder / "manifest.json").read_text())
    blobs: dict[str, Path] = {}

    def described(kind: str, name: str) -> dict[str, Any]:
        path = folder / name
        with path.open("rb") as blob:
            digest = f"sha256:{hashlib.file_digest(blob, 'sha256').hexdigest()}"
        blobs[digest] = path
        return {"mediaType": kind, "size": path.stat().st_size, "digest": digest}

    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": described(_CONFIG, image["Config"]),
            "layers": [described(_LAYER, name) for name in image["Layers"]],
        }
    ).encode()
    server = _Server(port, manifest, blobs)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
