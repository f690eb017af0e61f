"""Runs `fairlead-runtime` as users do: as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)


def runtime(
    *args: str | Path,
    python: Path | str = sys.executable,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
) -> Ended:
    """Run a command; a warning of Python's would be an error."""
    done = subprocess.run(
        [str(python), "-W", "error", "-m", "fairlead_runtime.cli", *(str(each) for each in args)],
        env={**os.environ, **(env or {})},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    return Ended(status=done.returncode, out=done.stdout, err=done.stderr)
