"""Long-running processes that are remembered on disk, and only killed when they are still ours."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

_LOG_LIMIT = 20 << 20
_started: list[subprocess.Popen[bytes]] = []
"""Processes that this one started. They outlive it on purpose: kept, so that nobody warns."""


def start_time(pid: int) -> str | None:
    """Return when a process was started, in kernel ticks; None where there is none (or a zombie).

    A number that a process has left may be given to another; the start time tells them apart.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


class Daemons:
    """The processes of one cluster."""

    def __init__(self, directory: Path) -> None:
        self._records = directory / "pids"
        self.logs = directory / "logs"

    def start(self, name: str, argv: list[str], env: Mapping[str, str] | None = None) -> None:
        """Start a process unless it runs already."""
        if self.alive(name):
            return
        self._records.mkdir(parents=True, exist_ok=True)
        self.logs.mkdir(parents=True, exist_ok=True)
        path = self.logs / f"{name}.log"
        if path.exists() and path.stat().st_size > _LOG_LIMIT:
            path.unlink()
        with path.open("ab") as output:
            process = subprocess.Popen(
                argv,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, **(env or {})},
                cwd="/",
            )
        _started.append(process)
        record = {"pid": process.pid, "started": start_time(process.pid), "argv": argv}
        (self._records / f"{name}.json").write_text(json.dumps(record))

    def pid(self, name: str) -> int | None:
        """Return the number of a process that runs."""
        try:
            record = json.loads((self._records / f"{name}.json").read_text())
        except (OSError, ValueError):
            return None
        pid = int(record["pid"])
        started = start_time(pid)
        return pid if started is not None and started == record["started"] else None

    def alive(self, name: str) -> bool:
        """Whether a process runs."""
        return self.pid(name) is not None

    def stop(self, name: str, *, grace_s: float = 5.0) -> None:
        """Stop a process, gently first."""
        pid = self.pid(name)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + grace_s
            while self.alive(name) and time.monotonic() < deadline:
                _reap(pid)
                time.sleep(0.05)
            if self.alive(name):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            _reap(pid, wait_s=1.0)
        (self._records / f"{name}.json").unlink(missing_ok=True)

    def tail(self, name: str, lines: int = 15) -> str:
        """Return the last lines of a process's log."""
        try:
            text = (self.logs / f"{name}.log").read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])


def kill(pids: Iterable[int]) -> None:
    """Kill processes at once; those that are gone already are fine."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def find(*parts: str) -> list[int]:
    """Return the processes whose command line has all these parts as arguments."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                argv = (entry / "cmdline").read_bytes().split(b"\0")
                if all(part.encode() in argv for part in parts):
                    found.append(int(entry.name))
    return found


def _reap(pid: int, wait_s: float = 0.0) -> None:
    """Take note of the end of a process that this one started."""
    for process in [each for each in _started if each.pid == pid]:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=wait_s)
            _started.remove(process)
