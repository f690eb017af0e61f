"""Why a tool could not do its work: a reason for scripts, a line for people."""

from __future__ import annotations


class ToolError(Exception):
    """A tool could not do its work; the message is one line and says what to do.

    Attributes:
        reason: One word.
        blames_model: True where the model itself is wrong, so that trying again cannot help.
    """

    def __init__(self, reason: str, message: str, *, blames_model: bool = False) -> None:
        super().__init__(" ".join(message.split()))
        self.reason = reason
        self.blames_model = blames_model


class DataMismatchError(ToolError):
    """A data file can be read, but does not fit what the model takes and gives."""

    def __init__(self, message: str) -> None:
        super().__init__("DataDoesNotFit", message)
