"""`plan`: how many users an Experiment needs, and for how long it has to run."""

from __future__ import annotations

import math
import re

import click
from rich.text import Text

from fairlead_cli import output
from fairlead_cli.commands import options
from fairlead_cli.errors import InputError

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def share(text: str) -> float:
    """Return a share that is written as `5%` or `0.05`."""
    text = text.strip()
    try:
        number = float(text.removesuffix("%"))
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no share: write 5% or 0.05") from error
    return number / 100 if text.endswith("%") else number


@click.command("plan")
@click.option(
    "--base-rate", type=share, metavar="SHARE",
    help="Rate of the control, for a metric of type binary: 5% or 0.05.",
)  # fmt: skip
@click.option(
    "--standard-deviation", type=float, metavar="NUMBER",
    help="Standard deviation over users, for a metric of type mean.",
)  # fmt: skip
@click.option(
    "--effect", required=True, metavar="CHANGE",
    help="Smallest change worth finding: relative for a rate (2% is 5% to 5.1%), in the metric's "
    "own unit for a mean.",
)  # fmt: skip
@click.option("--traffic", type=click.FloatRange(min=0, min_open=True), metavar="USERS",
              help="New users a day over all arms; gives the days.")  # fmt: skip
@click.option("--arms", type=click.IntRange(2, 8), metavar="COUNT",
              help="Arms of equal weight, the control included (default: 2).")  # fmt: skip
@click.option("--weights", metavar="WEIGHT,...", help="Their weights instead, the control first.")
@click.option("--alpha", type=share, default="5%", show_default=True, metavar="SHARE",
              help="How often nothing may be declared a winner, over all arms.")  # fmt: skip
@click.option("--power", type=share, default="80%", show_default=True, metavar="SHARE",
              help="How often the change is found where it is there.")  # fmt: skip
@click.option(
    "--outcome-window", default="0s", show_default=True, metavar="DURATION",
    help="How long a user's outcome is waited for, as in the Experiment: 168h.",
)  # fmt: skip
@options.formatted
def plan(
    *,
    base_rate: float | None,
    standard_deviation: float | None,
    effect: str,
    traffic: float | None,
    arms: int | None,
    weights: str | None,
    alpha: float,
    power: float,
    outcome_window: str,
    form: str,
) -> None:
    """Compute how many users an Experiment needs.

    No cluster is asked. The operator looks at the results all the time, so it decides by a
    sequential test. It needs more users than one look at the end would, if the change is just as
    small as planned for; it is done earlier where the change is larger.
    """
    from fairlead_operator.stats import power as planning

    if (base_rate is None) == (standard_deviation is None):
        raise InputError("give --base-rate for a rate, or --standard-deviation for a mean")
    shares = _shares(arms, weights)
    days = _days(outcome_window)
    try:
        if base_rate is not None:
            change = share(effect)
            made = planning.plan_rate(
                base_rate, change, shares=shares, alpha=alpha, power=power,
                units_per_day=traffic, outcome_days=days,
            )  # fmt: skip
        else:
            made = planning.plan_mean(
                float(standard_deviation or 0), _number(effect), shares=shares, alpha=alpha,
                power=power, units_per_day=traffic, outcome_days=days,
            )  # fmt: skip
    except (ValueError, OverflowError) as error:
        raise InputError(str(error)) from error
    document = {
        "users": made.sequential_units,
        "usersPerArm": list(made.units_per_arm),
        "usersOneLook": made.fixed_units,
        "days": made.sequential_days,
        "daysOneLook": made.fixed_days,
        "alphaPerArm": made.alpha,
        "power": made.power,
        "plannedSamplesPerVariant": math.ceil(made.expected_units / 2),
    }
    if form != "text":
        output.emit(document, form)
        return
    rows: dict[str, object] = {
        "users": f"{made.sequential_units:,}",
        "users of each arm": ", ".join(f"{each:,}" for each in made.units_per_arm),
        "users for one look at the end": f"{made.fixed_units:,}",
    }
    if made.sequential_days is not None and made.fixed_days is not None:
        rows["days"] = f"{made.sequential_days:.1f}"
        rows["days for one look at the end"] = f"{made.fixed_days:.1f}"
    rows["level of each arm"] = f"{100 * made.alpha:.3g} %"
    rows["power"] = f"{100 * made.power:.3g} %"
    output.show(
        output.pairs(rows),
        Text("\nIn the Experiment, so that its interval is tightest there:"),
        Text(f"  analysis: {{plannedSamplesPerVariant: {document['plannedSamplesPerVariant']}}}"),
    )


def _shares(arms: int | None, weights: str | None) -> tuple[float, ...]:
    if weights is None:
        return (1.0,) * (arms or 2)
    if arms is not None:
        raise InputError("--arms and --weights say the same: give one of them")
    return tuple(_number(each) for each in weights.split(","))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise InputError(f"{text!r} is no number") from error


def _days(text: str) -> float:
    parts = _DURATION.findall(text)
    if "".join(number + unit for number, unit in parts) != text:
        raise InputError(f"{text!r} is no duration: write 168h, 90m or 30s")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts) / 86_400
