"""Errors of requests, free of HTTP: the edges give them their status codes."""

from __future__ import annotations


class RequestError(Exception):
    """A request cannot be answered; the message is for the client."""


class InvalidRequestError(RequestError):
    """The request makes no sense; the message begins with the field that is wrong."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field


class UnknownModelError(RequestError):
    """Another model or version than the one that is served was asked for."""


class NotReadyError(RequestError):
    """The model is still loading, or the server is about to stop."""


class InferenceError(RequestError):
    """The model itself failed on this input."""
