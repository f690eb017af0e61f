"""Everything here runs Argo CD's own code, which is built once."""

from __future__ import annotations

from pathlib import Path

import pytest

_BUILD_S = 1800


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave time to build it, whichever test comes first."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(_BUILD_S))
