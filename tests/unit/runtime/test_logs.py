"""Lines of the log, as text and as JSON."""

from __future__ import annotations

import argparse
import json
import logging
import sys

import pytest

from fairlead_runtime.cli.logs import JsonLines, TextLines, level
from fairlead_runtime.dataplane.access import trace_id

TRACE = "0af7651916cd43dd8448eb211c80319c"


def record(message: str, *args: object, **extra: object) -> logging.LogRecord:
    return logging.getLogger("a.b").makeRecord(
        "a.b", logging.WARNING, "", 0, message, args, None, extra=extra
    )


def test_json_lines_have_time_level_logger_message_and_fields() -> None:
    line = JsonLines({"model": "m", "version": "7"}).format(
        record("%d rows\nare odd", 3, request_id="r1", trace_id="")
    )
    assert "\n" not in line
    document = json.loads(line)
    assert document.pop("time").endswith("+00:00")
    assert document == {
        "level": "warning", "logger": "a.b", "message": "3 rows\nare odd",
        "model": "m", "version": "7", "request_id": "r1",
    }  # fmt: skip


def test_a_traceback_is_a_field_of_the_line() -> None:
    try:
        raise ValueError("bad")
    except ValueError:
        failed = record("failed")
        failed.exc_info = sys.exc_info()
    line = JsonLines({}).format(failed)
    assert "\n" not in line
    assert "ValueError: bad" in json.loads(line)["exception"]


def test_what_is_no_json_is_told_as_text() -> None:
    document = json.loads(JsonLines({}).format(record("x", path=ValueError("odd"))))
    assert document["path"] == "odd"


def test_text_lines_show_fields_behind_the_message() -> None:
    line = TextLines("%(levelname)s: %(message)s").format(record("slow", request_id="r1", x=""))
    assert line == "WARNING: slow request_id=r1"


@pytest.mark.parametrize(
    ("text", "name"), [("INFO", "info"), ("warn", "warning"), (" Error ", "error")]
)
def test_levels_are_known_in_any_case(text: str, name: str) -> None:
    assert level(text) == name


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="debug, info"):
        level("loud")


@pytest.mark.parametrize(
    ("traceparent", "trace"),
    [(f"00-{TRACE}-b7ad6b7169203331-01", TRACE), ("", ""), ("x-y-z", ""), ("00-short-b-01", "")],
    ids=["whole", "none", "odd", "short"],
)
def test_the_trace_is_read_from_its_context(traceparent: str, trace: str) -> None:
    assert trace_id(traceparent) == trace
