"""Completion for shells: click's own for `fairlead`, and kubectl's protocol for the plugin."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from click.shell_completion import ShellComplete, get_completion_class

PROGRAM = "fairlead"
VARIABLE = "_FAIRLEAD_COMPLETE"
SHELLS = ("bash", "zsh", "fish")
_NO_FILES = ":4"
_FILES = ":0"
"""What kubectl is to do beside our words: cobra's directives."""


def script(shell: str) -> str:
    """Return what a shell has to source."""
    from fairlead_cli.commands import cli

    found = get_completion_class(shell)
    if found is None:
        raise ValueError(f"no completion for {shell}: there is {', '.join(SHELLS)}")
    return found(cli, {}, PROGRAM, VARIABLE).source()


def kubectl(argv: Sequence[str] | None = None) -> int:
    """Answer kubectl, which runs `kubectl_complete-fairlead` with the words after our name.

    The last word is the one to complete. The answer is a word a line, then a directive.
    """
    from fairlead_cli.commands import cli

    *before, incomplete = list(sys.argv[1:] if argv is None else argv) or [""]
    found = ShellComplete(cli, {}, PROGRAM, VARIABLE).get_completions(before, incomplete)
    files = any(each.type in ("file", "dir") for each in found)
    for each in found:
        if each.type == "plain":
            text = f"{each.value}\t{each.help}" if each.help else str(each.value)
            sys.stdout.write(f"{text}\n")
    sys.stdout.write(f"{_FILES if files else _NO_FILES}\n")
    return 0
