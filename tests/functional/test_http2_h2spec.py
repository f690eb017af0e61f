"""h2spec, somebody else's examination of HTTP/2 servers, built from source by `cluster.build`."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from cluster.build import program
from tests.runtimes import served_by_edge

pytestmark = pytest.mark.slow

OF_TWO_PROTOCOLS = {"Sends invalid connection preface"}
"""What does not begin as HTTP/2 is HTTP/1.1 on this port, and is refused in its words, with 400;
h2spec wants silence."""


def test_h2spec_finds_nothing_but_that_the_port_speaks_1_1_as_well(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    with served_by_edge("own", tmp_path) as server:
        command = [
            str(program("h2spec")), "--host", "127.0.0.1", "--port", str(server.port),
            "--path", "/health/live", "--timeout", "10", "--strict",
            "--junit-report", str(report),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
        cases = list(ET.parse(report).getroot().iter("testcase"))
        wrong = {
            str(case.get("classname"))
            for case in cases
            if case.find("failure") is not None or case.find("error") is not None
        }
    assert len(cases) > 140, done.stdout
    assert wrong == OF_TWO_PROTOCOLS, done.stdout
