"""Puts a finished file in its place, so that nobody ever sees half of one."""

from __future__ import annotations

from pathlib import Path

from fairlead_runtime.workbench.errors import ToolError

EXTRA = "fairlead[export]"
ONE_FILE_BYTES = 3 << 29
"""A protobuf ends at 2 GiB: from 1.5 on the weights go beside it."""


def place(made: Path, target: Path) -> None:
    """Move a file, and the weights that lie beside it, to where they should be.

    Raises:
        ToolError: It cannot be written there.
    """
    weights = made.with_name(made.name + ".data")
    try:
        if weights.is_file():
            weights.replace(target.with_name(target.name + ".data"))
        made.replace(target)
    except OSError as error:
        raise ToolError("CannotWrite", f"cannot write {target}: {error}") from error
