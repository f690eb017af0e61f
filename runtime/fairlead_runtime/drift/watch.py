"""Drift of a served model, from a profile that may be missing or wrong.

Whatever is wrong with a profile, the model is served: what cannot be watched is said in the log and
on the page, and that is all.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from fairlead_runtime.contract import drift_names
from fairlead_runtime.contract.drift_profile import Profile, ProfileError, parse
from fairlead_runtime.contract.drift_report import SCHEMA, to_document
from fairlead_runtime.drift.check import check, unwatched
from fairlead_runtime.drift.gauges import collect
from fairlead_runtime.drift.monitor import Answered, Monitor
from fairlead_runtime.protocol.types import Signature

log = logging.getLogger(__name__)


class Served(Protocol):
    """The model, as the data plane serves it."""

    @property
    def loaded(self) -> bool:
        """Whether digest and signature are known."""

    @property
    def digest(self) -> str:
        """The digest of its file."""

    def signature(self) -> Signature:
        """What it takes and gives."""


class DriftWatch(Collector):
    """A sink, a page and metrics of one model's drift.

    Attributes:
        refused: Why the profile cannot be used; empty as long as it can.
    """

    def __init__(self, path: Path, model: Served, *, version: str) -> None:
        self._model, self._version = model, version
        self._lock = threading.Lock()
        self._monitor: Monitor | None = None
        self.refused = ""
        try:
            self._pending: Profile | None = read(path)
        except ProfileError as error:
            self._pending = None
            self._refuse(f"{path} cannot be used: {error}")

    @property
    def monitor(self) -> Monitor | None:
        """The counts; None before the model is loaded, and without a usable profile."""
        if self._pending is not None and self._model.loaded:
            with self._lock:
                profile, self._pending = self._pending, None
                if profile is not None:  # else another thread was first
                    self._begin(profile)
        return self._monitor

    def take(self, batch: Sequence[Answered]) -> None:
        """Count some answers."""
        monitor = self.monitor
        if monitor is not None:
            monitor.take(batch)

    @property
    def sated(self) -> bool:
        """Whether a sample of the answers is enough for now."""
        monitor = self._monitor
        return self._pending is None if monitor is None else monitor.sated

    def page(self) -> tuple[str, bytes]:
        """Return the answer to `GET /fairlead/v1/drift`."""
        monitor = self.monitor
        if monitor is not None:
            return to_json(to_document(monitor.report()))
        reason = "ProfileRefused" if self.refused else "ModelLoading"
        message = self.refused or "the model is not loaded yet"
        return to_json(nothing(reason, message))

    def describe(self) -> Iterable[Metric]:
        """Return nothing: registering must not compute scores."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Return all series as they are now."""
        yield refusal(refused=bool(self.refused))
        monitor = self.monitor
        if monitor is not None:
            yield from collect(monitor)

    def _begin(self, profile: Profile) -> None:
        signature = self._model.signature()
        try:
            check(profile, digest=self._model.digest, signature=signature)
        except ProfileError as error:
            self._refuse(f"the profile cannot be used: {error}")
            return
        for name in unwatched(profile, signature):
            log.warning("the profile says nothing of %s: its drift is not seen", name)
        self._monitor = Monitor(profile, version=self._version)
        log.info("drift against %s, %d features", profile.digest, len(profile.features))

    def _refuse(self, message: str) -> None:
        self.refused = message
        log.error("no drift is counted: %s", message)


def refusal(*, refused: bool) -> Metric:
    """Return the series that says whether there is a profile that cannot be used."""
    return GaugeMetricFamily(
        drift_names.PROFILE_REFUSED,
        "1 where there is a profile that cannot be used; the log says why.",
        value=float(refused),
    )


def read(path: Path) -> Profile:
    """Read a profile.

    Raises:
        ProfileError: There is none, or it cannot be used. Where whoever fetched it has left word
            why it is not there, that is the message.
    """
    try:
        if not path.exists() and (word := path.with_name(drift_names.PROBLEM_FILE)).is_file():
            raise ProfileError(word.read_text(errors="replace")[:1000])
        if path.stat().st_size > drift_names.PROFILE_BYTES:
            raise ProfileError(f"it has more than {drift_names.PROFILE_BYTES >> 20} MiB")
        text = path.read_bytes()
    except OSError as error:
        raise ProfileError(error.strerror or str(error)) from error
    return parse(text)


def nothing(reason: str, message: str) -> dict[str, Any]:
    """Return what the page says where nothing is counted."""
    return {"schema": SCHEMA, "profile": None, "reason": reason, "message": message}


def to_json(document: dict[str, Any]) -> tuple[str, bytes]:
    """Return a page's content type and body."""
    return "application/json", json.dumps(document, separators=(",", ":")).encode()
