"""How far property tests search: less in `make check`, which people run all the time."""

from __future__ import annotations

import os

from hypothesis import settings

_QUICK = os.environ.get("FAIRLEAD_SEARCH") == "quick"
"""`make test` searches again, the whole way; so does pytest by itself."""
_PART = 5


def searches(examples: int, *, steps: int | None = None) -> settings:
    """Return settings for a property test, or for a state machine.

    Args:
        examples: How many are tried.
        steps: Steps of each; of a state machine alone.
    """
    # A shared machine is slow now and then: how long an example takes is no result of a test.
    found = settings(max_examples=examples // _PART if _QUICK else examples, deadline=None)
    return found if steps is None else settings(found, stateful_step_count=steps)
