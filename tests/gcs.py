"""A server of Google Cloud Storage's protocol for tests: fake-gcs-server, built by `cluster.build`.

It lists, reads and reads ranges by the XML interface that obstore uses. It takes any credentials
and ignores conditions (`If-Match`), a bucket that is not there is a 500, and so what the real store
refuses, and how it tells that an object was replaced, is not proven by it.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import httpx

from cluster.build import program
from cluster.controlplane import die_with_parent, free_ports


class Gcs:
    """A fake-gcs-server in memory with one bucket, `models`."""

    scheme = "gs"

    def __init__(self, folder: Path) -> None:
        self.port = free_ports(1)[0]
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "log"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                # Without a port the public host is right for a line to here as well.
                [str(program("fake-gcs-server")), "-backend", "memory", "-scheme", "http",
                 "-host", "127.0.0.1", "-port", str(self.port), "-public-host", "127.0.0.1"],
                cwd=folder, stdout=log, stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - it only sets a flag
            )  # fmt: skip
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                self._post("/storage/v1/b", json={"name": "models"})
            except httpx.TransportError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError(self._log.read_text())

    def stop(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()

    def put(self, key: str, body: bytes) -> None:
        """Store an object."""
        params = {"uploadType": "media", "name": key}
        self._post("/upload/storage/v1/b/models/o", params=params, content=body)

    def secret(self, folder: Path, *, port: int | None = None, **more: str) -> Path:
        """Write the files of a Secret that reads from here, or from a line to here."""
        folder.mkdir(exist_ok=True)
        keys = {"endpoint": f"http://127.0.0.1:{port or self.port}", **more}
        if "service_account.json" not in keys:
            keys["anonymous"] = "true"
        for name, value in keys.items():
            (folder / name).write_text(f"{value}\n")
        return folder

    def _post(self, path: str, **request: object) -> None:
        url = f"http://127.0.0.1:{self.port}{path}"
        httpx.post(url, trust_env=False, **request).raise_for_status()  # type: ignore[arg-type]
