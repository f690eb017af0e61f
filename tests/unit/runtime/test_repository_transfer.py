"""Bringing one file: what is taken up again, what is begun anew, and when it ends."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from email.message import Message
from pathlib import Path

import pytest

from fairlead_runtime.repository.download import validator_of
from fairlead_runtime.repository.errors import DownloadFailedError, ModelTooLargeError
from fairlead_runtime.repository.transfer import Budget, Patience, Piece, transfer

SIZE = 1 << 20
BODY = bytes(range(256)) * (SIZE // 256)
Answer = Callable[[int], Piece]


class Script:
    """A source that answers as it is told, one answer a call; the last one again and again."""

    shown = "script://model"

    def __init__(self, *answers: Answer) -> None:
        self.answers, self.asked = list(answers), []  # type: ignore[var-annotated]

    @contextlib.contextmanager
    def open(self, start: int) -> Iterator[Piece]:
        self.asked.append(start)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        yield answer(start)


def _cut(size: int) -> Answer:
    """Give `size` bytes from where it was asked, then break off."""

    def chunks(start: int) -> Iterator[bytes]:
        yield BODY[start : start + size]
        raise DownloadFailedError("broken")

    return lambda start: Piece(start=start, total_bytes=SIZE, chunks=chunks(start))


def _rest(start: int) -> Piece:
    return Piece(start=start, total_bytes=SIZE, chunks=iter([BODY[start:]]))


def _bring(script: Script, goal: Path, *, limit: int = SIZE, retries: int = 2) -> list[float]:
    pauses: list[float] = []
    patience = Patience(retries=retries, sleep=pauses.append)
    transfer(
        script, goal, budget=Budget(limit), patience=patience, progress=lambda done, total: None
    )
    return pauses


def test_a_broken_download_goes_on_where_it_broke_off(tmp_path: Path) -> None:
    script = Script(_cut(700_000), _cut(100_000), _rest)
    pauses = _bring(script, tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == BODY
    assert script.asked == [0, 700_000, 800_000]
    assert len(pauses) == 2


def test_a_line_that_advances_each_time_is_never_given_up(tmp_path: Path) -> None:
    script = Script(*[_cut(1 << 16) for _ in range(15)], _rest)
    _bring(script, tmp_path / "m", retries=1)
    assert (tmp_path / "m").read_bytes() == BODY


def test_a_source_that_always_breaks_off_at_one_byte_is_given_up(tmp_path: Path) -> None:
    def whole_until(start: int) -> Piece:
        return _cut(500_000)(0)  # knows no ranges: begins anew each time

    script = Script(whole_until)
    with pytest.raises(DownloadFailedError, match="broken"):
        _bring(script, tmp_path / "m", retries=3)
    assert script.asked == [0, 500_000, 500_000, 500_000]


def test_a_replaced_file_is_never_glued_to_its_old_beginning(tmp_path: Path) -> None:
    new = b"new" * 1000
    script = Script(_cut(700_000), lambda _: Piece(start=0, total_bytes=3000, chunks=iter([new])))
    _bring(script, tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == new


def test_pauses_grow_and_end_at_half_a_minute(tmp_path: Path) -> None:
    script = Script(_cut(0))
    pauses: list[float] = []
    with pytest.raises(DownloadFailedError):
        transfer(
            script,
            tmp_path / "m",
            budget=Budget(SIZE),
            patience=Patience(retries=10, sleep=pauses.append),
            progress=lambda done, total: None,
        )
    assert len(pauses) == 10
    for number, pause in enumerate(pauses):
        longest = min(0.5 * 2**number, 30.0)
        assert longest / 2 <= pause <= longest


def test_a_servers_own_wish_for_a_pause_is_granted_up_to_half_a_minute(tmp_path: Path) -> None:
    def later(seconds: float) -> Answer:
        def answer(_: int) -> Piece:
            raise DownloadFailedError("busy", pause_s=seconds)

        return answer

    pauses = _bring(Script(later(7.0), later(3600.0), _rest), tmp_path / "m")
    assert pauses == [7.0, 30.0]


def test_what_cannot_get_better_is_not_tried_again(tmp_path: Path) -> None:
    def never(_: int) -> Piece:
        raise DownloadFailedError("400", again=False)

    script = Script(never)
    with pytest.raises(DownloadFailedError):
        _bring(script, tmp_path / "m")
    assert script.asked == [0]


def test_a_full_disk_is_not_the_sources_fault(tmp_path: Path) -> None:
    script = Script(_rest)
    with pytest.raises(OSError, match="No space left"):
        _bring(script, Path("/dev/full"))
    assert script.asked == [0]


@pytest.mark.parametrize("total", [SIZE, None])
def test_more_bytes_than_allowed_are_refused_announced_or_not(
    tmp_path: Path, total: int | None
) -> None:
    script = Script(lambda _: Piece(start=0, total_bytes=total, chunks=iter([BODY])))
    with pytest.raises(ModelTooLargeError):
        _bring(script, tmp_path / "m", limit=SIZE - 1)


def test_the_limit_is_for_all_files_of_a_model(tmp_path: Path) -> None:
    budget = Budget(SIZE + 10)
    budget.spend(SIZE)
    budget.check(10, "m.data")
    with pytest.raises(ModelTooLargeError):
        budget.check(11, "m.data")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"ETag": '"abc"'}, '"abc"'),
        ({"ETag": 'W/"abc"'}, None),
        ({"Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}, None),
        (
            {
                "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT",
                "Date": "Mon, 01 Jan 2024 00:00:01 GMT",
            },
            "Mon, 01 Jan 2024 00:00:00 GMT",
        ),
        (
            {
                "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT",
                "Date": "Mon, 01 Jan 2024 00:00:00 GMT",
            },
            None,
        ),
        ({"Last-Modified": "yesterday", "Date": "today"}, None),
        ({}, None),
    ],
    ids=["etag", "weak", "no-date", "old-enough", "too-young", "nonsense", "nothing"],
)
def test_only_what_tells_bytes_apart_is_a_validator(
    headers: dict[str, str], expected: str | None
) -> None:
    message = Message()
    for name, value in headers.items():
        message[name] = value
    assert validator_of(message) == expected
