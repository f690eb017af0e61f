"""The recorder as a process of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from cluster.controlplane import free_ports
from cluster.paths import ROOT

_DEFINITION: dict[str, Any] = {
    "salt": "pepper",
    "variants": ["control", "bigger"],
    "metrics": [{"name": "conversion", "type": "binary"}, {"name": "revenue", "type": "mean"}],
    "outcomeWindowSeconds": 3_600,
    "epochs": [
        {
            "epoch": 1,
            "startedAt": "2026-11-24T18:00:00Z",
            "table": [{"arm": "control", "slots": 5_000}, {"arm": "bigger", "slots": 5_000}],
        }
    ],
}


@dataclass
class Recorder:
    """A running recorder, and an experiment of its.

    Attributes:
        uid: UID of the experiment.
        name: Its name; it is in the namespace `shop`.
        authority: Whom its certificate is from; None where it serves http.
    """

    database: str
    folder: Path
    port: int
    exposures_port: int
    flags: tuple[str, ...]
    env: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    uid: str = "uid-0"
    name: str = "checkout"
    authority: Path | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.authority else 'http'}://127.0.0.1:{self.port}"

    @property
    def how(self) -> dict[str, Any]:
        """How httpx is to ask it."""
        trusted = ssl.create_default_context(cafile=str(self.authority)) if self.authority else True
        return {"trust_env": False, "verify": trusted}

    @property
    def path(self) -> str:
        return f"/v1/experiments/shop/{self.name}"

    @property
    def definition(self) -> dict[str, Any]:
        return {"uid": self.uid, **_DEFINITION}

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def log(self) -> str:
        return (self.folder / "recorder.log").read_text()

    def start(self) -> None:
        with (self.folder / "recorder.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "fairlead_recorder", "serve",
                    "--database", self.database, "--host", "127.0.0.1",
                    "--port", str(self.port), "--exposures-port", str(self.exposures_port),
                    *self.flags,
                ],
                stdout=log, stderr=log, env=self.env,
            )  # fmt: skip
        ends = time.monotonic() + 30
        while time.monotonic() < ends:
            assert self.process.poll() is None, self.log()
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/readyz", **self.how).status_code == 200:
                    return
            time.sleep(0.05)
        raise AssertionError(self.log())

    def kill(self) -> None:
        """End it as a power cut would: nothing in it has a chance to do anything."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """End it as Kubernetes does and return its exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(30)

    def put(self, path: str, body: object, **headers: str) -> httpx.Response:
        return httpx.put(f"{self.url}{path}", json=body, headers=headers, **self.how)

    def post(self, path: str, body: object, **headers: str) -> httpx.Response:
        return httpx.post(
            f"{self.url}{path}",
            json=body,
            headers=headers,
            **self.how,
            timeout=30,
        )

    def get(self, path: str) -> Any:
        answer = httpx.get(f"{self.url}{path}", **self.how, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def summary(self) -> Any:
        return self.get(f"{self.path}/summary")

    def register(self) -> None:
        answer = self.put(self.path, self.definition)
        assert answer.status_code == 200, answer.text

    def command(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run another command of the program on the same database."""
        return subprocess.run(
            [sys.executable, "-m", "fairlead_recorder", *argv, "--database", self.database],
            capture_output=True, text=True, check=False, env=self.env,
        )  # fmt: skip


@contextlib.contextmanager
def recorder(
    database: str,
    folder: Path,
    *flags: str,
    env: dict[str, str] | None = None,
    authority: Path | None = None,
) -> Iterator[Recorder]:
    """Run a recorder; without flags everybody may write."""
    path = os.pathsep.join(str(ROOT / each) for each in ("operator", "runtime"))
    port, exposures_port = free_ports(2)
    new = Recorder(
        database=database,
        folder=folder,
        port=port,
        exposures_port=exposures_port,
        flags=flags or ("--no-authentication",),
        env={**os.environ, "PYTHONPATH": path, **(env or {})},
        authority=authority,
    )
    new.start()
    try:
        yield new
    finally:
        if new.process is not None and new.process.poll() is None:
            new.stop()
