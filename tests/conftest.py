"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

from tests.searching import searches

settings.register_profile("fairlead", searches(100))
settings.load_profile("fairlead")
