"""What `fairlead status` shows of an Experiment, and what `assign` reads in one."""

from __future__ import annotations

import pytest

from fairlead_cli.commands.assign import of_experiment, table_of_weights
from fairlead_cli.errors import CLIError, InputError
from fairlead_cli.views import experiment
from fairlead_runtime.contract import assignment
from tests.unit.cli.world import JSON, NOW, an_experiment, shown


def test_an_experiment_is_shown_with_arms_results_and_advice() -> None:
    running = an_experiment(
        variants=[{"name": "control", "modelDeployment": "ranker", "slots": 5000, "units": 90}],
        results=[
            {"name": "conversion", "type": "binary", "goal": "increase",
             "arms": [{"variant": "bigger", "units": 91, "lift": "+3 %", "pValue": "0.01"}]},
        ],
        guardrails=[{"metric": "error", "variant": "bigger", "verdict": "Breach", "value": "3 %",
                     "limit": "1 %", "samples": 400}],
        sampleRatio={"pValue": "0.4"},
        recommendation={"text": "point ranker to bigger's model", "patch": "[]"},
    )  # fmt: skip
    assert shown(experiment.tree(experiment.describe(running), NOW)) == (
        "Experiment team/ranker  Running\n"
        "├── target  ranker\n"
        "├── Ready True Running for 2m\n"
        "├── arm control  model deployment ranker  slots 5000  units 90\n"
        "├── metric conversion  binary increase\n"
        "│   └── bigger  units 91  lift +3 %  p value 0.01\n"
        "├── guardrail error bigger  Breach  3 %  limit 1 %  400 samples\n"
        "├── sample ratio  p value 0.4\n"
        "└── recommendation  point ranker to bigger's model\n"
    )


def test_users_get_the_arms_of_the_table_in_the_status() -> None:
    salt, table = of_experiment(an_experiment())
    assert salt == "uid-1"
    for user in map(str, range(200)):
        wanted = "control" if assignment.slot("uid-1", user) < 5000 else "bigger"
        assert assignment.arm(table, salt, user) == wanted


def test_an_experiment_that_has_not_begun_has_no_arms() -> None:
    with pytest.raises(CLIError, match="has no table yet"):
        of_experiment(an_experiment(assignment=None))


@pytest.mark.parametrize(
    "assigned",
    [
        {"salt": "s", "table": [{"arm": "a", "slots": 9999}]},
        {"salt": "s", "table": [{"arm": "a"}]},
        {"table": [{"arm": "a", "slots": 10_000}]},
        {"salt": "s", "table": [{"arm": "a", "slots": 10_001}, {"arm": "b", "slots": -1}]},
    ],
    ids=str,
)
def test_a_table_that_is_not_whole_is_refused(assigned: JSON) -> None:
    with pytest.raises(InputError, match="table"):
        of_experiment(an_experiment(assignment=assigned))


def test_weights_give_the_table_that_an_experiment_begins_with() -> None:
    for text in ("control=90,bigger=10", "control=900,bigger=100", "control=9000, bigger=1000"):
        table = table_of_weights(text)
        counts: dict[str, int] = {}
        for run in table:
            counts[run.arm] = counts.get(run.arm, 0) + run.slots
        assert counts == {"control": 9000, "bigger": 1000}


@pytest.mark.parametrize("text", ["a=50", "a=50,b=60", "a=50,a=50", "a=x,b=50", "=50,b=50", ""])
def test_weights_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="weight"):
        table_of_weights(text)
