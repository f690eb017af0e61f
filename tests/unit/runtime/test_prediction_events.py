"""Events of the prediction log: what they tell, what they hide, and lines that stay whole."""

from __future__ import annotations

import http.server
import json
import os
import socket
import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlead_runtime.dataplane.aside import Seen
from fairlead_runtime.dataplane.events import MOST_VALUES, Events, Redaction, Style
from fairlead_runtime.dataplane.eventwriters import EventWriter, HttpBatches, Lines, Target
from fairlead_runtime.dataplane.predictionlog import PredictionLog
from fairlead_runtime.dataplane.worker import CAPACITY
from fairlead_runtime.protocol.types import InferRequest, InferResponse, Signature, TensorSpec

SIGNATURE = Signature(
    inputs=(
        TensorSpec(name="x", datatype="FP32", shape=(-1, 3)),
        TensorSpec(name="town", datatype="BYTES", shape=(-1, 1)),
    ),
    outputs=(TensorSpec(name="y", datatype="FP32", shape=(-1, 2)),),
)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def seen(output: Any = None, **headers: str) -> Seen:
    inputs = {
        "x": np.array([[0.1, 2.0, np.nan]], np.float32),
        "town": np.array([["Ulm"]], object),
    }
    outputs = {"y": np.array([[0.25, 0.75]], np.float32) if output is None else output}
    coded = {name.replace("_", "-").encode(): text.encode() for name, text in headers.items()}
    request = InferRequest(inputs=inputs)
    return Seen(request, InferResponse(outputs=outputs), "r1", 0.0123456, "predict", coded)


def told(
    what: Seen, *, inputs: bool = False, redact: tuple[str, ...] = ()
) -> tuple[dict[str, Any], dict[str, Any]]:
    redaction = Redaction.parse(redact)
    style = Style(model_name="m", model_version="7", inputs=inputs, redaction=redaction)
    document = json.loads(Events(SIGNATURE, style).event(what, b"e-1"))
    return document, document["data"]


def test_an_event_has_what_cloudevents_needs() -> None:
    answer = seen(traceparent=TRACE)
    document, data = told(answer)
    at = datetime.fromisoformat(document["time"]).timestamp()
    assert at == pytest.approx(answer.time_s, abs=2e-6)
    assert document["specversion"] == "1.0"
    assert document["id"] == "e-1"
    assert document["source"] == "/v2/models/m/versions/7"
    assert document["type"] == "dev.fairlead.prediction.v1"
    assert document["datacontenttype"] == "application/json"
    assert document["time"].endswith("+00:00")
    assert document["traceparent"] == TRACE
    assert data["request_id"] == "r1"
    assert data["latency_ms"] == 12.346
    assert data["outputs"] == [
        {"name": "y", "datatype": "FP32", "shape": [1, 2], "data": [0.25, 0.75]}
    ]


def test_inputs_and_the_unit_are_told_only_where_asked_for() -> None:
    what = seen(x_fairlead_unit="salt:ann", x_fairlead_variant="candidate")
    _, data = told(what)
    assert "inputs" not in data
    assert "ann" not in json.dumps(data)
    assert data["variant"] == "candidate"
    _, data = told(what, inputs=True)
    assert data["unit"] == "salt:ann"
    assert data["inputs"] == [
        {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [0.1, 2.0, None]},
        {"name": "town", "datatype": "BYTES", "shape": [1, 1], "data": ["Ulm"]},
    ]


def test_redacted_tensors_and_columns_are_nowhere_in_the_event() -> None:
    document, data = told(seen(), inputs=True, redact=("town", "x[1]", "x[99]", "y[0]"))
    assert "Ulm" not in json.dumps(document)
    x, town = data["inputs"]
    assert x["data"][1:] == [None, None]
    assert x["data"][0] == pytest.approx(0.1)
    assert town == {"name": "town", "datatype": "BYTES", "shape": [1, 1], "redacted": True}
    assert data["outputs"][0]["data"] == [None, 0.75]


@pytest.mark.parametrize("word", ["x[", "x[a]", "[1]", "x[1", "x[-1]"])
def test_a_column_that_is_none_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="neither NAME nor"):
        Redaction.parse([word])


def test_large_tensors_are_told_by_their_shape_alone() -> None:
    _, data = told(seen(np.zeros((1, MOST_VALUES + 1), np.float32)))
    assert data["outputs"][0]["omitted"] == "too large"
    assert "data" not in data["outputs"][0]


def test_maps_from_class_to_probability_are_told_as_text() -> None:
    _, data = told(seen([{0: 0.25, 1: 0.75}]))
    assert json.loads(data["outputs"][0]["data"][0]) == {"0": 0.25, "1": 0.75}


class Counts:
    """Counts what is logged and what is lost."""

    def __init__(self) -> None:
        self.value = 0
        self.lost: dict[str, int] = {}

    def logged(self, count: int) -> None:
        self.value += count

    def unseen(self, reason: str, count: int) -> None:
        self.lost[reason] = self.lost.get(reason, 0) + count


def a_log(target: Target, share: float, counts: Counts) -> PredictionLog:
    style = Style(model_name="m", model_version="7", inputs=False, redaction=Redaction())
    writer = EventWriter(target, watcher=counts, counter=counts)
    return PredictionLog(
        writer, watcher=counts, signature=lambda: SIGNATURE, style=style, share=share
    )


def test_a_share_of_the_answers_is_logged_each_event_with_its_own_id(tmp_path: Path) -> None:
    path, counts = tmp_path / "log", Counts()
    log = a_log(Lines(str(path)), 0.25, counts)
    for _ in range(10):
        log.take([seen()] * 200)
    log.close(10)
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert counts.value == len(events)
    assert 350 < len(events) < 650  # six standard deviations and more around 500
    assert len({each["id"] for each in events}) == len(events)
    assert counts.lost == {}


