"""What can go wrong in the store, named by cause."""

from __future__ import annotations


class StoreError(Exception):
    """The base of them all. A change that raises one has written nothing."""


class UnknownExperimentError(StoreError):
    """Nobody has registered the experiment."""


class ConflictError(StoreError):
    """What is asked contradicts what is recorded already."""


class InvalidError(StoreError):
    """What is sent does not fit the experiment.

    Args:
        message: What it is about.
        problems: One for each fault.
    """

    def __init__(self, message: str, problems: list[str]) -> None:
        super().__init__(message)
        self.problems = problems


class BusyError(StoreError):
    """More is waiting to be written than may wait; try again later."""


class UnavailableError(StoreError):
    """The database cannot be used now."""
