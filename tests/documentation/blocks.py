"""Finds what a page tells people to type, and runs it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster.paths import ROOT

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    text: str

    @property
    def where(self) -> str:
        """The page and the line that it begins on."""
        return f"{self.page}:{self.line}"


def blocks(page: Path, language: str) -> Iterator[Block]:
    """Find the fenced blocks of a language in a page, in their order."""
    text = page.read_text()
    for found in _FENCE.finditer(text):
        if found[1] == language:
            line = text.count("\n", 0, found.start()) + 1
            yield Block(str(page.relative_to(ROOT)), line, language, found[2])


def script(commands: list[Block]) -> str:
    """Return one program for bash of all blocks, which stops where one fails."""
    parts = ["set -euo pipefail"]
    for block in commands:
        parts += [f"printf '== %s\\n' {block.where!r}", block.text.rstrip()]
    return "\n".join(parts) + "\n"


def run(program: str, *, seconds: float, env: dict[str, str] | None = None) -> tuple[int, str]:
    """Run a program in bash from the checkout; return its status and all that it printed."""
    process = subprocess.Popen(
        ["bash", "-c", program],
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        out, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, _ = process.communicate()
        return 124, out
    return process.returncode, out
