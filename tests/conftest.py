"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# A shared machine is slow now and then: how long an example takes is no result of a test.
settings.register_profile("fairlead", deadline=None)
settings.load_profile("fairlead")
