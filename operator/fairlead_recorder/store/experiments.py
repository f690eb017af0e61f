"""What is known of an experiment. The operator registers it, as often as it likes."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import orjson

from fairlead_recorder.store.database import Row, Session
from fairlead_recorder.store.errors import ConflictError, UnknownExperimentError
from fairlead_recorder.store.events import Definition, Epoch, Metric, MetricType, moved
from fairlead_runtime.contract.assignment import Run

Kept = dict[str, tuple[int, MetricType]]
_COLUMNS = "id, revision, definition, judged, registered, ended"


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A registered experiment.

    Attributes:
        id: Its number in the database.
        definition: What was registered.
        kept: Where a metric's sums are and its type, by name; also of metrics that were dropped.
        registered: When it was registered first.
        ended: When it was ended; None while it goes on.
        judged: What the operator last said of it, as JSON, for the page.
    """

    id: int
    definition: Definition
    kept: Kept
    registered: int
    ended: int | None
    judged: str

    @functools.cached_property
    def variants(self) -> dict[str, int]:
        """The number of each variant."""
        return {name: index for index, name in enumerate(self.definition.variants)}

    @functools.cached_property
    def positions(self) -> dict[str, int]:
        """Where the sums of each metric are that the experiment has now."""
        return {metric.name: self.kept[metric.name][0] for metric in self.definition.metrics}

    @functools.cached_property
    def binary(self) -> frozenset[int]:
        """The positions of binary metrics."""
        return frozenset(position for position, kind in self.kept.values() if kind == "binary")

    @functools.cached_property
    def together(self) -> dict[int, tuple[int, ...]]:
        """By the position of a mean, those of the ratios that it is part of.

        There the sum of a unit's numerator and denominator is kept: its square tells how the two
        vary together.
        """
        found: dict[int, tuple[int, ...]] = {}
        for metric in self.definition.metrics:
            if metric.type == "ratio":
                for part in (metric.numerator, metric.denominator):
                    position = self.positions[part]
                    found[position] = (*found.get(position, ()), self.positions[metric.name])
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """What a registration did.

    Attributes:
        created: Whether the experiment is new.
        changed: Whether anything changed.
        moved: Whether units may have to leave the analysis: see `departures`.
    """

    created: bool
    changed: bool
    moved: bool


def register(session: Session, wanted: Definition, now: int) -> Registered:
    """Make an experiment known, or take what is new: epochs, metrics, the window, the analysis.

    An older experiment of the same name ends with it.

    Raises:
        ConflictError: It contradicts what is recorded of the same UID.
    """
    found = session.rows(f"SELECT {_COLUMNS} FROM experiment WHERE uid = ?", (wanted.uid,))
    if not found:
        session.run(
            "UPDATE experiment SET ended = ? WHERE namespace = ? AND name = ? AND ended IS NULL",
            (now, wanted.namespace, wanted.name),
        )
        kept: Kept = {m.name: (index, m.type) for index, m in enumerate(wanted.metrics)}
        session.run(
            "INSERT INTO experiment (uid, namespace, name, revision, definition, judged,"
            " registered, ended) VALUES (?, ?, ?, 1, ?, '{}', ?, NULL)",
            (wanted.uid, wanted.namespace, wanted.name, _text(wanted, kept), now),
        )
        return Registered(created=True, changed=True, moved=False)
    old = _loaded(found[0])
    if old.ended is not None:
        raise ConflictError(
            f"the experiment with UID {wanted.uid} has ended: register a new one under its own UID"
        )
    _check_same(old, wanted)
    merged = replace(wanted, epochs=_epochs(old.definition.epochs, wanted.epochs))
    kept = dict(old.kept)
    for metric in merged.metrics:
        kept.setdefault(metric.name, (len(kept), metric.type))
    if (merged, kept) == (old.definition, old.kept):
        return Registered(created=False, changed=False, moved=False)
    if merged.window != old.definition.window and _has_outcomes(session, old.id):
        raise ConflictError(
            "outcomeWindowSeconds cannot change once there are outcomes: they were counted by it"
        )
    session.run(
        "UPDATE experiment SET definition = ?, revision = revision + 1 WHERE id = ?",
        (_text(merged, kept), old.id),
    )
    return Registered(created=False, changed=True, moved=_depart(session, old, merged))


def of_name(session: Session, namespace: str, name: str, uid: str | None = None) -> Experiment:
    """Return the experiment that has a name now, or the one of that name with a UID.

    Raises:
        UnknownExperimentError: There is none.
    """
    found = session.rows(
        f"SELECT {_COLUMNS} FROM experiment WHERE namespace = ? AND name = ?"
        " ORDER BY id DESC LIMIT 1"
        if uid is None
        else f"SELECT {_COLUMNS} FROM experiment WHERE namespace = ? AND name = ? AND uid = ?",
        (namespace, name) if uid is None else (namespace, name, uid),
    )
    if not found:
        also = "" if uid is None else f" with UID {uid}"
        raise UnknownExperimentError(
            f"no experiment {namespace}/{name}{also} is registered: the operator does that when "
            "the Experiment starts; see its conditions"
        )
    return _loaded(found[0])


def of_uid(session: Session, uid: str) -> Experiment | None:
    """Return the experiment of a UID, None where it is unknown."""
    found = session.rows(f"SELECT {_COLUMNS} FROM experiment WHERE uid = ?", (uid,))
    return _loaded(found[0]) if found else None


