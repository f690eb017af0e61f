"""Errors of requests, free of any transport: the edges give them their status codes."""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """What went wrong, in one word for programs; the words stay as they are."""

    INVALID_REQUEST = "InvalidRequest"
    """A field is missing, of the wrong type, or says something that this model cannot take."""
    INVALID_JSON = "InvalidJson"
    """The body, or the part of it that should be JSON, is none."""
    INVALID_TENSOR = "InvalidTensor"
    """A tensor's name, datatype, shape or data does not fit the model."""
    INVALID_ENCODING = "InvalidEncoding"
    """The content coding is unknown, or the body is not of the coding that its header names."""
    TOO_LARGE = "TooLarge"
    """The body is larger than the server takes."""
    NOT_FOUND = "NotFound"
    """There is nothing at this path."""
    METHOD_NOT_ALLOWED = "MethodNotAllowed"
    """The path is there, but for another method."""
    UNKNOWN_MODEL = "UnknownModel"
    """Another model or version than the one that is served was asked for."""
    NOT_READY = "NotReady"
    """The model is loading, or the server is about to stop: try again later or elsewhere."""
    OVERLOADED = "Overloaded"
    """Too many requests are waiting: try again later."""
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    """The client's time limit passed."""
    INFERENCE_FAILED = "InferenceFailed"
    """The model failed on this input."""
    INTERNAL = "Internal"
    """A fault of the server; its log says more."""

    # What HTTP itself forbids or what is beyond a limit of the server, before there is a request.
    BAD_REQUEST = "BadRequest"
    """This is not HTTP, or not in a way that all readers of it understand alike."""
    REQUEST_TIMEOUT = "RequestTimeout"
    """Headers or body took too long to come."""
    URI_TOO_LONG = "UriTooLong"
    """The request target is too long."""
    HEADERS_TOO_LARGE = "HeadersTooLarge"
    """The headers are too many or too large."""
    EXPECTATION_FAILED = "ExpectationFailed"
    """`Expect` asks for something else than 100-continue."""
    NOT_IMPLEMENTED = "NotImplemented"
    """A transfer coding that is not understood."""
    VERSION_NOT_SUPPORTED = "VersionNotSupported"
    """Another version of HTTP than 1.0 and 1.1."""
    TOO_MANY_CONNECTIONS = "TooManyConnections"
    """As many connections are open as may be: use fewer, or try again later."""


class RequestError(Exception):
    """A request cannot be answered; the message is for the client.

    Attributes:
        code: What went wrong, in one word.
        field: Which part of the request is to blame; empty where none is.
        expected: What should have been there; empty where the message has nothing to add.
    """

    code = Code.INTERNAL
    field = ""
    expected = ""

    def document(self) -> dict[str, str]:
        """Return the error as clients get it: `error` and `code`, `field` and `expected` if any."""
        document = {"error": str(self), "code": str(self.code)}
        if self.field:
            document["field"] = self.field
        if self.expected:
            document["expected"] = self.expected
        return document


class InvalidRequestError(RequestError):
    """The request makes no sense; the message begins with the field that is wrong."""

    def __init__(
        self, field: str, message: str, *, expected: str = "", code: Code = Code.INVALID_REQUEST
    ) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field, self.expected, self.code = field, expected, code


class TooLargeError(RequestError):
    """The body has more bytes than the server takes."""

    code = Code.TOO_LARGE

    def __init__(self, limit: int, *, inflated: bool = False) -> None:
        what = "once inflated, the body" if inflated else "the body"
        super().__init__(f"{what} has more than {limit} bytes")
        self.field, self.expected = "body", f"at most {limit} bytes"


class NotFoundError(RequestError):
    """There is nothing at a path."""

    code = Code.NOT_FOUND


class MethodNotAllowedError(RequestError):
    """The path is there, but not for this method."""

    code = Code.METHOD_NOT_ALLOWED

    def __init__(self, allowed: str) -> None:
        super().__init__(f"use {allowed}")
        self.expected = allowed


class UnknownModelError(RequestError):
    """Another model or version than the one that is served was asked for."""

    code = Code.UNKNOWN_MODEL


class NotReadyError(RequestError):
    """The model is still loading, or the server is about to stop."""

    code = Code.NOT_READY


class InferenceError(RequestError):
    """The model itself failed on this input."""

    code = Code.INFERENCE_FAILED


class InputRefusedError(InferenceError):
    """The model cannot take this input: a size or value that its signature does not tell of."""

    code = Code.INVALID_TENSOR


class OverloadedError(RequestError):
    """Too many requests are waiting; this one was not tried."""

    code = Code.OVERLOADED

    def __init__(self, waiting: int, retry_after_s: int, *, size: int | None = None) -> None:
        of = "" if size is None else f" of {size} bytes together"
        super().__init__(
            f"{waiting} requests{of} are waiting, which is as much as may: "
            f"try again in {retry_after_s} s, or start more replicas"
        )
        self.retry_after_s = retry_after_s


class DeadlineError(RequestError):
    """The client's time limit passed before there was an answer."""

    code = Code.DEADLINE_EXCEEDED

    def __init__(self) -> None:
        super().__init__("the request's time limit passed before the model had answered")
