"""Experiment: these models share an address, users stick to their arm, which one wins?"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from fairlead_operator.api.v1alpha1.common import APIModel, rules
from fairlead_operator.api.v1alpha1.experimentanalysis import (
    MEASURED_CEL,
    AnalysisSpec,
    GuardrailSpec,
    MetricSpec,
)
from fairlead_operator.api.v1alpha1.experimentstatus import ExperimentStatus
from fairlead_operator.api.v1alpha1.modeldeployment import NAME_LIMIT

_LABEL = "^[a-z]([-a-z0-9]*[a-z0-9])?$"

Name = Annotated[
    str,
    Field(
        min_length=1,
        max_length=NAME_LIMIT,
        json_schema_extra=rules(
            (
                f"self.matches('{_LABEL}')",
                (
                    "a name must be lower-case letters, digits and '-', begin with a letter and "
                    "end with a letter or digit"
                ),
            )
        ),
    ),
]


class Variant(APIModel):
    """An arm: a ModelDeployment with a share of the users."""

    name: Annotated[
        Name, Field(description="Name of the arm, sent with each answer as x-fairlead-variant.")
    ]
    model_deployment: Annotated[
        Name, Field(description="ModelDeployment in the same namespace that answers for this arm.")
    ]
    weight: Annotated[
        int,
        Field(
            ge=0,
            le=10_000,
            description=(
                "Share of the users. All weights sum to 100 (percent), 1000 or 10000 (basis "
                "points). It may change while the Experiment runs: only arms that shrink give "
                "users away, and only to arms that grow."
            ),
        ),
    ]


class AssignmentSpec(APIModel):
    """How a user is recognised. The arm is `xxh64("<salt>:<user>") % 10000` in the slot table."""

    header: Annotated[
        str,
        Field(
            min_length=1,
            max_length=128,
            description=(
                "HTTP header, or gRPC metadata, that names the user. Requests without it get the "
                "control and are not counted."
            ),
            json_schema_extra=rules(
                (
                    "self.matches('^[-A-Za-z0-9_.]+$')",
                    "header must be a header's name, for example x-user-id",
                ),
                (
                    "!self.lowerAscii().startsWith('x-fairlead-')",
                    "headers that begin with x-fairlead- are the router's own",
                ),
                (
                    "!self.lowerAscii().endsWith('-bin')",
                    "metadata that ends with -bin is encoded: name the user in another one",
                ),
            ),
        ),
    ]
    salt: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=128,
            description=(
                "Goes before the user in the hash, so that Experiments are independent. Default: "
                "the Experiment's UID. Write one to get the same arms in another Experiment."
            ),
            json_schema_extra=rules(
                (
                    "self.matches('^[!-~]+$') && !self.contains('%')",
                    "salt must be printable ASCII without blanks and percent signs",
                )
            ),
        ),
    ] = None


_FIXED = (
    ("self.target == oldSelf.target", "target"),
    ("self.assignment == oldSelf.assignment", "assignment"),
    (
        (
            "self.variants.map(v, v.name + ' ' + v.modelDeployment) == "
            "oldSelf.variants.map(v, v.name + ' ' + v.modelDeployment)"
        ),
        "the arms (their weights may)",
    ),
    (
        (
            "self.metrics[0].name == oldSelf.metrics[0].name && "
            "self.metrics[0].type == oldSelf.metrics[0].type && "
            "self.metrics[0].goal == oldSelf.metrics[0].goal"
        ),
        "the first metric, which decides,",
    ),
    (
        "self.analysis.alphaPercent == oldSelf.analysis.alphaPercent",
        "alphaPercent",
    ),
    (
        "self.analysis.outcomeWindow == oldSelf.analysis.outcomeWindow",
        "outcomeWindow",
    ),
    (
        ("self.metrics.all(m, !oldSelf.metrics.exists(n, n.name == m.name && n.type != m.type))"),
        "the type of a metric",
    ),
    (
        (
            "self.metrics.all(m, m.type != 'ratio' || oldSelf.metrics.exists(n, "
            "n.type == 'ratio' && n.name == m.name && n.numerator == m.numerator && "
            "n.denominator == m.denominator)) && "
            "self.metrics.filter(m, m.type == 'ratio').size() == "
            "oldSelf.metrics.filter(m, m.type == 'ratio').size()"
        ),
        "which metrics are ratios, and of what,",
    ),
)


class ExperimentSpec(APIModel):
    """What is wanted."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            *(
                (rule, f"{what} cannot change: what was counted would be void; make another one")
                for rule, what in _FIXED
            ),
            (
                "self.variants[0].modelDeployment == self.target",
                "the first variant is the control and must be the target itself",
            ),
            (
                (
                    "self.metrics.all(m, m.type != 'ratio' || "
                    "(self.metrics.exists(n, n.name == m.numerator && n.type == 'mean') && "
                    "self.metrics.exists(n, n.name == m.denominator && n.type == 'mean')))"
                ),
                "numerator and denominator of a ratio are metrics of type mean of this Experiment",
            ),
            (
                (
                    f"self.guardrails.all(g, g.metric in {MEASURED_CEL} || "
                    "self.metrics.exists(m, m.name == g.metric && m.type == 'binary'))"
                ),
                (
                    "a guardrail's metric is latencyP99Ms, error, clientError or a binary metric "
                    "of this Experiment"
                ),
            ),
        )
    )

    target: Annotated[
        Name, Field(description="ModelDeployment whose address is shared; it is the control.")
    ]
    variants: Annotated[
        list[Variant],
        Field(
            min_length=2,
            max_length=8,
            description="The arms; the first is the control.",
            json_schema_extra={
                "x-kubernetes-list-type": "atomic",
                **rules(
                    (
                        "self.map(v, v.weight).sum() in [100, 1000, 10000]",
                        "the weights of all variants must sum to 100, 1000 or 10000",
                    ),
                    (
                        "self.all(v, self.exists_one(w, w.name == v.name))",
                        "each variant needs a name of its own",
                    ),
                    (
                        ("self.all(v, self.exists_one(w, w.modelDeployment == v.modelDeployment))"),
                        "a ModelDeployment can be one variant only",
                    ),
                    (
                        "self[0].weight > 0",
                        "the control needs a weight: without it nothing can be compared",
                    ),
                ),
            },
        ),
    ]
    assignment: Annotated[AssignmentSpec, Field(description="How a user is recognised.")]
    metrics: Annotated[
        list[MetricSpec],
        Field(
            min_length=1,
            max_length=16,
            description="What is measured. The first decides, the others are shown.",
            json_schema_extra={
                "x-kubernetes-list-type": "atomic",
                **rules(
                    (
                        "self.all(m, self.exists_one(n, n.name == m.name))",
                        "a metric must not be named twice",
                    ),
                    (
                        f"self.all(m, !(m.name in {MEASURED_CEL}))",
                        "latencyP99Ms, error and clientError are measured by the routers",
                    ),
                ),
            },
        ),
    ]
    guardrails: Annotated[
        list[GuardrailSpec],
        Field(
            max_length=8,
            description="Limits whose breach stops the Experiment.",
            json_schema_extra={
                "x-kubernetes-list-type": "atomic",
                **rules(
                    (
                        (
                            "self.all(g, self.exists_one(h, h.metric == g.metric && "
                            "has(h.max) == has(g.max) && "
                            "has(h.maxBasisPoints) == has(g.maxBasisPoints) && "
                            "has(h.maxIncreasePercent) == has(g.maxIncreasePercent)))"
                        ),
                        "a metric must not have the same kind of guardrail twice",
                    )
                ),
            },
        ),
    ] = []  # noqa: RUF012 - pydantic copies a default
    analysis: Annotated[AnalysisSpec, Field(description="When a difference counts.")] = (
        AnalysisSpec()
    )
    stopped: Annotated[
        bool,
        Field(
            description=(
                "Ends the Experiment: everybody gets the control, the arms are released, what was "
                "measured stays in status. It cannot start again."
            )
        ),
    ] = False


class Experiment(APIModel):
    """Models that share an address, and which of them is best."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                f"self.metadata.name.size() <= {NAME_LIMIT}",
                f"the name of an Experiment may have at most {NAME_LIMIT} characters",
            ),
            (
                f"self.metadata.name.matches('{_LABEL}')",
                (
                    "the name of an Experiment must be lower-case letters, digits and '-', begin "
                    "with a letter and end with a letter or digit"
                ),
            ),
            (
                (
                    "!oldSelf.spec.stopped || self.spec.stopped || "
                    "!has(oldSelf.status) || !has(oldSelf.status.endedAt)"
                ),
                "a stopped Experiment cannot start again: make another one",
            ),
        )
    )

    api_version: str
    kind: str
    metadata: Annotated[dict[str, Any], Field(json_schema_extra={"type": "object"})]
    spec: Annotated[ExperimentSpec, Field(description="What is wanted.")]
    status: Annotated[
        ExperimentStatus | None, Field(description="What is; written by the operator.")
    ] = None
