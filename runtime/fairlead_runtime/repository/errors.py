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
    """The server cannot be reached, or fails."""

    reason = "DownloadFailed"


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
