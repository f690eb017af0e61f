"""Memory does not grow with units."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests.recorder import otlp
from tests.recorder.process import Recorder, recorder
from tests.recorder.worlds import arm_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
_BATCH = 5_000
_MIB_PER_UNIT = 1 / 4_096
"""A quarter of a kibibyte: what the least entry of a dictionary of units would take."""


def rss_mib(served: Recorder) -> float:
    found = re.search(
        r"^VmRSS:\s+(\d+) kB$", Path(f"/proc/{served.pid}/status").read_text(), re.MULTILINE
    )
    assert found is not None
    return int(found[1]) / 1_024


def send(served: Recorder, first: int, last: int) -> None:
    for start in range(first, last, _BATCH):
        units = [f"user-{i}" for i in range(start, start + _BATCH)]
        entries = [(f"pepper:{unit}", arm_of(unit), arm_of(unit)) for unit in units]
        body = otlp.export(entries, uid=served.uid, at=time.time_ns())
        assert otlp.send(served, body).status_code == 200
        outcomes = [{"key": u, "unit": u, "metric": "revenue", "value": 1} for u in units]
        answer = served.post(f"{served.path}/outcomes", {"outcomes": outcomes})
        assert answer.status_code == 200


def test_three_hundred_thousand_more_units_need_no_more_memory(tmp_path: Path) -> None:
    with recorder(f"sqlite:///{tmp_path}/recorder.db", tmp_path) as served:
        served.register()
        send(served, 0, 200_000)
        before = rss_mib(served)
        send(served, 200_000, 500_000)
        grown = rss_mib(served) - before
        assert served.summary()["counters"]["counted"] == 500_000
        assert grown < 300_000 * _MIB_PER_UNIT / 2, f"{before:.0f} MiB, and {grown:.0f} more"
