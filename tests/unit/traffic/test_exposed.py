"""Who is exposed: only users of a split, never those whom one arm has all of anyway."""

from __future__ import annotations

import dataclasses

from fairlead_operator.traffic import documents, memory, slots
from fairlead_operator.traffic.routes import route_table
from fairlead_operator.traffic.split import Recorded, Split
from fairlead_operator.traffic.states import Memory, State
from tests.unit.traffic.world import NOW, SETTINGS, a_split

RECORDED = dataclasses.replace(a_split(1000), recorded=Recorded(uid="u", epoch=3))


def metadata(split: Split) -> list[dict[str, str]]:
    table = route_table(split, "http", SETTINGS)
    routes = table["virtual_hosts"][0]["routes"]
    return [r["metadata"]["filter_metadata"]["fairlead"] for r in routes if "metadata" in r]


def test_a_split_tells_whose_exposures_its_answers_are() -> None:
    assert metadata(RECORDED) == [{"experiment": "u", "epoch": "3"}]


def test_before_and_after_a_split_nobody_is_exposed() -> None:
    calm = dataclasses.replace(RECORDED, table=slots.all_to(RECORDED.control.name))
    assert metadata(calm) == []


def test_a_memory_comes_back_with_the_epoch_that_was_written() -> None:
    before = Memory(state=State.SPLIT, since=NOW, configuration=documents.of(RECORDED))
    assert memory.read(memory.write(before)) == before