def all_of_name(session: Session, namespace: str, name: str) -> list[Experiment]:
    """Return all experiments of a name, also those that ended."""
    return [
        _loaded(row)
        for row in session.rows(
            f"SELECT {_COLUMNS} FROM experiment WHERE namespace = ? AND name = ?", (namespace, name)
        )
    ]


def listed(session: Session, limit: int = 1_000) -> list[Experiment]:
    """Return the experiments, the latest first."""
    return [
        _loaded(row)
        for row in session.rows(
            f"SELECT {_COLUMNS} FROM experiment ORDER BY id DESC LIMIT ?", (limit,)
        )
    ]


def end(session: Session, namespace: str, name: str, uid: str, now: int) -> bool:
    """End an experiment: it takes nothing more, and is removed after the retention time.

    Returns whether it was going on.
    """
    return (
        session.run(
            "UPDATE experiment SET ended = ? WHERE namespace = ? AND name = ? AND uid = ?"
            " AND ended IS NULL",
            (now, namespace, name, uid),
        )
        > 0
    )


def judge(session: Session, experiment: int, judged: str) -> None:
    """Keep what the operator says of an experiment."""
    session.run("UPDATE experiment SET judged = ? WHERE id = ?", (judged, experiment))


def expired(session: Session, ended_before: int) -> int | None:
    """Return the id of an experiment that ended before a time, None where there is none."""
    found = session.rows(
        "SELECT id FROM experiment WHERE ended < ? ORDER BY id LIMIT 1", (ended_before,)
    )
    return int(found[0][0]) if found else None


def _has_outcomes(session: Session, experiment: int) -> bool:
    return bool(session.rows("SELECT 1 FROM outcome WHERE experiment = ? LIMIT 1", (experiment,)))


def _check_same(old: Experiment, new: Definition) -> None:
    for what in ("namespace", "name", "salt", "variants"):
        before, after = getattr(old.definition, what), getattr(new, what)
        if before != after:
            raise ConflictError(
                f"{what} of the experiment with UID {new.uid} is {before!r} and cannot become "
                f"{after!r}: its units were assigned by it. Make a new Experiment"
            )
    before, after = (_ratios(definition) for definition in (old.definition, new))
    if before != after:
        raise ConflictError(
            "ratios cannot change: what they are made of was counted together from the start. "
            "Make a new Experiment"
        )
    for metric in new.metrics:
        kind = old.kept.get(metric.name, (0, metric.type))[1]
        if kind != metric.type:
            raise ConflictError(f"metric {metric.name} is of type {kind}: give the new one a name")


def _ratios(definition: Definition) -> dict[str, tuple[str, str]]:
    return {
        metric.name: (metric.numerator, metric.denominator)
        for metric in definition.metrics
        if metric.type == "ratio"
    }


def _epochs(old: tuple[Epoch, ...], new: tuple[Epoch, ...]) -> tuple[Epoch, ...]:
    """Return all epochs; the operator may leave out old ones, but not change them."""
    known = {epoch.number: epoch for epoch in old}
    for epoch in new:
        before = known.setdefault(epoch.number, epoch)
        if before.table != epoch.table:
            raise ConflictError(
                f"epoch {epoch.number} was registered with another table: a new table is a new "
                "epoch"
            )
    return tuple(known[number] for number in sorted(known))


def _depart(session: Session, old: Experiment, new: Definition) -> bool:
    """Note which slots moved; their units leave in `departures`."""
    known = {epoch.number for epoch in old.definition.epochs}
    any_moved = False
    for before, after in zip(new.epochs, new.epochs[1:], strict=False):
        if after.number in known:
            continue
        for low, high, variant in moved(before.table, after.table):
            session.run(
                "INSERT INTO departure (experiment, low, high, variant, epoch)"
                " VALUES (?, ?, ?, ?, ?)",
                (old.id, low, high, old.variants[variant], after.number),
            )
            any_moved = True
    return any_moved


def _text(definition: Definition, kept: Kept) -> str:
    return orjson.dumps({"definition": definition, "kept": kept}).decode()


def _loaded(row: Row) -> Experiment:
    number, revision, text, judged, registered, ended = row
    definition, kept = _parsed(number, revision, text)
    return Experiment(
        id=number,
        definition=definition,
        kept=kept,
        registered=registered,
        ended=ended,
        judged=judged,
    )


@functools.lru_cache(maxsize=256)
def _parsed(number: int, revision: int, text: str) -> tuple[Definition, Kept]:  # noqa: ARG001
    stored = orjson.loads(text)
    raw = stored["definition"]
    definition = Definition(
        uid=raw["uid"],
        namespace=raw["namespace"],
        name=raw["name"],
        salt=raw["salt"],
        variants=tuple(raw["variants"]),
        metrics=tuple(Metric(**metric) for metric in raw["metrics"]),
        window=raw["window"],
        epochs=tuple(
            Epoch(
                number=epoch["number"],
                started=epoch["started"],
                table=tuple(Run(**run) for run in epoch["table"]),
            )
            for epoch in raw["epochs"]
        ),
        analysis=tuple((name, value) for name, value in raw["analysis"]),
    )
    return definition, {name: (place, kind) for name, (place, kind) in stored["kept"].items()}
