"""The page of an experiment: right numbers, nothing loaded, and a real browser shows it."""

from __future__ import annotations

import base64
import hashlib
import re
import struct
import subprocess
import time
import zlib
from html.parser import HTMLParser
from pathlib import Path

import httpx
import orjson
import pytest

from cluster import debian
from fairlead_recorder.page import html
from fairlead_recorder.page.gather import gather
from fairlead_recorder.store import database, experiments, schema
from fairlead_recorder.store.database import Session
from tests.recorder import story
from tests.recorder.process import recorder
from tests.recorder.worlds import HOUR, START, a_definition, arm_of, converted, expose, record
from tests.recorder.worlds import register as registered

END = START + 240 * HOUR


class Page(HTMLParser):
    """What a page would load, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: set[str] = set()
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.loads += [value or "" for key, value in attrs if key in ("src", "href", "xlink:href")]
        assert not [key for key, _ in attrs if key == "style" or key.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_page_says_what_was_counted(session: Session) -> None:
    found = story.tell(session, END)
    seen = gather(session, found, END)
    page = Page(html.page(seen))
    first = seen.metrics[0]
    for arm in first.arms:
        assert f"{arm.units:,}" in page.words
        assert arm.value is not None
        assert f"{arm.value:.2%}" in page.words
        assert abs(arm.value - story.RATES[arm.name]) < 0.02
    bigger = first.arms[1]
    assert bigger.lift_interval is not None
    assert bigger.lift_interval.low > 0
    assert 'class="good">+' in html.page(seen)
    assert seen.ratio is not None
    assert not seen.ratio.mismatch
    assert "one gap, 42.0 s" in page.words
    assert "units that left because their slot moved" in page.words
    assert len(seen.lifts["bigger"]) > 50
    assert seen.lifts["bigger"][-1].lift == bigger.lift


def test_the_page_needs_nothing_from_anywhere(session: Session) -> None:
    text = html.page(gather(session, story.tell(session, END), END))
    page = Page(text)
    assert page.loads == []
    assert page.tags.isdisjoint({"script", "link", "img", "iframe", "form", "object"})
    assert not re.search(r"url\(|@import|https?:", text.replace('clip-path="url(#plot)"', ""))
    [style] = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in html.POLICY


def test_an_experiment_that_has_seen_nobody_has_a_page(session: Session) -> None:
    text = html.page(gather(session, registered(session, a_definition()), START))
    page = Page(text)
    assert "0 units" in page.words
    assert "None is set" in page.words
    assert "Recording" in page.words


def test_a_ratio_mismatch_is_said_before_anything_else_is_believed(session: Session) -> None:
    experiment = registered(session, a_definition())
    users = [f"u{i}" for i in range(4_000)]
    # A third of the treatment's exposures never come.
    kept = [u for i, u in enumerate(users) if arm_of(u) == "control" or i % 3]
    expose(session, experiment, kept)
    record(session, experiment, *(converted(user) for user in kept[:50]))
    page = Page(html.page(gather(session, experiment, START)))
    assert "mismatch" in page.words
    assert "nothing else on this page can be trusted" in page.words


def test_what_others_say_stays_text(session: Session) -> None:
    experiment = registered(session, a_definition())
    evil = "<script>alert(1)</script>"
    judged = {
        "phase": evil, "message": evil, "leader": evil, "recommendation": evil,
        "guardrails": [{"name": evil, "verdict": evil, "value": evil, "limit": evil}],
    }  # fmt: skip
    experiments.judge(session, experiment.id, orjson.dumps(judged).decode())
    experiment = experiments.of_name(session, "shop", "checkout")
    text = html.page(gather(session, experiment, START))
    assert "script" not in Page(text).tags
    assert text.count("&lt;script&gt;") == 8


def chromium() -> str:
    """Return the browser; Debian's package is installed where there is none."""
    debian.ensure({"chromium": "chromium"})
    return "chromium"


def pixel(file: Path) -> tuple[int, ...]:
    """Return the colour in the upper left corner of a PNG."""
    data, at, packed = file.read_bytes(), 8, b""
    while at < len(data):
        size = struct.unpack(">I", data[at : at + 4])[0]
        if data[at + 4 : at + 8] == b"IDAT":
            packed += data[at + 8 : at + 8 + size]
        at += size + 12
    # Whatever the first row's filter is, it leaves the first pixel as it is.
    return tuple(zlib.decompress(packed)[1:4])


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_browser_shows_it_in_light_and_dark_and_reports_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/recorder.db"
    session = database.connect(url)
    schema.migrate(session)
    session.begin()
    story.tell(session, time.time_ns() // 1_000)
    session.commit()
    session.close()
    seen = {}
    with recorder(url, tmp_path) as served:
        path = f"{served.url}/experiments/shop/checkout-ranker"
        answer = httpx.get(path, trust_env=False)
        assert answer.headers["content-security-policy"] == html.POLICY
        index = Page(httpx.get(f"{served.url}/experiments", trust_env=False).text)
        assert index.loads == ["/experiments/shop/checkout-ranker"]
        for mode, flag in (("light", 1), ("dark", 0)):
            file = tmp_path / f"{mode}.png"
            done = subprocess.run(
                [
                    chromium(), "--headless", "--no-sandbox", "--disable-gpu",
                    "--hide-scrollbars", "--window-size=1040,2160", f"--user-data-dir={tmp_path}/b",
                    f"--blink-settings=preferredColorScheme={flag}", "--enable-logging=stderr",
                    f"--screenshot={file}", path,
                ],
                capture_output=True, text=True, check=True, timeout=120,
            )  # fmt: skip
            assert "CONSOLE" not in done.stderr, done.stderr
            assert file.stat().st_size > 50_000
            seen[mode] = pixel(file)
        report = tmp_path / "report.html"
        done = served.command("report", "shop/checkout-ranker", "--output", str(report))
        assert done.returncode == 0, done.stderr
        same = re.sub(r"As of [^.]*", "", report.read_text())
        assert len(same) > 10_000
        assert re.findall(r"<h2>.*?</h2>", same) == re.findall(r"<h2>.*?</h2>", answer.text)
    assert seen == {"light": (255, 255, 255), "dark": (18, 22, 28)}
