"""What a command leaves behind for the operator: one JSON line in the termination log."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

from fairlead_runtime.cli import logs

log = logging.getLogger(__name__)
_DEFAULT = "/dev/termination-log"


def succeeded(**values: Any) -> None:  # noqa: ANN401 - JSON
    """Report values of a command that went well."""
    _write(values)


def failed(reason: str, message: str) -> None:
    """Report why a command failed; people read the same on standard error."""
    line = " ".join(message.split())
    _write({"reason": reason, "message": line})
    if logs.json_lines():
        log.error(line, extra={"reason": reason})
    else:
        sys.stderr.write(f"fairlead-runtime: {reason}: {line}\n")


def document(values: dict[str, Any]) -> None:
    """Leave a whole report; the caller has made sure that it is small enough."""
    _write(values)


def _write(values: dict[str, Any]) -> None:
    path = Path(os.environ.get("FAIRLEAD_TERMINATION_LOG", _DEFAULT))
    # Outside of a pod there is no such file, and nobody who would read it.
    if path.exists() or "FAIRLEAD_TERMINATION_LOG" in os.environ:
        with contextlib.suppress(OSError):
            path.write_text(json.dumps(values))
