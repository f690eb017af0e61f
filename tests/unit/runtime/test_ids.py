"""Ids are UUIDs, and no two are the same."""

from __future__ import annotations

import uuid

from fairlead_runtime.http.ids import RequestIds


def test_ids_are_version_4_uuids_and_all_different() -> None:
    ids = [each.next() for each in (RequestIds(), RequestIds()) for _ in range(1000)]
    assert len(set(ids)) == 2000
    assert {uuid.UUID(each).version for each in ids} == {4}
    assert all(str(uuid.UUID(each)) == each for each in ids)


def test_counting_wraps_around() -> None:
    counter = RequestIds()
    counter._next = (1 << 48) - 1
    assert counter.next().endswith("-000000000000")
