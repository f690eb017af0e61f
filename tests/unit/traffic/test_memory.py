"""What is remembered of an address comes back exactly; nonsense comes back as nothing."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead_operator.api.schema import structural_schema
from fairlead_operator.api.v1alpha1.traffic import TrafficStatus
from fairlead_operator.traffic import documents, memory, slots
from fairlead_operator.traffic.documents import Configuration
from fairlead_operator.traffic.split import Mirror
from fairlead_operator.traffic.states import Memory, State
from fairlead_runtime.contract.assignment import MAX_RUNS, Run
from tests.unit.traffic.world import CANDIDATE, NOW, OTHER, STABLE, a_split

_INSTANTS = st.timedeltas(dt.timedelta(), dt.timedelta(days=20_000)).map(lambda age: NOW + age)


@st.composite
def configurations(draw: st.DrawFn) -> Configuration:
    share = draw(st.integers(0, 10_000))
    split = dataclasses.replace(
        a_split(share),
        header=draw(st.sampled_from([None, "x-user-id"])),
        experiment=draw(st.sampled_from([None, "checkout"])),
    )
    if split.header is None:
        split = dataclasses.replace(split, salt="")
    elif draw(st.booleans()):
        copies = draw(st.integers(1, 10_000))
        mirror = Mirror(arm=OTHER, share=copies, compared=draw(st.integers(0, copies)))
        split = dataclasses.replace(split, mirror=mirror)
    exact = documents.of(split)
    return dataclasses.replace(exact, arms=(*exact.arms, OTHER)) if draw(st.booleans()) else exact


@given(
    st.sampled_from(State),
    _INSTANTS,
    st.none() | configurations(),
    st.none() | _INSTANTS,
    st.none() | _INSTANTS,
    st.integers(0, 1_000),
)
def test_what_is_written_is_read_exactly(
    state: State,
    since: dt.datetime,
    configuration: Configuration | None,
    written_at: dt.datetime | None,
    confirmed_at: dt.datetime | None,
    at_start: int,
) -> None:
    made = Memory(
        state=state,
        since=since,
        configuration=configuration,
        written_at=written_at,
        confirmed_at=confirmed_at,
        at_start=at_start,
    )
    entry = json.loads(json.dumps(memory.write(made)))
    assert memory.read(entry) == made
    assert not _pruned(structural_schema(TrafficStatus), entry), "the CRD would drop a field"


def test_the_largest_table_fits() -> None:
    runs = [Run("stable" if n % 2 else "candidate", 39) for n in range(MAX_RUNS - 1)]
    table = (*runs, Run("stable", 10_000 - 39 * (MAX_RUNS - 1)))
    slots.validate(table)
    split = dataclasses.replace(a_split(0), table=table)
    made = Memory(state=State.SPLIT, since=NOW, configuration=documents.of(split))
    entry = memory.write(made)
    assert memory.read(entry) == made
    assert len(json.dumps(entry)) < 20_000


def _a_memory() -> dict[str, Any]:
    split = dataclasses.replace(a_split(100), mirror=Mirror(arm=OTHER, share=10))
    made = Memory(state=State.SPLIT, since=NOW, configuration=documents.of(split), written_at=NOW)
    return memory.write(made)


BROKEN: dict[str, tuple[list[str | int], object]] = {
    "no state": (["state"], None),
    "an unknown state": (["state"], "Flying"),
    "no time": (["since"], None),
    "no time zone": (["since"], "2026-01-01T00:00:00"),
    "not a time": (["writtenAt"], "yesterday"),
    "a table that is too short": (["configuration", "table", 0, "slots"], 5),
    "an arm that is not there": (["configuration", "table", 0, "arm"], "nobody"),
    "a share that is a word": (["configuration", "mirror", "share"], "half"),
    "a table that is none": (["configuration", "table"], 7),
    "a configuration that is none": (["configuration"], []),
    "no arms": (["configuration", "arms"], []),
    "an arm without a cluster": (
        ["configuration", "clusters"], [{"name": "a", "key": "a", "host": "a"}],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("path", "value"), BROKEN.values(), ids=BROKEN)
def test_nonsense_is_nothing(path: list[Any], value: object) -> None:
    entry = _a_memory()
    assert memory.read(entry) is not None
    place: Any = entry
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert memory.read(entry) is None


@pytest.mark.parametrize("entry", [None, 7, "Split", [], {}])
def test_what_is_no_memory_is_nothing(entry: object) -> None:
    assert memory.read(entry) is None


def _pruned(schema: Any, value: Any) -> list[str]:
    """Return the fields that the API server would drop: it keeps what the schema has."""
    if isinstance(value, list):
        return [each for item in value for each in _pruned(schema["items"], item)]
    if not isinstance(value, dict):
        return []
    known = schema.get("properties", {})
    lost = [name for name in value if name not in known]
    for name in value.keys() & known.keys():
        lost += _pruned(known[name], value[name])
    return lost


def test_the_mirrored_and_the_other_arm_are_kept() -> None:
    found = memory.read(_a_memory())
    assert found is not None
    assert found.configuration is not None
    assert found.configuration.arms == (STABLE, CANDIDATE)
    assert found.configuration.mirrored == (OTHER,)
