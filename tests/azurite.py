"""A real server of Azure's Blob protocol for tests: Microsoft's Azurite, from npm, on 127.0.0.1.

It checks signatures, conditions and ranges. It is no Azure: SAS tokens made by a portal, Entra ID,
managed identities, geo-redundancy and throttling are not proven by it.
"""

from __future__ import annotations

import base64
import email.utils
import hashlib
import hmac
import os
import re
import secrets
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import httpx

from cluster.controlplane import die_with_parent, free_ports
from cluster.paths import cache_dir, forget, locked, log

ACCOUNT = "fairlead"
KEY = base64.b64encode(secrets.token_bytes(64)).decode()
_PINS = Path(__file__).parent / "npm" / "azurite"
_NODE = 20


def missing() -> str:
    """Return what this machine lacks to run it; empty where nothing."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        return "there is no npm"
    done = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False)
    found = re.match(r"v(\d+)", done.stdout)
    return "" if found and int(found[1]) >= _NODE else f"Node is older than {_NODE}"


class Azurite:
    """An Azurite in memory with one container, `models`."""

    scheme = "az"

    def __init__(self, folder: Path) -> None:
        self.port = free_ports(1)[0]
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "log"
        program = _installed() / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
        with self._log.open("ab") as log_file:
            self.process = subprocess.Popen(
                ["node", str(program), "--blobHost", "127.0.0.1", "--blobPort", str(self.port),
                 "--inMemoryPersistence", "--disableTelemetry"],
                cwd=folder, stdout=log_file, stderr=log_file,
                env={**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}"},
                preexec_fn=die_with_parent,  # noqa: PLW1509 - it only sets a flag
            )  # fmt: skip
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                self._ask("PUT", "models?restype=container", "\nrestype:container")
            except httpx.TransportError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError(self._log.read_text())

    @property
    def endpoint(self) -> str:
        """Where it listens; its accounts are folders."""
        return f"http://127.0.0.1:{self.port}/{ACCOUNT}"

    def stop(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()

    def put(self, key: str, body: bytes) -> None:
        """Store an object."""
        self._ask("PUT", f"models/{key}", body=body, kind="BlockBlob")

    def secret(self, folder: Path, *, port: int | None = None, **more: str) -> Path:
        """Write the files of a Secret that reads from here, or from a line to here."""
        folder.mkdir(exist_ok=True)
        keys = {
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": KEY,
            "endpoint": f"http://127.0.0.1:{port or self.port}/{ACCOUNT}",
            **more,
        }
        for name, value in keys.items():
            (folder / name).write_text(f"{value}\n")
        return folder

    def _ask(
        self, verb: str, path: str, query: str = "", body: bytes = b"", kind: str = ""
    ) -> None:
        """Send a request with Azure's Shared Key signature."""
        headers = {
            "x-ms-date": email.utils.formatdate(usegmt=True),
            "x-ms-version": "2021-12-02",
            **({"x-ms-blob-type": kind} if kind else {}),
        }
        named = "".join(f"{name}:{value}\n" for name, value in sorted(headers.items()))
        length = str(len(body)) if body else ""
        resource = f"/{ACCOUNT}/{ACCOUNT}/{path.partition('?')[0]}{query}"
        text = f"{verb}\n\n\n{length}{chr(10) * 9}{named}{resource}"
        mac = hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()
        headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(mac).decode()}"
        answer = httpx.request(
            verb, f"{self.endpoint}/{path}", headers=headers, content=body, trust_env=False
        )
        answer.raise_for_status()


def _installed() -> Path:
    """Install it once by its lock file, without anybody's scripts; return its folder."""
    files = [_PINS / "package.json", _PINS / "npm-shrinkwrap.json"]
    key = hashlib.sha256(b"".join(each.read_bytes() for each in files)).hexdigest()[:12]
    target = cache_dir() / "npm" / f"azurite-{key}"
    with locked(cache_dir() / "locks" / "npm-azurite", "it is installing Azurite"):
        if target.is_dir():
            return target
        log("installing Azurite from npm (once)")
        target.parent.mkdir(parents=True, exist_ok=True)
        forget(target.parent, "azurite")
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".azurite-") as scratch:
            work = Path(scratch) / "out"
            work.mkdir()
            for each in files:
                shutil.copy(each, work)
            done = subprocess.run(
                ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
                cwd=work, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr[-800:]
            work.rename(target)
    return target
