"""Why a model could not be fetched: a reason for scripts, a line for people."""

from __future__ import annotations


class FetchError(Exception):
    """A model could not be fetched.

    Attributes:
        reason: One word; the operator shows it as the condition's reason.
        blames_model: True where trying again cannot help: the model or its URI is wrong.
    """

    reason = "DownloadFailed"
    blames_model = False


class UnsupportedSchemeError(FetchError):
    """Nobody here can read this kind of URI."""

    reason, blames_model = "UnsupportedScheme", True


class SourceNotFoundError(FetchError):
    """There is nothing at the URI (yet)."""

    reason = "SourceNotFound"


class DownloadRefusedError(FetchError):
    """The server wants other credentials."""

    reason = "DownloadRefused"


class DownloadFailedError(FetchError):
    """The server cannot be reached, or fails.

    Attributes:
        again: True where the same process may try again at once.
        pause_s: Seconds for which the server wants to be left alone.
    """

    reason = "DownloadFailed"

    def __init__(self, message: str, *, again: bool = True, pause_s: float | None = None) -> None:
        super().__init__(message)
        self.again = again
        self.pause_s = pause_s


class ChangedMeanwhileError(DownloadFailedError):
    """The model was replaced while it was fetched."""

    def __init__(self, message: str) -> None:
        super().__init__(message, again=False)


class NotInstalledError(UnsupportedSchemeError):
    """This kind of URI can be read, but not here: its package is not installed."""


class DigestMismatchError(FetchError):
    """The bytes are not those of the pinned digest."""

    reason, blames_model = "DigestMismatch", True


class ModelChangedInPlaceError(FetchError):
    """The bytes are not those that the revision's first pod found."""

    reason, blames_model = "ModelChangedInPlace", True


class ModelTooLargeError(FetchError):
    """The model is larger than allowed."""

    reason, blames_model = "ModelTooLarge", True


class InvalidModelError(FetchError):
    """The file cannot be an ONNX model."""

    reason, blames_model = "InvalidModel", True
