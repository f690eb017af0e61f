"""Exit codes, and the errors that end a command with one of them."""

from __future__ import annotations

from enum import IntEnum
from typing import Self


class Exit(IntEnum):
    """What the exit status of a command says; each member carries its documentation."""

    meaning: str

    def __new__(cls, value: int, meaning: str = "") -> Self:
        """Make a member that carries its documentation."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    OK = 0, "Done."
    PROBLEM = (
        1,
        (
            "The answer is no: an imperative was refused or ignored, `doctor` found a problem, or "
            "the model refused the request."
        ),
    )
    USAGE = 2, "The command line or an input file makes no sense."
    NOT_FOUND = 3, "There is no such resource, or Fairlead is not installed."
    CLUSTER = 4, "The cluster cannot be reached, or it does not allow this."
    TIMEOUT = 5, "Waited in vain; what was asked for may still happen."
    INTERRUPTED = 130, "Ended by Ctrl-C."


class CLIError(Exception):
    """Ends the command with a message for people.

    Attributes:
        code: The exit status.
        hint: What to do next; empty where the message says it.
    """

    code = Exit.PROBLEM

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class InputError(CLIError):
    """What was given makes no sense."""

    code = Exit.USAGE


class NotFoundError(CLIError):
    """There is no such thing."""

    code = Exit.NOT_FOUND


class ClusterError(CLIError):
    """The cluster cannot be reached, or it failed."""

    code = Exit.CLUSTER


class ForbiddenError(ClusterError):
    """The cluster does not allow this."""


class TimedOutError(CLIError):
    """What was waited for did not happen in time."""

    code = Exit.TIMEOUT