def test_no_share_logs_nothing(tmp_path: Path) -> None:
    path, counts = tmp_path / "log", Counts()
    log = a_log(Lines(str(path)), 0.0, counts)
    log.take([seen()] * 10)
    log.close(10)
    assert path.read_bytes() == b""
    assert counts.value == 0


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://a/b", "no http"),
        ("http://", "no http"),
        ("https://u:p@a/b", "credentials do not belong"),
    ],
)
def test_what_is_no_url_to_send_to_is_refused(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        HttpBatches(url)


def test_events_that_no_server_takes_are_lost_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    counts = Counts()
    log = a_log(HttpBatches(f"http://127.0.0.1:{port}/"), 1.0, counts)
    log.take([seen()] * 3)
    log.close(10)
    assert counts.lost == {"log_failed": 3}
    assert counts.value == 0
    assert "loses events" in caplog.text


@pytest.mark.parametrize("token", [b"two\nlines", b"\xff\xfe", "h\u00e9".encode(), b"a\x00b"])
def test_a_token_that_is_none_loses_events_and_the_next_one_is_taken(
    token: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, counts = tmp_path / "token", Counts()
    file.write_bytes(token)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Takes) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        writer = EventWriter(HttpBatches(url, token_file=file), watcher=counts, counter=counts)
        for _ in range(2):
            writer.work([[b"{}"], [b"{}"]])
        assert (counts.lost, counts.value) == ({"log_failed": 4}, 0)
        file.write_bytes(b"good\n")
        writer.work([[b"{}"]])
        server.shutdown()
    assert counts.value == 1
    assert caplog.text.count("loses events") == 1
    assert "holds no token" in caplog.text  # and not what it holds


@pytest.mark.parametrize("path", ["/\u00e9", "/a b", "/a?\u00fc=1"])
def test_a_path_that_http_cannot_say_is_refused_at_the_start(path: str) -> None:
    with pytest.raises(ValueError, match="percent"):
        HttpBatches(f"http://127.0.0.1{path}")


class Takes(http.server.BaseHTTPRequestHandler):
    """A server that takes all events."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(202)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


class Hung:
    """A target that takes its time: until it may go on."""

    def __init__(self) -> None:
        self.may, self.began = threading.Event(), threading.Event()

    def write(self, events: Sequence[bytes]) -> None:
        self.began.set()
        assert self.may.wait(20)


def test_a_target_that_hangs_holds_up_nobody_and_what_does_not_fit_is_counted() -> None:
    target, counts = Hung(), Counts()
    log = a_log(target, 1.0, counts)
    log.take([seen()])
    assert target.began.wait(10)
    for _ in range(300):
        log.take([seen()] * 32)
    assert counts.lost == {"log_full": 300 * 32 - CAPACITY}
    target.may.set()
    log.close(20)
    assert counts.value == CAPACITY + 1


class Odd:
    """A target whose first write ends as nobody expects."""

    def __init__(self) -> None:
        self.tried = threading.Event()

    def write(self, events: Sequence[bytes]) -> None:
        if not self.tried.is_set():
            self.tried.set()
            raise ValueError("nobody expects this")


def test_the_thread_outlives_what_nobody_expects() -> None:
    target, counts = Odd(), Counts()
    log = a_log(target, 1.0, counts)
    log.take([seen()])
    assert target.tried.wait(10)
    log.take([seen()] * 2)
    log.close(10)
    assert counts.lost == {"log_failed": 1}
    assert counts.value == 2


def test_a_line_that_was_torn_does_not_spoil_the_next_one() -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    lines = Lines(f"/dev/fd/{write}")
    os.set_blocking(lines._descriptor, False)
    with pytest.raises(BlockingIOError):  # a full pipe stands for a full disk
        lines.write([b"x" * 100_000])
    assert os.read(read, 1 << 20).startswith(b"xxx")
    lines.write([b"whole"])
    assert os.read(read, 1 << 20) == b"\nwhole\n"
    for each in (read, write, lines._descriptor):
        os.close(each)


def test_a_number_without_dimensions_has_no_column_to_hide() -> None:
    _, data = told(seen(np.array(0.5, np.float32)), redact=("y[0]",))
    assert data["outputs"][0] == {"name": "y", "datatype": "FP32", "shape": [], "data": [0.5]}


def test_what_clients_wrote_stays_within_its_quotes() -> None:
    nasty = 'a"},\n{"\\\u0000'
    answer = seen(traceparent='"},{', x_fairlead_variant='"', x_fairlead_unit="\\")
    answer.request_id = nasty
    document, data = told(answer, inputs=True)
    assert (data["request_id"], document["traceparent"]) == (nasty, '"},{')
    assert (data["variant"], data["unit"]) == ('"', "\\")


def test_a_column_that_a_tensor_has_not_changes_nothing() -> None:
    tenth = np.array([[0.1, 0.2]], np.float32)
    _, data = told(seen(tenth), redact=("y[7]",))
    assert data["outputs"][0]["data"] == [0.1, 0.2]


def test_sequences_of_tensors_are_told_as_text() -> None:
    _, data = told(seen([np.array([0.25, 0.5], np.float32)]))
    assert json.loads(data["outputs"][0]["data"][0]) == [0.25, 0.5]


def test_an_answer_that_has_no_event_takes_no_other_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, counts = tmp_path / "log", Counts()
    log = a_log(Lines(str(path)), 1.0, counts)
    log.take([seen(), seen([object()]), seen()])
    log.close(10)
    assert len(path.read_text().splitlines()) == 2
    assert counts.lost == {"event_failed": 1}
    assert "has no event" in caplog.text
