"""What an installation is like, as data; what cannot be read is a fact as well."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from fairlead_cli.doctor.rights import Right
from fairlead_cli.reading import JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """An installed operator.

    Attributes:
        deployment: Its Deployment.
        flags: Its settings by the flag's name, without dashes; the last one wins.
        namespaces: Namespaces that it serves; none means all.
        pods: Its pods.
        lease: The Lease that decides which replica works; None where there is none.
        missing: Rights that it lacks, by namespace; None where that could not be asked.
    """

    deployment: JSON
    flags: Mapping[str, str]
    namespaces: tuple[str, ...]
    pods: tuple[JSON, ...] = ()
    lease: JSON | None = None
    missing: tuple[tuple[str, Right], ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What an installation is like.

    Attributes:
        now: The API server's own time.
        version: Its version, `1.35.4`.
        crds: The wanted CRDs and the installed ones, by name.
        operators: The operators that were found.
        metrics: Whether `metrics.k8s.io` answers.
        models: The ModelDeployments that were looked at.
        autoscalers: Their autoscalers.
        unreadable: What could not be read, and why.
    """

    now: dt.datetime
    version: str = ""
    crds: Mapping[str, tuple[JSON, JSON | None]] = field(default_factory=dict)
    operators: tuple[Operator, ...] = ()
    metrics: bool = True
    models: tuple[JSON, ...] = ()
    autoscalers: tuple[JSON, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)
