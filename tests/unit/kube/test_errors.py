"""From an HTTP answer to an error that says what can be done."""

from __future__ import annotations

import pytest

from fairlead_operator.kube.errors import error_for


@pytest.mark.parametrize(
    ("status", "message", "label"),
    [
        (400, "bad", "invalid"),
        (403, "exceeded quota", "forbidden"),
        (404, "gone", "not_found"),
        (409, "modified", "conflict"),
        (410, "expired", "conflict"),
        (418, "teapot", "api"),
        (422, "invalid", "invalid"),
        (429, "later", "unreachable"),
        (500, "etcd", "unreachable"),
        (500, "failed to create typed patch object (a/b; apps/v1): .spec", "invalid"),
        (500, "failed to convert new object (a/b; apps/v1)", "invalid"),
        (503, "away", "unreachable"),
    ],
)
def test_an_answer_becomes_the_error_of_its_cause(status: int, message: str, label: str) -> None:
    error = error_for(status, "Reason", message)
    assert error.label == label
    assert (error.status, error.reason) == (status, "Reason")


def test_a_message_that_quotes_a_whole_object_is_cut() -> None:
    assert len(str(error_for(422, "", "x" * 10_000))) == 500
