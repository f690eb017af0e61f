"""Counts one user's requests in the API server's audit log."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_READS = frozenset({"get", "list"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One finished request.

    Attributes:
        at: When the API server received it, in seconds since the epoch.
        verb: Verb as the audit log names it: `get`, `list`, `watch`, `create`, `patch`, ...
        resource: Plural of the kind, with the subresource after a slash where there is one.
        code: HTTP status of the answer.
    """

    at: float
    verb: str
    resource: str
    code: int

    @property
    def is_lease(self) -> bool:
        """Whether it is about the Lease, which is renewed for ever."""
        return self.resource == "leases"

    @property
    def is_event(self) -> bool:
        """Whether it posts an Event: a courtesy to people, not state."""
        return self.resource == "events" and self.verb in _WRITES

    @property
    def is_write(self) -> bool:
        """Whether it writes anything but the Lease or an Event."""
        return self.verb in _WRITES and not self.is_lease and not self.is_event

    @property
    def is_status_write(self) -> bool:
        """Whether it writes the status of a ModelDeployment."""
        return self.is_write and self.resource == "modeldeployments/status"

    @property
    def is_read(self) -> bool:
        """Whether it reads anything but the Lease; an open watch is not counted."""
        return self.verb in _READS and not self.is_lease


def requests_of(user: str, audit_log: Path) -> list[Request]:
    """Return every finished request of a user, oldest first, from this log and rotated ones."""
    found: list[Request] = []
    for path in audit_log.parent.glob(f"{audit_log.stem}*{audit_log.suffix}"):
        with path.open(encoding="utf-8") as lines:
            found.extend(_parsed(user, lines))
    return sorted(found, key=lambda request: request.at)


def between(requests: Iterable[Request], start: float, end: float) -> list[Request]:
    """Return the requests that were received from `start` until before `end`."""
    return [request for request in requests if start <= request.at < end]


def by_kind(requests: Iterable[Request]) -> str:
    """Return how often each verb met each kind, the most frequent first."""
    counted = Counter(f"{request.verb} {request.resource}" for request in requests)
    return ", ".join(f"{name} {number}" for name, number in counted.most_common())


def _parsed(user: str, lines: Iterable[str]) -> Iterable[Request]:
    for line in lines:
        if user not in line:
            continue
        event = json.loads(line)
        if event["user"]["username"] != user or event["stage"] != "ResponseComplete":
            continue
        about = event.get("objectRef") or {}
        parts = (about.get("resource"), about.get("subresource"))
        yield Request(
            at=dt.datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp(),
            verb=event["verb"],
            resource="/".join(part for part in parts if part),
            code=int((event.get("responseStatus") or {}).get("code") or 0),
        )
