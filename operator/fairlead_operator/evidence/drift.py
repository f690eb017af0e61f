"""What model pods have counted of drift, read from their inner port.

numpy is imported with the first page that is read: an operator without drift does without.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fairlead_operator.evidence.scrape import Scraper, Target, Unread
from fairlead_runtime.contract.drift_names import PATH

if TYPE_CHECKING:
    from fairlead_runtime.contract.drift_report import Report

PORT_NAME = "metrics"
"""What a model container calls its inner port; without one there is nothing to read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one pod said.

    Attributes:
        pod: Its name.
        report: Its counts; None where it has none.
        reason: Why it has none, in one word: NoProfile, ModelLoading, ProfileRefused, Unread.
        message: The same for people.
    """

    pod: str
    report: Report | None = None
    reason: str = ""
    message: str = ""


def targets(pods: Sequence[Mapping[str, Any]]) -> tuple[Target, ...]:
    """Return where the pods that are ready show their counts.

    One that is told to go stays ready while it answers what is left, and so its last rows are had.
    """
    found = []
    for pod in pods:
        port = inner_port(pod.get("spec") or {})
        if port is not None and _ready(pod):
            ip = str((pod.get("status") or {}).get("podIP") or "")
            found.append(Target(pod=str(pod["metadata"]["name"]), ip=ip, port=port, path=PATH))
    return tuple(found)


def inner_port(pod_spec: Mapping[str, Any]) -> int | None:
    """Return the inner port of a pod, or of a pod template, by its spec; None without one."""
    for container in pod_spec.get("containers") or ():
        for port in container.get("ports") or ():
            if port.get("name") == PORT_NAME:
                return int(port["containerPort"])
    return None


async def read(scraper: Scraper, wanted: Sequence[Target]) -> tuple[Told, ...]:
    """Ask pods side by side; one that cannot be asked is in the answer all the same."""
    pages = await scraper.read(wanted)
    return tuple(
        Told(pod=target.pod, reason="Unread", message=page.why)
        if isinstance(page, Unread)
        else parse(target.pod, page.body)
        for target, page in zip(wanted, pages, strict=True)
    )


def parse(pod: str, body: bytes) -> Told:
    """Return what a page says; a page that makes no sense is no counts."""
    from fairlead_runtime.contract.drift_report import ReportError, from_document

    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        return Told(pod=pod, reason="Unread", message=f"{pod}: its drift page is no JSON: {error}")
    if isinstance(document, dict) and document.get("profile", "") is None:
        reason, message = document.get("reason"), document.get("message")
        return Told(pod=pod, reason=str(reason), message=str(message))
    try:
        return Told(pod=pod, report=from_document(document))
    except ReportError as error:
        return Told(pod=pod, reason="Unread", message=f"{pod}: {error}")


def going(pods: Sequence[Mapping[str, Any]]) -> bool:
    """Whether one of the pods that can be asked is about to go."""
    return any(pod["metadata"].get("deletionTimestamp") and _ready(pod) for pod in pods)


def _ready(pod: Mapping[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)
