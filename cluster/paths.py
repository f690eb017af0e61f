"""Where builds and running clusters live, how progress is shown, and locks between checkouts."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_started = time.monotonic()


class ClusterError(Exception):
    """Something cannot be done; the message says in one line what and what to do next."""


def cache_dir() -> Path:
    """Return the directory of builds: `FAIRLEAD_CACHE`, else `~/.cache/fairlead`."""
    chosen = os.environ.get("FAIRLEAD_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "fairlead"


def state_dir(name: str) -> Path:
    """Return the directory of a running cluster."""
    chosen = os.environ.get("FAIRLEAD_STATE")
    base = Path(chosen).expanduser() if chosen else cache_dir() / "state"
    return base / name


def log(message: str) -> None:
    """Print one progress line with the seconds since the start."""
    print(f"[{time.monotonic() - _started:6.1f} s] {message}", file=sys.stderr, flush=True)


def forget(folder: Path, prefix: str, *, kept: int = 2, suffix: str = "") -> None:
    """Remove all but the newest few of the results that a cache keeps under one name.

    Also removes what an interrupted build left. Call it with the lock of that name held.
    """
    for scratch in folder.glob(f".{prefix}-*"):
        remove(scratch)
    found = sorted(folder.glob(f"{prefix}-*{suffix}"), key=lambda path: path.stat().st_mtime)
    for old in found[:-kept]:
        remove(old)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(path: Path, waiting_for: str) -> Iterator[None]:
    """Hold a lock file; another process or checkout that holds it is waited for, and named."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log(f"waiting for another process: {waiting_for}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
