"""Flags that are environment variables as well."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """A parser whose usage errors end with status 1: 2 is kept for blaming the model.

    argparse's own status is 2, so that a wrong flag in a Job would condemn a good model.
    """

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line, and where help is."""
        sys.stderr.write(f"{self.prog}: {message} (see {self.prog} --help)\n")
        sys.exit(1)


class Options:
    """Adds flags to a parser; each takes its default from `FAIRLEAD_<FLAG>` where that is set."""

    def __init__(
        self, parser: argparse.ArgumentParser, env: Mapping[str, str] = os.environ
    ) -> None:
        self._parser, self._env = parser, env

    def add(
        self,
        flag: str,
        text: str,
        *,
        kind: Callable[[str], Any] = str,
        default: Any = None,  # noqa: ANN401 - whatever the flag's kind gives
        metavar: str | None = None,
        also: tuple[str, ...] = (),
    ) -> None:
        """Add one flag.

        Args:
            flag: Its name with the dashes.
            text: Its help.
            kind: Converts the text.
            default: Used where neither flag nor variable is given.
            metavar: Its placeholder in the help.
            also: Other environment variables that are honoured, after our own.
        """
        variables = ("FAIRLEAD_" + flag.strip("-").upper().replace("-", "_"), *also)
        shown = "none" if default is None else default
        from_env = next((self._env[name] for name in variables if self._env.get(name)), None)
        self._parser.add_argument(
            flag,
            type=kind,
            default=from_env if from_env is not None else default,
            metavar=metavar or flag.strip("-").upper().replace("-", "_"),
            help=f"{text} (default: {shown}; environment: {', '.join(variables)})",
        )


def positive(text: str) -> int:
    """Parse an integer of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def port(text: str) -> int:
    """Parse a port; 0 lets the system choose."""
    value = int(text)
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError("must be 0 to 65535")
    return value


def seconds(text: str) -> float:
    """Parse a number of seconds, more than 0."""
    value = float(text)
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError("must be more than 0")
    return value


def whole(text: str) -> int:
    """Parse an integer of at least 0."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must be at least 0")
    return value


def share(text: str) -> float:
    """Parse a share, 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError("must be 0 to 1")
    return value


def positives(text: str) -> tuple[int, ...]:
    """Parse integers of at least 1 with commas between them."""
    return tuple(positive(part) for part in text.split(","))


def words(text: str) -> tuple[str, ...]:
    """Parse words with commas between them."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def milliseconds(text: str) -> float:
    """Parse a number of milliseconds of 0 or more, and return seconds."""
    value = float(text)
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return value / 1000


def one_of(*words: str) -> Callable[[str], str]:
    """Return a parser that takes one of these words."""

    def parse(text: str) -> str:
        if text not in words:
            raise argparse.ArgumentTypeError(f"must be one of {', '.join(words)}")
        return text

    return parse
