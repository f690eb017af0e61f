"""The version of what is installed."""

from __future__ import annotations

import importlib.metadata


def version() -> str:
    """Return the version of the installed distribution."""
    return importlib.metadata.version("fairlead")
