"""Kopf's storages, storing nothing: no annotation can be written, and no object is copied for it.

Kopf copies each object several times to find out what its own handlers last saw. We have no such
handlers; the copies were a third of the watches' work.
"""

from __future__ import annotations

from typing import Any

import kopf


class NoEssence(kopf.DiffBaseStorage):
    """Remembers no last state of an object."""

    def build(self, **_: Any) -> Any:  # noqa: ANN401 - Kopf's own
        """Return an empty essence."""
        return {}

    def fetch(self, **_: Any) -> Any:  # noqa: ANN401 - Kopf's own
        """Return nothing."""
        return None

    def store(self, **_: object) -> None:
        """Store nothing."""


class NoProgress(kopf.ProgressStorage):
    """Remembers no progress of handlers."""

    def fetch(self, **_: Any) -> Any:  # noqa: ANN401 - Kopf's own
        """Return nothing."""
        return None

    def store(self, **_: object) -> None:
        """Store nothing."""

    def purge(self, **_: object) -> None:
        """Purge nothing."""

    def touch(self, **_: object) -> None:
        """Touch nothing."""

    def clear(self, *, essence: Any) -> Any:  # noqa: ANN401 - Kopf's own
        """Return the essence as it is."""
        return essence
