"""Everything here runs Argo CD's own code, which is built once; some of it on a real API server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.apiserver.conftest import api, kubelet, namespace, plane, rig

__all__ = ["api", "kubelet", "namespace", "plane", "rig"]
_BUILD_S = 1800


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave time to build it, whichever test comes first."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(_BUILD_S))
