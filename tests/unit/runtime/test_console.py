"""What people see of a command."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path

from fairlead_runtime.cli import console


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_numbers_are_flush_right_and_words_left() -> None:
    text = console.table(("NAME", "COUNT"), [("Gemm", "2"), ("Softmax", "10")])
    assert text == "NAME     COUNT\nGemm         2\nSoftmax     10\n"


def test_a_terminal_shows_one_line_that_changes() -> None:
    stream = Terminal()
    show = console.progress(wanted=False, stream=stream)
    show("one")
    show("two")
    console.progress_done(stream)
    assert stream.getvalue() == "\r\x1b[Kone\r\x1b[Ktwo\r\x1b[K"


def test_a_file_gets_lines_and_only_where_they_are_wanted() -> None:
    quiet, wanted = io.StringIO(), io.StringIO()
    console.progress(wanted=False, stream=quiet)("one")
    console.progress(wanted=True, stream=wanted)("one")
    console.progress_done(wanted)
    assert quiet.getvalue() == ""
    assert wanted.getvalue() == "one\n"


def test_json_has_no_nan_and_no_python_types() -> None:
    @dataclass(slots=True)
    class Result:
        path: Path
        values: tuple[float, ...]

    text = console.to_json(Result(Path("m.onnx"), (1.23456789, float("nan"))))
    assert json.loads(text) == {"path": "m.onnx", "values": [1.23457, None]}


def test_sizes_are_for_people() -> None:
    sizes = [console.size(count) for count in (0, 1023, 1024, 5 << 20, 7 << 40)]
    assert sizes == ["0 B", "1023 B", "1.0 KiB", "5.0 MiB", "7168.0 GiB"]
