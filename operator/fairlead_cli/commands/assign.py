"""`assign`: which arm a user gets, computed as the router computes it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from fairlead_cli import kinds, output, reading
from fairlead_cli.commands import options
from fairlead_cli.errors import CLIError, InputError
from fairlead_cli.reading import JSON
from fairlead_operator.traffic import slots
from fairlead_operator.traffic.errors import TrafficError
from fairlead_runtime.contract import assignment
from fairlead_runtime.contract.assignment import SLOTS, Run, Table


@click.command("assign")
@click.argument("users", metavar="USER...", nargs=-1, required=True)
@click.option(
    "-e", "--experiment", metavar="NAME", shell_complete=options.complete_experiments,
    help="Take salt and table from the status of this Experiment.",
)  # fmt: skip
@click.option(
    "-f", "--from", "file", metavar="FILE",
    help="Take them from a saved Experiment (JSON or YAML); - reads standard input.",
)  # fmt: skip
@click.option("--salt", metavar="TEXT", help="With --weights: what goes before the user.")
@click.option(
    "--weights", metavar="ARM=WEIGHT,...",
    help="Arms of an Experiment whose weights have never changed, the control first. "
    "They sum to 100, 1000 or 10000.",
)  # fmt: skip
@options.formatted
@options.where
def assign(
    target: options.Target,
    users: tuple[str, ...],
    *,
    experiment: str | None,
    file: str | None,
    salt: str | None,
    weights: str | None,
    form: str,
) -> None:
    """Tell which arm of an Experiment users get.

    With USER -, those on each line of standard input. The table says who has which arm, and it
    depends on every change of the weights, so it is taken from an Experiment's status: by
    --experiment, or offline by --from. --weights computes the table that an Experiment begins with.
    """
    if sum(each is not None for each in (experiment, file, weights)) != 1:
        raise InputError("give one of --experiment, --from and --weights")
    if (weights is None) != (salt is None):
        raise InputError("--salt and --weights belong together")
    if file == "-" and "-" in users:
        raise InputError("standard input is either the Experiment or the users")
    if weights is not None:
        chosen, table = str(salt), table_of_weights(weights)
    else:
        resource = _resource(target, experiment, file)
        chosen, table = of_experiment(resource)
    found = [
        {"user": user, "arm": assignment.arm(table, chosen, user),
         "slot": assignment.slot(chosen, user)}
        for user in _users(users)
    ]  # fmt: skip
    if form == "text":
        rows = [[str(each["user"]), str(each["arm"]), str(each["slot"])] for each in found]
        output.show(output.table(("user", "arm", "slot"), rows))
    else:
        output.emit(found, form)


def table_of_weights(text: str) -> Table:
    """Return the table that an Experiment with these weights begins with.

    Raises:
        InputError: They are no weights.
    """
    weights: dict[str, int] = {}
    for part in text.split(","):
        name, _, number = part.strip().partition("=")
        if not name or name in weights or not number.strip().isdigit():
            raise InputError(f"{part!r} is no arm with a weight: write control=50,bigger=50")
        weights[name] = int(number)
    whole = sum(weights.values())
    if whole not in (100, 1000, SLOTS):
        raise InputError(f"the weights must sum to 100, 1000 or 10000, not {whole}")
    wanted = {name: weight * (SLOTS // whole) for name, weight in weights.items()}
    return slots.change(slots.all_to(next(iter(wanted))), wanted).table


def of_experiment(resource: Mapping[str, Any]) -> tuple[str, Table]:
    """Return salt and table in the status of an Experiment.

    Raises:
        CLIError: It has none yet, or another kind of table.
    """
    found = reading.mapping(reading.status(resource).get("assignment"))
    name = reading.name(resource)
    if not found:
        raise CLIError(
            f"Experiment {name!r} has no table yet: it has not begun to split the traffic",
            hint=f"fairlead status experiment/{name} says why",
        )
    runs = reading.items(found.get("table"))
    try:
        table = tuple(Run(str(run["arm"]), int(run["slots"])) for run in runs)
        if sum(run.slots for run in table) != SLOTS or not found.get("salt"):
            raise InputError(f"the status of {name!r} has no whole table of {SLOTS} slots")
        slots.validate(_joined(table))
    except (KeyError, TypeError, ValueError, TrafficError) as error:
        raise InputError(f"the status of {name!r} has no table that this version reads") from error
    return str(found["salt"]), table


def _joined(table: Iterable[Run]) -> Table:
    """Return the table without the cuts between epochs, as routers have it."""
    joined: list[Run] = []
    for run in table:
        if joined and joined[-1].arm == run.arm:
            joined[-1] = Run(run.arm, joined[-1].slots + run.slots)
        else:
            joined.append(run)
    return tuple(joined)


def _resource(target: options.Target, name: str | None, file: str | None) -> JSON:
    if file is None:
        cluster = target.connect()
        plain = str(name).rpartition("/")[2]
        return cluster.get(kinds.EXPERIMENT, cluster.namespace, plain)
    import yaml

    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        document = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{file} cannot be read: {error}") from error
    if not isinstance(document, dict) or document.get("kind") != kinds.EXPERIMENT.kind:
        raise InputError(
            f"{file} holds no Experiment", hint="kubectl get experiment NAME -o yaml writes one"
        )
    return document


def _users(given: tuple[str, ...]) -> Iterable[str]:
    for each in given:
        if each == "-":
            yield from (line for line in map(str.strip, sys.stdin) if line)
        else:
            yield each
