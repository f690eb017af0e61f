"""Writes generated files, or checks that they are up to date."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path


def add_flags(
    parser: argparse.ArgumentParser, what: str, directories: tuple[Path, ...]
) -> argparse._MutuallyExclusiveGroup:
    """Add `--write`, `--check` and `--directory` to a parser; return the group of the first two."""
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--write", action="store_true", help=f"write the {what}")
    group.add_argument(
        "--check", action="store_true", help=f"exit 1 where one of the {what} is not up to date"
    )
    parser.add_argument(
        "--directory", type=Path, action="append",
        help="where they are; may be given more than once "
        f"(default: {' and '.join(map(str, directories))})",
    )  # fmt: skip
    return group


def write_or_check(
    texts: Mapping[str, str], directories: tuple[Path, ...], *, check: bool, command: str
) -> int:
    """Write each text into each directory where it differs; return the exit status.

    Args:
        texts: By the name of the file.
        directories: Where the files belong.
        check: Write nothing, and return 1 where something differs.
        command: What writes them, for the message.
    """
    wanted = {folder / name: text for folder in directories for name, text in texts.items()}
    stale = [p for p, text in wanted.items() if not p.is_file() or p.read_text() != text]
    for path in stale:
        if check:
            sys.stderr.write(f"{path} is not up to date: run `{command} --write`\n")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path])
            sys.stderr.write(f"wrote {path}\n")
    return 1 if stale and check else 0
