"""What can be wrong with a wanted split."""

from __future__ import annotations


class TrafficError(ValueError):
    """A split that cannot be; the message says what is wrong with it and what to do."""
