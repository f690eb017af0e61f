"""What is remembered of an address, as JSON for `status`; it comes back exactly as it was."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from fairlead_operator.traffic.documents import Configuration
from fairlead_operator.traffic.errors import TrafficError
from fairlead_operator.traffic.split import Arm, Mirror, Recorded, Split
from fairlead_operator.traffic.states import Memory, State
from fairlead_runtime.contract.assignment import Run

Json = Mapping[str, Any]


def write(memory: Memory) -> dict[str, Any]:
    """Return a memory as JSON."""
    entry: dict[str, Any] = {"state": memory.state.value, "since": _text(memory.since)}
    if memory.at_start:
        entry["stableReplicasAtStart"] = memory.at_start
    if memory.written_at is not None:
        entry["writtenAt"] = _text(memory.written_at)
    if memory.confirmed_at is not None:
        entry["confirmedAt"] = _text(memory.confirmed_at)
    if memory.configuration is not None:
        entry["configuration"] = _configuration(memory.configuration)
    return entry


def read(entry: object) -> Memory | None:
    """Return the memory of an entry in status; None where it makes no sense."""
    if not isinstance(entry, Mapping):
        return None
    try:
        written = entry.get("configuration")
        return Memory(
            state=State(entry["state"]),
            since=_instant(entry["since"]),
            configuration=None if written is None else _read_configuration(written),
            written_at=_optional(entry.get("writtenAt")),
            confirmed_at=_optional(entry.get("confirmedAt")),
            at_start=int(entry.get("stableReplicasAtStart") or 0),
        )
    except (AttributeError, KeyError, TypeError, ValueError, TrafficError):
        return None


def _configuration(configuration: Configuration) -> dict[str, Any]:
    split = configuration.split
    entry: dict[str, Any] = {
        "arms": [_arm(arm) for arm in split.arms],
        "table": [{"arm": run.arm, "slots": run.slots} for run in split.table],
        "clusters": [_arm(arm) for arm in configuration.arms],
    }
    if split.header is not None:
        entry["header"] = split.header
    if split.salt:
        entry["salt"] = split.salt
    if split.experiment is not None:
        entry["experiment"] = split.experiment
    if split.recorded is not None:
        entry["recorded"] = {"uid": split.recorded.uid, "epoch": split.recorded.epoch}
    if split.mirror is not None:
        mirror = split.mirror
        entry["mirror"] = {
            "arm": _arm(mirror.arm),
            "share": mirror.share,
            "compared": mirror.compared,
        }
    if configuration.mirrored:
        entry["mirrorClusters"] = [_arm(arm) for arm in configuration.mirrored]
    return entry


def _read_configuration(entry: Json) -> Configuration:
    mirror, recorded = entry.get("mirror"), entry.get("recorded")
    split = Split(
        arms=_read_arms(entry["arms"]),
        table=tuple(Run(str(run["arm"]), int(run["slots"])) for run in entry["table"]),
        header=entry.get("header"),
        salt=str(entry.get("salt") or ""),
        experiment=entry.get("experiment"),
        mirror=None
        if mirror is None
        else Mirror(
            arm=_read_arm(mirror["arm"]),
            share=int(mirror["share"]),
            compared=int(mirror.get("compared") or 0),
        ),
        recorded=None
        if recorded is None
        else Recorded(uid=str(recorded["uid"]), epoch=int(recorded["epoch"])),
    )
    arms = _read_arms(entry["clusters"])
    if not {arm.key for arm in split.arms} <= {arm.key for arm in arms}:
        raise TrafficError("the split has arms without clusters")
    return Configuration(
        split=split, arms=arms, mirrored=_read_arms(entry.get("mirrorClusters") or ())
    )


def _arm(arm: Arm) -> dict[str, str]:
    return {"name": arm.name, "key": arm.key, "host": arm.host}


def _read_arm(entry: Json) -> Arm:
    return Arm(name=str(entry["name"]), key=str(entry["key"]), host=str(entry["host"]))


def _read_arms(entries: Any) -> tuple[Arm, ...]:  # noqa: ANN401 - JSON
    return tuple(_read_arm(entry) for entry in entries)


def _text(moment: dt.datetime) -> str:
    """Write an instant to the microsecond: a settle time must not shrink by being remembered."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _instant(text: Any) -> dt.datetime:  # noqa: ANN401 - JSON
    found = dt.datetime.fromisoformat(str(text))
    if found.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return found


def _optional(text: Any) -> dt.datetime | None:  # noqa: ANN401 - JSON
    return None if text is None else _instant(text)
