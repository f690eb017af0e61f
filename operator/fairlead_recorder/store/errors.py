"""What can go wrong in the store, named by cause."""

from __future__ import annotations


class StoreError(Exception):
    """The base of them all."""


class UnknownExperimentError(StoreError):
    """Nobody has registered the experiment."""


class ConflictError(StoreError):
    """What is asked contradicts what is recorded already."""


class BusyError(StoreError):
    """More is waiting to be written than may wait; try again later."""


class UnavailableError(StoreError):
    """The database cannot be used now."""
