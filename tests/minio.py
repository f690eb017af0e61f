"""A real S3 server for tests: MinIO, built from source by `cluster.build`, on 127.0.0.1."""

from __future__ import annotations

import os
import ssl
import subprocess
import time
from pathlib import Path

import httpx

from cluster.build import program
from cluster.controlplane import die_with_parent, free_ports

USER, PASSWORD = "tests", "not-a-secret"


class Minio:
    """A MinIO with one bucket, `models`."""

    def __init__(self, folder: Path, *, certificates: Path | None = None) -> None:
        self.port = free_ports(1)[0]
        self._scheme = "https" if certificates else "http"
        authority = certificates / "ca.crt" if certificates else None
        self._trust = ssl.create_default_context(cafile=authority)
        (folder / "data").mkdir(parents=True)
        self._log = folder / "log"
        self._command = [
            str(program("minio")), "server", "--quiet", "--address", f"127.0.0.1:{self.port}",
            "--console-address", f"127.0.0.1:{free_ports(1)[0]}",
            "--certs-dir", str(certificates or folder / "no-certificates"),
            str(folder / "data"),
        ]  # fmt: skip
        self._environment = {
            **os.environ,
            "MINIO_ROOT_USER": USER,
            "MINIO_ROOT_PASSWORD": PASSWORD,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
        }
        self.start()
        (folder / "data" / "models").mkdir()  # a folder of its disk is a bucket

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return f"{self._scheme}://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers; it ends with the thread that calls this."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - it only sets a flag
            )  # fmt: skip
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                url = f"{self.endpoint}/minio/health/ready"
                if httpx.get(url, verify=self._trust, trust_env=False).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        raise AssertionError(self._log.read_text())

    def stop(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()

    def put(self, key: str, body: bytes) -> None:
        """Store an object."""
        import obstore
        from obstore.store import S3Store

        store = S3Store(
            "models",
            endpoint=self.endpoint,
            access_key_id=USER,
            secret_access_key=PASSWORD,
            client_options={"allow_http": True, "allow_invalid_certificates": True},
        )
        obstore.put(store, key, body)

    def secret(self, folder: Path, *, endpoint: str | None = None, **more: str) -> Path:
        """Write the files of a Secret that reads from here, or from a line to here."""
        folder.mkdir(exist_ok=True)
        keys = {
            "AWS_ACCESS_KEY_ID": USER,
            "AWS_SECRET_ACCESS_KEY": PASSWORD,
            "AWS_ENDPOINT_URL": endpoint or self.endpoint,
            **more,
        }
        for name, value in keys.items():
            (folder / name).write_text(f"{value}\n")
        return folder
