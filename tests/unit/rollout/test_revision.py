"""A revision survives its way through status, also one that another version wrote."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead_operator.rollout.revision import State, from_status, revision_hash, to_status
from tests.builders import MODEL, a_revision


def test_a_revision_comes_back_from_status_as_it_was() -> None:
    revision = a_revision(
        1,
        State.DRAINING,
        digest="sha256:a",
        size_bytes=5,
        active_at="2026-01-01T00:00:00Z",
        drain_until="2026-01-01T00:01:15Z",
        required_replicas=3,
    )
    assert from_status(to_status(revision, "fraud", 3, 2)) == revision


def test_a_state_of_a_newer_operator_is_a_candidate() -> None:
    entry = {**to_status(a_revision(), "fraud", 1, 1), "state": "Canary", "steps": [1]}
    found = from_status(entry)
    assert found is not None
    assert found.state is State.PROGRESSING


@pytest.mark.parametrize(
    "change",
    [
        {"createdAt": "yesterday"},
        {"drainUntil": "soon"},
        {"model": "a text"},
        {"model": None},
        {"requiredReplicas": "many"},
        {"hash": ...},
    ],
)
def test_an_entry_that_makes_no_sense_is_none(change: dict[str, Any]) -> None:
    entry = {**to_status(a_revision(), "fraud", 1, 1), **change}
    assert from_status({k: v for k, v in entry.items() if v is not ...}) is None


@pytest.mark.parametrize("entry", ["a text", None, 5])
def test_what_is_no_entry_is_none(entry: Any) -> None:
    assert from_status(entry) is None


def test_the_hash_depends_on_model_and_runtime_and_salt_and_not_on_order() -> None:
    base = revision_hash(MODEL, {})
    assert revision_hash(dict(reversed(MODEL.items())), {}) == base
    others = {
        revision_hash({**MODEL, "version": "2"}, {}),
        revision_hash(MODEL, {"threads": 2}),
        revision_hash(MODEL, {}, 1),
    }
    assert len(others | {base}) == 4
