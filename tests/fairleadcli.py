"""Runs `fairlead` as users do: as a process, or, where only the words matter, in this one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fairlead_cli.__main__ import main
from tests.command import Ended

_OWN = ("NO_COLOR", "FORCE_COLOR", "KUBECONFIG", "COLUMNS", "TERM")


def environment(**more: str) -> dict[str, str]:
    """Return this process' environment without what would change what is printed."""
    return {**{key: value for key, value in os.environ.items() if key not in _OWN}, **more}


def fairlead(
    *args: str | Path, kubeconfig: Path | None = None, stdin: str | None = None, **more: str
) -> Ended:
    """Run a command; a warning of Python's in it would be an error."""
    config = {"KUBECONFIG": str(kubeconfig or os.devnull)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "fairlead_cli", *(str(each) for each in args)],
        env=environment(**config, **more), input=stdin, capture_output=True, text=True,
        check=False, timeout=90,
    )  # fmt: skip
    return Ended(status=done.returncode, out=done.stdout, err=done.stderr)


def here(capsys: pytest.CaptureFixture[str], *args: str | Path) -> Ended:
    """Run a command in this process."""
    status = main([str(each) for each in args])
    caught = capsys.readouterr()
    return Ended(status=status, out=caught.out, err=caught.err)
