"""Errors of this room, named by cause; the HTTP status stays inside."""

from __future__ import annotations

_MESSAGE_LIMIT = (
    500  # a Status message may quote a whole object: keep it out of logs and conditions
)


class KubeError(Exception):
    """The API server refused a request, or could not be reached.

    Attributes:
        status: HTTP status code; 0 where there was no answer.
        reason: The `reason` of the `Status` object, for example `Conflict`.
    """

    label = "api"

    def __init__(self, message: str, *, status: int = 0, reason: str = "") -> None:
        super().__init__(message[:_MESSAGE_LIMIT])
        self.status = status
        self.reason = reason


class NotFoundError(KubeError):
    """The object is gone, or its namespace is."""

    label = "not_found"


class ConflictError(KubeError):
    """Somebody wrote the object since it was read: read again and decide again."""

    label = "conflict"


class InvalidError(KubeError):
    """The API server finds the object invalid; trying again as it is cannot help."""

    label = "invalid"


class ForbiddenError(KubeError):
    """Role, quota or admission forbids it; somebody has to change something."""

    label = "forbidden"


class UnreachableError(KubeError):
    """No answer, or one that asks to come again later."""

    label = "unreachable"


class NotLeaderError(KubeError):
    """This replica does not hold the Lease, so it writes nothing."""

    label = "not_leader"


_BY_STATUS: dict[int, type[KubeError]] = {
    400: InvalidError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: ConflictError,
    422: InvalidError,
    429: UnreachableError,
}

_UNREADABLE = ("failed to create typed patch object", "failed to convert new object")
"""How server-side apply refuses a field of the wrong type: as a fault of its own, status 500."""


def error_for(status: int, reason: str, message: str) -> KubeError:
    """Return the error for an HTTP answer of the API server."""
    kind = _BY_STATUS.get(status)
    if status == 500 and message.startswith(_UNREADABLE):
        kind = InvalidError
    if kind is None:
        kind = UnreachableError if status >= 500 else KubeError
    return kind(message, status=status, reason=reason)
